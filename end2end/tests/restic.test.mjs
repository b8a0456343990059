// What Holdfast writes can be read, checked and restored without it: stock restic, git, pg_restore, sqlite3.
import assert from 'node:assert/strict';
import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';

import { must, run } from './lib/process.mjs';
import { Stack, postgresBin, restics } from './lib/stack.mjs';

const programs = await restics();

describe('stock tools read the vault', () => {
  let stack;
  let env;
  let checkpoint;
  let packs; // of both checkpoints and of their drills' reports, before anything else is written into the vault
  before(async () => {
    stack = await Stack.start({ name: 'restic', scale: 25 });
    await stack.apply();
    await stack.ok('checkpoint', 'create', 'production');
    // A second one, so that what is shared with a parent is read, too.
    writeFileSync(join(stack.app, 'uploads/added-between'), 'x'.repeat(3_000_000));
    checkpoint = await stack.json('checkpoint', 'create', 'production');
    assert.equal(checkpoint.proof, 'proven');
    packs = packsNow();
    env = await stack.resticEnv();
  });
  after(() => stack?.down());

  test("Debian's restic is one of those tried", () => assert.ok(programs.length > 0));

  for (const { program, version } of programs) {
    describe(`restic ${version}`, () => {
      const folder = () => join(stack.home, `restored-${version}`);

      test('check --read-data finds nothing', async () => {
        const { stdout } = await must(program, ['check', '--read-data'], { env, timeout: 600_000 });
        assert.match(stdout, /no errors were found/);
      });

      test('snapshots carry the checkpoint as a tag', async () => {
        const { stdout } = await must(program, ['snapshots', '--json', '--tag', `holdfast:${checkpoint.id}`], { env });
        const snapshots = JSON.parse(stdout);
        assert.equal(snapshots.length, 1);
        assert.equal(snapshots[0].id, checkpoint.vault.snapshot);
      });

      test('the drill that proved it stands beside it, and is not taken for a checkpoint', async () => {
        const facts = ['--tag', 'holdfast:facts'];
        const listed = (await must(program, ['ls', '--json', ...facts, 'latest', '/facts'], { env })).stdout.trim().split('\n').map((line) => JSON.parse(line));
        const file = listed.find((entry) => entry.type === 'file');
        const fact = JSON.parse((await must(program, ['dump', ...facts, 'latest', file.path], { env })).stdout);
        assert.equal(fact.checkpoint, checkpoint.id);
        assert.equal(fact.fact.kind, 'drill');
        assert.equal(fact.fact.report.verdict, 'proven');
        assert.equal(fact.fact.report.duration_ms, checkpoint.drill.duration_ms);
        const newest = JSON.parse((await must(program, ['snapshots', '--json', '--tag', 'holdfast', '--latest', '1'], { env })).stdout);
        assert.deepEqual(newest.map((snapshot) => snapshot.id), [checkpoint.vault.snapshot]);
      });

      test('restore gives the uploads back: content, modes, times, links, xattrs, holes', async () => {
        await must(program, ['restore', checkpoint.vault.snapshot, '--target', folder()], { env, timeout: 600_000 });
        const compared = await must('rsync', [
          '-anicHAX', '--delete', '--exclude=*.log', '--exclude=/tmp/*', `${join(stack.app, 'uploads')}/`, `${join(folder(), 'files/uploads')}/`,
        ]);
        assert.equal(compared.stdout, '');
      });

      test('git clones the source, with every ref and the uncommitted work', async () => {
        const mirror = join(folder(), 'git/source');
        await must('git', ['-c', 'safe.directory=*', '--git-dir', mirror, 'fsck', '--full']);
        const refs = (dir) => must('git', ['-c', 'safe.directory=*', ...dir, 'for-each-ref', '--format=%(refname) %(objectname)']).then((r) => r.stdout.trim().split('\n'));
        const [sealed, live] = await Promise.all([refs(['--git-dir', mirror]), refs(['-C', stack.app])]);
        for (const ref of live) assert.ok(sealed.includes(ref), ref);
        const show = (path) => must('git', ['-c', 'safe.directory=*', '--git-dir', mirror, 'show', `refs/holdfast/worktree:${path}`]);
        assert.equal((await show('notes.txt')).stdout, readFileSync(join(stack.app, 'notes.txt'), 'utf8'));
        assert.equal((await show('server.mjs')).stdout, readFileSync(join(stack.app, 'server.mjs'), 'utf8'));
      });

      test('pg_restore reads the dump, and every table has the rows of the ledger', async () => {
        const dump = join(folder(), 'databases/postgres/dump.pgc');
        const name = `leaving_${version.replaceAll('.', '_')}`;
        await stack.sql(`create database ${name}`);
        const restored = await run(join(postgresBin(), 'pg_restore'), ['--exit-on-error', '--no-owner', '--no-acl', '-d', name, dump], {
          env: stack.databaseEnv(name),
          timeout: 600_000,
        });
        assert.equal(restored.status, 0, restored.stderr);
        for (const [table, facts] of Object.entries(checkpoint.ledger.postgres)) {
          assert.equal(Number(await stack.sql(`select count(*) from only ${table}`, name)), facts.rows, table);
        }
        await stack.sql(`drop database ${name}`);
      });

      test('sqlite3 opens the search index', async () => {
        const place = join(folder(), 'databases/search');
        const file = join(place, readdirSync(place)[0]);
        const { stdout } = await must('sqlite3', [file, 'pragma integrity_check; select count(*) from pages;']);
        assert.equal(stdout, `ok\n${checkpoint.ledger.search[Object.keys(checkpoint.ledger.search).find((t) => t.endsWith('pages'))].rows}\n`);
      });
    });
  }

  test('one flipped bit in any pack is caught by verify, and the mended pack is intact again', async () => {
    assert.ok(packs.length > 2);
    const ids = (await stack.json('checkpoint', 'list')).items.map((item) => item.id);
    for (const pack of packs) {
      const results = await withFlippedBit(pack, () => Promise.all(ids.map((id) => stack.cli('checkpoint', 'verify', id))));
      const shown = await Promise.all(ids.map((id) => stack.json('checkpoint', 'show', id)));
      const told = results.map(({ status, stdout, stderr }, at) => `${ids[at]}: ${status}, ${shown[at].integrity}\n${stdout}${stderr}`).join('\n');
      // The pack belongs to one of the checkpoints, or to both.
      assert.ok(results.some((result, at) => result.status === 1 && shown[at].integrity === 'damaged'), `${pack}\n${told}`);
    }
    await stack.ok('checkpoint', 'verify', checkpoint.id);
    assert.equal((await stack.json('checkpoint', 'show', checkpoint.id)).integrity, 'intact');
  });

  test("a flipped bit in a copy of the catalogue is caught by the vault's check: no checkpoint needs it", async () => {
    await stack.ok('catalogue', 'copy');
    const added = packsNow().filter((pack) => !packs.includes(pack));
    assert.ok(added.length > 0);
    for (const pack of added) {
      const { checked, verified } = await withFlippedBit(pack, async () => ({
        checked: await stack.cli('vault', 'check', 'shop', '--all'),
        verified: await stack.cli('checkpoint', 'verify', checkpoint.id),
      }));
      assert.equal(checked.status, 1, `${pack}\n${checked.stdout}${checked.stderr}`);
      assert.match(checked.stdout + checked.stderr, new RegExp(pack.slice(-64, -56)));
      assert.equal(verified.status, 0, `${pack}\n${verified.stdout}${verified.stderr}`);
    }
    await stack.ok('vault', 'check', 'shop', '--all');
  });

  const packsNow = () => readdirSync(join(stack.vault(), 'data'), { recursive: true }).filter((name) => /[0-9a-f]{64}$/.test(name));

  // Does `work` while a bit of that pack is wrong, and gives what it gives.
  const withFlippedBit = async (pack, work) => {
    const path = join(stack.vault(), 'data', pack);
    const sound = readFileSync(path);
    const broken = Buffer.from(sound);
    broken[Math.floor(broken.length / 3)] ^= 0x10;
    await must('chmod', ['u+w', path]);
    writeFileSync(path, broken);
    try {
      return await work();
    } finally {
      writeFileSync(path, sound);
    }
  };
});
