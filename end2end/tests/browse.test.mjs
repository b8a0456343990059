// Looking into a checkpoint and taking things out of it with the dashboard: folders, tables, a whole export, and the way back.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { chmodSync, linkSync, lstatSync, mkdirSync, readFileSync, readdirSync, readlinkSync, statSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';

import { axe, launch, open, signedIn } from './lib/browser.mjs';
import { must } from './lib/process.mjs';
import { Stack } from './lib/stack.mjs';

describe('looking into a checkpoint', () => {
  let stack;
  let browser;
  let made;
  let socket;
  let out;
  const upload = (...names) => join(stack.app, 'uploads', ...names);

  before(async () => {
    stack = await Stack.start({ name: 'browse', scale: 5 });
    await stack.apply();
    out = join(stack.home, 'out');
    mkdirSync(out);
    mkdirSync(upload('album/empty'), { recursive: true });
    writeFileSync(upload('album/photo.raw'), Buffer.alloc(3_000_000, 'photo'));
    chmodSync(upload('album/photo.raw'), 0o640);
    writeFileSync(upload('album/noise.bin'), randomBytes(3_000_000));
    linkSync(upload('album/photo.raw'), upload('album/same.raw'));
    symlinkSync('photo.raw', upload('album/newest'));
    writeFileSync(upload('album/ünï "x".txt'), 'odd name\n');
    utimesSync(upload('album/ünï "x".txt'), 1_000_000_000, 1_000_000_000);
    socket = createServer().listen(upload('album/app.sock'));
    made = await stack.json('checkpoint', 'create', 'production', '--name', 'friday');
    assert.equal(made.proof, 'proven');
    browser = await launch();
  });
  after(async () => {
    await browser?.close();
    socket?.close();
    await stack?.down();
  });

  /** What a click on a link brings, as a file in `out`. */
  async function downloaded(page, link) {
    const [download] = await Promise.all([page.waitForEvent('download'), link.click()]);
    assert.equal(await download.failure(), null);
    const file = join(out, download.suggestedFilename());
    await download.saveAs(file);
    return file;
  }

  test('a folder is taken whole, as it was', async () => {
    const { context, page, problems } = await signedIn(browser, stack);
    await open(page, `${stack.url}/checkpoints/${made.id}`);
    await page.getByRole('link', { name: 'uploads', exact: true }).click();
    await page.getByRole('link', { name: 'album/' }).click();
    await page.getByText('Sockets have no place in an archive').waitFor();
    assert.deepEqual(await axe(page), []);
    const file = await downloaded(page, page.getByRole('link', { name: 'Take this folder' }));
    assert.equal(file, join(out, 'album.tar.zst'));
    await must('tar', ['--zstd', '-xpf', file, '-C', out]);
    const taken = (name) => join(out, 'album', name);
    for (const name of ['photo.raw', 'ünï "x".txt']) {
      assert.ok(readFileSync(taken(name)).equals(readFileSync(upload('album', name))), name);
      assert.equal(lstatSync(taken(name)).mode, lstatSync(upload('album', name)).mode, name);
      assert.equal(lstatSync(taken(name)).mtimeMs, lstatSync(upload('album', name)).mtimeMs, name);
    }
    assert.equal(lstatSync(taken('same.raw')).ino, lstatSync(taken('photo.raw')).ino);
    assert.equal(readlinkSync(taken('newest')), 'photo.raw');
    assert.ok(lstatSync(taken('empty')).isDirectory());
    assert.throws(() => lstatSync(taken('app.sock')), /ENOENT/);
    assert.deepEqual(problems, []);
    await context.close();
  });

  test('the command line takes it too, and says what is left out', async () => {
    const { bytes, stderr } = await stack.ok('checkpoint', 'cat', made.id, 'files/uploads/album', '--folder');
    assert.match(stderr, /1 socket left out/);
    assert.ok(bytes.equals(readFileSync(join(out, 'album.tar.zst'))), 'the same bytes each time');
    const refused = await stack.cli('checkpoint', 'cat', made.id, 'files/uploads/album');
    assert.equal(refused.status, 2);
    assert.match(refused.stderr, /--folder > album\.tar\.zst/);
  });

  test('what is no folder, or not there, is said', async () => {
    const folder = async (query) => stack.api('GET', `/v1/checkpoints/${made.id}/folder?${new URLSearchParams(query)}`);
    const file = await folder({ component: 'uploads', path: 'album/photo.raw' });
    assert.deepEqual([file.status, file.body.detail], [400, '`album/photo.raw` is not a folder; take it as a file']);
    assert.equal((await folder({ component: 'uploads', path: '../../etc' })).status, 404);
    assert.equal((await folder({ component: 'postgres' })).status, 404);
    assert.equal((await fetch(`${stack.url}/v1/checkpoints/${made.id}/folder?component=uploads`)).status, 401);
    assert.equal((await fetch(`${stack.url}/ui/checkpoints/${made.id}/folder?component=uploads`)).status, 401);
  });

  test('a damaged file in the middle of a folder breaks the connection', async () => {
    await stack.stop();
    const data = join(stack.vault(), 'data');
    const packs = readdirSync(data, { recursive: true }).map((name) => join(data, name));
    for (const pack of packs.filter((name) => statSync(name).isFile() && statSync(name).size > 1_000_000)) {
      const bytes = readFileSync(pack);
      for (let at = 10_000; at < bytes.length - 10_000; at += 50_000) bytes[at] ^= 1;
      chmodSync(pack, 0o600);
      writeFileSync(pack, bytes);
    }
    await stack.serve();
    const answer = await fetch(`${stack.url}/v1/checkpoints/${made.id}/folder?component=uploads&path=album`, {
      headers: { authorization: `Bearer ${stack.token}` },
    });
    assert.equal(answer.status, 200);
    await assert.rejects(answer.arrayBuffer(), /terminated/);
    const shell = await stack.cli('checkpoint', 'cat', made.id, 'files/uploads/album', '--folder');
    assert.equal(shell.status, 1);
    assert.match(shell.stderr, /broke off/);
  });
});
