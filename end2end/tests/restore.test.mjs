// A restore puts everything back and destroys nothing that no copy holds.
import assert from 'node:assert/strict';
import { existsSync, readFileSync, readdirSync, rmSync, writeFileSync, appendFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';

import { must, run } from './lib/process.mjs';
import { Stack } from './lib/stack.mjs';

describe('restore', () => {
  let stack;
  let good;
  before(async () => {
    stack = await Stack.start({ name: 'restore', scale: 10 });
    await stack.sql("alter database shop set statement_timeout = '90s'");
    await stack.superuser('grant connect on database shop to shop_reader');
    await stack.apply();
    good = await stack.json('checkpoint', 'create', 'production', '--name', 'good');
    assert.equal(good.proof, 'proven');
  });
  after(() => stack?.down());

  const upload = (...names) => join(stack.app, 'uploads', ...names);
  const health = async () => (await fetch(`http://127.0.0.1:${readFileSync(join(stack.app, '.env'), 'utf8').match(/^PORT=(\d+)/m)[1]}/healthz`)).status;
  const rows = async (table, database) => Number(await stack.sql(`select count(*) from ${table}`, database));

  test('after a bad migration the shop is whole again', async () => {
    const changed = readdirSync(upload('documents/usr/share'), { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
    const victim = join(changed[0].parentPath ?? changed[0].path, changed[0].name);
    const [original, lost] = [readFileSync(victim), join(changed[1].parentPath ?? changed[1].path, changed[1].name)];
    const lostContent = readFileSync(lost);
    writeFileSync(victim, 'overwritten');
    rmSync(lost);
    writeFileSync(upload('made-later.txt'), 'written after the checkpoint');
    writeFileSync(upload('import.log'), 'an excluded file, changed since');
    writeFileSync(upload('tmp/half-an-upload'), 'another one');
    appendFileSync(join(stack.app, 'notes.txt'), 'a thought after the checkpoint\n');
    writeFileSync(join(stack.app, 'later.md'), 'new and uncommitted\n');
    const env = readFileSync(join(stack.app, '.env'), 'utf8');
    writeFileSync(join(stack.app, '.env'), env.replace(/^PAYMENT_KEY=.*/m, 'PAYMENT_KEY=lost'));
    await stack.demo('bad-migration');
    assert.equal(await health(), 500);

    const { stdout, stderr } = await stack.ok('checkpoint', 'restore', good.id, '--verbose');
    const shown = stdout + stderr;
    // Nine steps, each named, and at the end the application, its address and the next command.
    for (const word of [/checked|valid/i, /safety/i, /stop/i, /files|filesystem/i, /database/i, /config/i, /start/i, /health/i, /complete/i]) assert.match(shown, word);
    assert.match(shown, /shop\.example\.org/);

    assert.equal(await health(), 200);
    assert.deepEqual(readFileSync(victim), original);
    assert.deepEqual(readFileSync(lost), lostContent);
    assert.equal(readFileSync(join(stack.app, '.env'), 'utf8'), env);
    assert.equal(await rows('information_schema.columns where table_name = \'customers\' and column_name = \'email\''), 1);
    assert.ok((await rows('orders')) >= good.ledger.postgres['public.orders'].rows);
  });

  test('excluded files stay as they are', () => {
    assert.equal(readFileSync(upload('import.log'), 'utf8'), 'an excluded file, changed since');
    assert.equal(readFileSync(upload('tmp/half-an-upload'), 'utf8'), 'another one');
  });

  test('what is newer than the checkpoint lies in the trash of the run, not nowhere', async () => {
    assert.ok(!existsSync(upload('made-later.txt')));
    const { stdout } = await must('find', [stack.home, '/var/tmp', '-name', 'made-later.txt', '-not', '-path', '*/proc/*']);
    const [found] = stdout.trim().split('\n').filter(Boolean);
    assert.ok(found, 'the newer file is still on the disk');
    assert.equal(readFileSync(found, 'utf8'), 'written after the checkpoint');
  });

  test('uncommitted work is in the safety checkpoint', async () => {
    const list = await stack.json('checkpoint', 'list', '--limit', '100');
    const safety = list.items.find((item) => item.trigger === 'pre_restore');
    assert.ok(safety, 'there is a safety checkpoint');
    const target = join(stack.home, 'safety');
    const { vault } = await stack.json('checkpoint', 'show', safety.id);
    await must('restic', ['restore', vault.snapshot, '--target', target, '--include', '/git'], { env: await stack.resticEnv() });
    const show = async (path) => (await must('git', ['-c', 'safe.directory=*', '--git-dir', join(target, 'git/source'), 'show', `refs/holdfast/worktree:${path}`])).stdout;
    assert.equal(await show('later.md'), 'new and uncommitted\n');
    assert.match(await show('notes.txt'), /a thought after the checkpoint/);
    assert.equal(readFileSync(join(stack.app, 'notes.txt'), 'utf8'), 'ask Robin about refunds\n');
  });

  test('latest is never the safety checkpoint', async () => {
    assert.equal((await stack.json('checkpoint', 'show', 'production@latest')).id, good.id);
  });

  test('the database before the restore keeps its data under another name', async () => {
    const kept = (await stack.superuser("select datname from pg_database where datname like 'shop_before_%'")).split('\n').filter(Boolean);
    assert.equal(kept.length, 1);
    await assert.rejects(rows('orders', kept[0]), /not currently accepting connections/, 'nothing writes to it by mistake');
    await stack.superuser(`alter database ${kept[0]} allow_connections true`);
    const left = Number(await stack.superuser('select count(*) from orders', kept[0]));
    assert.ok(left > 0 && left < good.ledger.postgres['public.orders'].rows);
  });

  test('owner, settings and grants of the database are as they were, and inserts go on', async () => {
    assert.equal(await stack.superuser("select pg_get_userbyid(datdba) from pg_database where datname = 'shop'"), 'shop');
    assert.equal(await stack.sql('show statement_timeout'), '90s');
    assert.equal(await stack.superuser("select has_database_privilege('shop_reader', 'shop', 'connect')"), 't');
    const before = await rows('orders');
    await stack.sql('insert into orders (customer_id) select min(id) from customers');
    assert.ok((await rows('orders')) > before);
  });

  test('the search index has no stale write-ahead log and is whole', async () => {
    const { stdout } = await must('sqlite3', [join(stack.app, 'search.db'), '.timeout 5000', 'pragma integrity_check']);
    assert.equal(stdout.trim(), 'ok');
  });

  test('only chosen components: the database, and no file is touched', async () => {
    writeFileSync(upload('kept.txt'), 'not part of this restore');
    await stack.ok('checkpoint', 'restore', good.id, '--components', 'database');
    assert.equal(readFileSync(upload('kept.txt'), 'utf8'), 'not part of this restore');
    assert.equal(await health(), 200);
  });

  test('--no-backup takes no safety checkpoint', async () => {
    const count = (await stack.json('checkpoint', 'list')).count;
    await stack.ok('checkpoint', 'restore', good.id, '--components', 'settings', '--no-backup', '--yes');
    assert.equal((await stack.json('checkpoint', 'list')).count, count);
  });

  test('a database that was dropped comes back', async () => {
    await run(join(stack.app, 'bin/stop'));
    await stack.superuser('drop database shop with (force)');
    await stack.ok('checkpoint', 'restore', good.id);
    assert.equal(await health(), 200);
    assert.ok((await rows('orders')) >= good.ledger.postgres['public.orders'].rows);
    assert.equal(await stack.superuser("select pg_get_userbyid(datdba) from pg_database where datname = 'shop'"), 'shop');
  });

  test('afterwards checkpoints are proven as before', async () => {
    const next = await stack.json('checkpoint', 'create', 'production');
    assert.equal(next.proof, 'proven');
  });
});
