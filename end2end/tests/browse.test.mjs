// Looking into a checkpoint and taking things out of it with the dashboard: folders, tables, a whole export, and the way back.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { chmodSync, existsSync, linkSync, lstatSync, mkdirSync, readFileSync, readdirSync, readlinkSync, statSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';

import { axe, launch, open, signedIn } from './lib/browser.mjs';
import { must, until } from './lib/process.mjs';
import { Stack } from './lib/stack.mjs';

const canary = 'canary-staff-hash-77';

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
    await stack.sql(`create table staff (id int primary key, login text, password_hash text, note text);
      insert into staff select n, 'user' || n, '${canary}', case n when 1 then null when 2 then '' else '<b>note</b>' end from generate_series(1, 120) n`);
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

  test('the rows of a table are looked through page by page, without a script too', async () => {
    await stack.sql('delete from staff'); // what is shown is what was sealed
    for (const javaScriptEnabled of [true, false]) {
      const { context, page, problems } = await signedIn(browser, stack, { javaScriptEnabled });
      await page.goto(`${stack.url}/checkpoints/${made.id}`);
      await page.getByRole('link', { name: 'postgres', exact: true }).click();
      const row = page.getByRole('row', { name: /public\.staff/ });
      assert.match(await row.innerText(), /120\s+id, login, password_hash, note/);
      if (javaScriptEnabled) assert.deepEqual(await axe(page), []);
      await page.getByRole('link', { name: 'public.staff' }).click();
      await page.getByText('Rows 1 to 50 of 120.').waitFor();
      await page.getByText('Masked, for they look secret: password_hash.').waitFor();
      const cells = (n) => page.locator('table.rows tbody tr').nth(n).locator('td').allInnerTexts();
      assert.deepEqual(await cells(0), ['1', 'user1', '••••', 'null']);
      assert.deepEqual(await cells(1), ['2', 'user2', '••••', 'empty']);
      assert.deepEqual(await cells(2), ['3', 'user3', '••••', '<b>note</b>']);
      assert.equal(await page.getByRole('link', { name: 'Previous rows' }).count(), 0);
      await page.getByRole('link', { name: 'Next rows' }).click();
      await page.getByText('Rows 51 to 100 of 120.').waitFor();
      await page.getByRole('link', { name: 'Next rows' }).click();
      await page.getByText('Rows 101 to 120 of 120.').waitFor();
      assert.equal(await page.getByRole('link', { name: 'Next rows' }).count(), 0);
      await page.getByRole('link', { name: 'Previous rows' }).click();
      await page.getByText('Rows 51 to 100 of 120.').waitFor();
      assert.ok(!(await page.content()).includes(canary));
      if (javaScriptEnabled) assert.deepEqual(await axe(page), []);
      assert.deepEqual(problems, []);
      await context.close();
    }
  });

  test('programs get the same, masked and bounded, and it is audited', async () => {
    const ask = async (what, query) => stack.api('GET', `/v1/checkpoints/${made.id}/${what}?${new URLSearchParams(query)}`);
    const { body: list } = await ask('tables', { component: 'postgres' });
    const names = list.tables.map((table) => `${table.schema}.${table.name}`);
    assert.ok(names.includes('reporting.days') && names.includes('public.orders'), names.join());
    const { body: rows } = await ask('table', { component: 'postgres', table: 'public.staff', from: 100 });
    assert.deepEqual([rows.rows.length, rows.next, rows.total, rows.key], [20, undefined, 120, ['id']]);
    assert.deepEqual(rows.rows[0], ['101', 'user101', '••••', '<b>note</b>']);
    const { body: search } = await ask('tables', { component: 'search' });
    const pages = search.tables.find((table) => table.name === 'pages');
    assert.deepEqual(pages.columns, ['id', 'path', 'title', 'seen']);
    const { body: first } = await ask('table', { component: 'search', schema: 'main', table: 'pages' });
    assert.equal(first.total, pages.rows);
    assert.ok(first.rows.length > 0);
    assert.equal((await ask('table', { component: 'postgres', table: 'public.nothing' })).status, 404);
    assert.equal((await ask('table', { component: 'uploads', table: 'public.staff' })).status, 404);
    assert.equal((await ask('table', { component: 'postgres', table: 'public.orders', from: 10_000 })).status, 400);
    assert.equal((await fetch(`${stack.url}/v1/checkpoints/${made.id}/table?component=postgres&table=public.staff`)).status, 401);
    const query = "select detail from audit where action = 'checkpoint.read' order by id";
    const { stdout } = await must('sqlite3', ['-readonly', join(stack.data, 'catalogue.db'), query]);
    assert.match(stdout, /^postgres: rows of public\.staff from 100$/m);
    assert.match(stdout, /^files\/uploads\/album as an archive, without 1 socket: app\.sock$/m);
  });

  test('a checkpoint leaves by the dashboard and comes back by it, without a script too', async () => {
    await new Promise((done) => socket.close(done)); // what no archive can hold would keep an import from being proven
    const whole = await stack.json('checkpoint', 'create', 'production', '--no-drill');
    await stack.ok('checkpoint', 'export', whole.id, '--output', join(out, 'by-shell.tar.gz'));
    for (const javaScriptEnabled of [true, false]) {
      const { context, page, problems } = await signedIn(browser, stack, { javaScriptEnabled });
      await page.goto(`${stack.url}/checkpoints/${whole.id}`);
      const file = await downloaded(page, page.getByRole('link', { name: 'Export (.tar.gz)' }));
      assert.equal(file, join(out, `${whole.id}.tar.gz`));
      assert.ok(readFileSync(file).equals(readFileSync(join(out, 'by-shell.tar.gz'))), 'the same bytes as from the shell');
      await page.goto(`${stack.url}/projects/shop/production`);
      await page.getByLabel('Archive').setInputFiles(file);
      await page.getByRole('button', { name: 'Import', exact: true }).click();
      await page.waitForURL(/\/runs\/run_/);
      const ended = await stack.ended(new URL(page.url()).pathname.split('/').pop());
      assert.deepEqual([ended.kind, ended.state], ['import', 'succeeded'], ended.message);
      const came = await stack.json('checkpoint', 'show', ended.checkpoint);
      assert.deepEqual([came.proof, came.trigger, came.metadata.origin_id], ['proven', 'import', whole.id]);
      if (javaScriptEnabled) assert.deepEqual(problems, []);
      await context.close();
    }
    assert.match((await must('tar', ['-tzf', join(out, 'by-shell.tar.gz')])).stdout, /metadata\.json/);
  });

  test('a file that is no export is refused with a sentence and a way back', async () => {
    const count = async () => (await stack.json('checkpoint', 'list')).count;
    const before = await count();
    writeFileSync(join(out, 'bad.tar.gz'), 'just some text'.repeat(100));
    const { context, page } = await signedIn(browser, stack);
    await page.goto(`${stack.url}/projects/shop/production`);
    await page.getByLabel('Archive').setInputFiles(join(out, 'bad.tar.gz'));
    await page.getByRole('button', { name: 'Import', exact: true }).click();
    await page.getByRole('heading', { name: 'Nothing was imported' }).waitFor();
    await page.getByText(/not a tar archive/).waitFor();
    assert.deepEqual(await axe(page), []);
    await page.getByRole('link', { name: 'Back' }).click();
    await page.getByRole('heading', { name: 'Import a checkpoint' }).waitFor();

    const [{ name, value }] = await context.cookies();
    const send = (headers, body) => fetch(`${stack.url}/ui/imports`, { method: 'POST', headers: { cookie: `${name}=${value}`, ...headers }, body });
    const form = { 'content-type': 'multipart/form-data; boundary=b' };
    assert.equal((await send({ ...form, origin: 'https://evil.example' }, '--b--\r\n')).status, 403);
    assert.match(await (await send(form, '--b--\r\n')).text(), /No file was chosen/);
    assert.match(await (await send({}, 'no form')).text(), /form could not be read/);
    assert.equal(await count(), before);
    await context.close();
  });

  test('a damaged file in the middle of a folder breaks the connection', async () => {
    await stack.stop();
    const left = ['look-killed', 'compare-killed'].map((name) => join(stack.scratch, name));
    for (const folder of left) mkdirSync(folder);
    const data = join(stack.vault(), 'data');
    const packs = readdirSync(data, { recursive: true }).map((name) => join(data, name));
    for (const pack of packs.filter((name) => statSync(name).isFile() && statSync(name).size > 1_000_000)) {
      const bytes = readFileSync(pack);
      for (let at = 10_000; at < bytes.length - 10_000; at += 50_000) bytes[at] ^= 1;
      chmodSync(pack, 0o600);
      writeFileSync(pack, bytes);
    }
    await stack.serve();
    await until('what a killed server left is swept', () => !left.some((folder) => existsSync(folder)));
    const answer = await fetch(`${stack.url}/v1/checkpoints/${made.id}/folder?component=uploads&path=album`, {
      headers: { authorization: `Bearer ${stack.token}` },
    });
    assert.equal(answer.status, 200);
    await assert.rejects(answer.arrayBuffer(), /terminated/);
    const shell = await stack.cli('checkpoint', 'cat', made.id, 'files/uploads/album', '--folder');
    assert.equal(shell.status, 1);
    assert.match(shell.stderr, /broke off/);
    const { context, page } = await signedIn(browser, stack);
    await page.goto(`${stack.url}/checkpoints/${made.id}`);
    await page.getByRole('link', { name: 'Export (.tar.zst)' }).click();
    await page.getByRole('heading', { name: 'Nothing was exported' }).waitFor();
    await page.getByText(/damaged/).waitFor();
    await page.getByRole('link', { name: 'Back' }).click();
    await page.getByRole('heading', { name: 'Export', exact: true }).waitFor();
    await context.close();
  });
});
