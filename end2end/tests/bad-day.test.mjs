// The host is gone. What is left is the vault, and the recovery kit that somebody kept elsewhere.
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';

import { must, run } from './lib/process.mjs';
import { Stack } from './lib/stack.mjs';

describe('the bad day', () => {
  let stack;
  let bucket;
  let kit;
  const shown = {};
  before(async () => {
    stack = await Stack.start({ name: 'bad-day', scale: 10 });
    bucket = join(stack.home, 'bucket');
    kit = join(stack.home, 'kit.json');
    await stack.apply();
    const create = (...more) => stack.json('checkpoint', 'create', 'production', ...more);
    const first = await create('--name', 'before the flood', '--description', 'all is well', '--tags', 'keep,weekly', '--meta', 'ticket=12');
    await stack.ok('checkpoint', 'drill', first.id);
    const gone = await create('--no-drill', '--name', 'deleted again');
    await stack.ok('checkpoint', 'delete', gone.id, '--yes');
    const unproven = await create('--no-drill');
    const last = await create();
    for (const { id } of [first, unproven, last]) shown[id] = await stack.json('checkpoint', 'show', id);
    shown.last = last.id;
    writeFileSync(kit, (await stack.ok('vault', 'recovery-kit', 'shop', '--json')).stdout, { mode: 0o600 });
  });
  after(() => stack?.down());

  const health = async () => {
    const port = readFileSync(join(stack.app, '.env'), 'utf8').match(/^PORT=(\d+)/m)[1];
    return (await fetch(`http://127.0.0.1:${port}/healthz`)).status;
  };

  test('five commands bring the application back on a bare machine', async (t) => {
    await must(join(stack.app, 'bin/stop'), []);
    await stack.stop('SIGKILL');
    renameSync(stack.vault(), bucket);
    for (const lost of [stack.data, stack.scratch, stack.app]) rmSync(lost, { recursive: true, force: true });
    await stack.superuser('drop database shop with (force)');
    await stack.superuser('drop role shop; drop role shop_reader');
    const password = readFileSync(join(stack.home, 'postgres/password'), 'utf8').trim();

    const begun = performance.now();
    await stack.serve(); // 1
    const adopted = await stack.ok('vault', 'adopt', bucket, '--kit', kit); // 2
    assert.match(adopted.stdout, /vault of project shop: 3 checkpoints \(3 new here\), 3 drills/);
    assert.match(adopted.stdout, /to be confirmed: holdfast env confirm shop\/production/);
    const refused = await stack.cli('checkpoint', 'restore', 'production@latest');
    assert.notEqual(refused.status, 0);
    assert.match(refused.stderr, /nobody has looked at it yet/);
    const confirmed = await stack.ok('env', 'confirm', 'shop/production', '--yes'); // 3
    assert.match(confirmed.stderr, new RegExp(`${stack.app}/bin/start`), 'what would be run is shown');
    await stack.superuser(`create role shop login createdb password '${password}'; create role shop_reader`); // 4
    const restored = await stack.ok('checkpoint', 'restore', 'production@latest', '--no-backup', '--yes'); // 5
    t.diagnostic(`the application answers again after ${((performance.now() - begun) / 1000).toFixed(1)} s`);
    assert.match(restored.stdout + restored.stderr, /complete/i);
    assert.equal(await health(), 200);
    const { ledger } = shown[shown.last];
    const orders = Number(await stack.sql('select count(*) from orders'));
    assert.ok(Math.abs(orders - ledger.postgres['public.orders'].rows) < 200, `${orders} orders`);
  });

  test('every checkpoint is as it was, with its proof', async () => {
    const { items, count } = await stack.json('checkpoint', 'list', '--limit', '100');
    assert.equal(count, 3, 'the deleted one stays deleted');
    for (const { id } of items) {
      const now = await stack.json('checkpoint', 'show', id);
      // Whether the bytes are whole was found out on the old host; the place is another one.
      const { integrity, integrity_at: at, vault, copies, ...rest } = now;
      const { integrity: then, integrity_at: thenAt, vault: old, copies: were, ...same } = shown[id];
      assert.deepEqual(rest, same);
      assert.deepEqual([integrity, at], ['unchecked', null]);
      assert.deepEqual(copies.map((copy) => copy.snapshot), were.map((copy) => copy.snapshot));
      assert.equal(vault.snapshot, old.snapshot);
    }
    assert.ok(items.some((item) => item.name === 'before the flood' && item.tags.includes('weekly')));
  });

  test('it goes on from there: the next checkpoint is proven and stores little', async () => {
    const next = await stack.json('checkpoint', 'create', 'production');
    assert.equal(next.proof, 'proven');
    assert.ok(next.size.stored < next.size.total / 4, `${next.size.stored} of ${next.size.total}`);
    await must('restic', ['check', '--read-data'], { env: await stack.resticEnv(), timeout: 600_000 });
  });

  test('once more adds nothing', async () => {
    const again = await stack.json('vault', 'adopt', bucket, '--kit', kit);
    assert.deepEqual([again.checkpoints, again.new_checkpoints, again.new_drills, again.problems], [4, 0, 0, []]);
    assert.deepEqual(again.environments.map((entry) => entry.to_confirm), [false]);
  });

  test('what cannot be adopted is refused with the place that is wrong', async () => {
    const password = join(stack.home, 'wrong');
    writeFileSync(password, 'not it\n');
    const wrong = await stack.cli('vault', 'adopt', bucket, '--password-file', password);
    assert.equal(wrong.status, 1);
    assert.match(wrong.stderr, /password/);
    const nowhere = await stack.cli('vault', 'adopt', join(stack.home, 'nothing-here'), '--kit', kit);
    assert.equal(nowhere.status, 1);
    assert.match(nowhere.stderr, /nothing-here/);
    const none = await stack.cli('vault', 'adopt', bucket);
    assert.equal(none.status, 2);
    assert.match(none.stderr, /--kit/);
  });

  test('a key file that the vault has lost is put back from the kit', async () => {
    const { key_name: name } = JSON.parse(readFileSync(kit, 'utf8'));
    await stack.stop();
    renameSync(join(bucket, 'keys', name), join(stack.home, 'key-elsewhere'));
    await stack.serve();
    await stack.ok('vault', 'adopt', bucket, '--kit', kit);
    assert.deepEqual(readFileSync(join(bucket, 'keys', name)), readFileSync(join(stack.home, 'key-elsewhere')));
  });
});

describe('a plain restic repository', () => {
  let stack;
  before(async () => {
    stack = await Stack.start({ name: 'plain', scale: 0 });
  });
  after(() => stack?.down());

  test('becomes checkpoints that can be drilled, restored and gone on from', async () => {
    const tree = join(stack.home, 'srv/web');
    mkdirSync(join(tree, 'deep'), { recursive: true });
    writeFileSync(join(tree, 'index.html'), 'hello');
    writeFileSync(join(tree, 'deep/large'), Buffer.alloc(3_000_000, 'x y z'));
    const env = { RESTIC_REPOSITORY: join(stack.home, 'plain'), RESTIC_PASSWORD: 'secret', RESTIC_CACHE_DIR: join(stack.home, 'cache') };
    await must('restic', ['init', '--repository-version', '2'], { env });
    await must('restic', ['backup', '--host', 'Web1.example', '--tag', 'nightly', tree], { env });
    writeFileSync(join(tree, 'index.html'), 'hello again');
    await must('restic', ['backup', '--host', 'Web1.example', tree], { env });

    const unnamed = await stack.cli('vault', 'adopt', env.RESTIC_REPOSITORY, { env: { RESTIC_PASSWORD: 'secret' } });
    assert.match(unnamed.stderr, /project/);
    const adopted = await stack.json('vault', 'adopt', env.RESTIC_REPOSITORY, '--project', 'web', { env: { RESTIC_PASSWORD: 'secret' } });
    assert.deepEqual([adopted.checkpoints, adopted.new_checkpoints, adopted.problems], [2, 2, []]);
    assert.equal(adopted.environments[0].environment.name, 'web1-example');
    const { items } = await stack.json('checkpoint', 'list', '--env', 'web/web1-example');
    assert.deepEqual(items.map((item) => [item.total, item.proof, item.trigger, item.tags]), [
      [3_000_011, 'unproven', 'import', []],
      [3_000_005, 'unproven', 'import', ['nightly']],
    ]);
    await stack.ok('env', 'confirm', 'web/web1-example', '--yes');
    const drilled = await stack.cli('checkpoint', 'drill', items[1].id);
    assert.equal(drilled.status, 0, drilled.stdout + drilled.stderr);
    rmSync(tree, { recursive: true });
    await stack.ok('checkpoint', 'restore', items[1].id, '--no-backup', '--yes');
    assert.equal(readFileSync(join(tree, 'index.html'), 'utf8'), 'hello');
    const next = await stack.json('checkpoint', 'create', 'web/web1-example');
    assert.equal(next.proof, 'proven');
    assert.ok(next.size.stored < 100_000, `${next.size.stored} bytes stored again`);
    const { stdout } = await run('restic', ['snapshots', '--json'], { env });
    assert.ok(JSON.parse(stdout).length >= 3);
    await must('restic', ['check', '--read-data'], { env });
  });

  test('a vault inside of what is captured is left out', async () => {
    const folder = join(stack.home, 'other');
    const vault = join(folder, 'vault');
    mkdirSync(folder);
    writeFileSync(join(folder, 'file'), 'content');
    assert.equal((await stack.api('POST', '/v1/vaults/other', { location: 'relative/path' })).status, 400);
    await stack.ok('vault', 'add', 'other', vault);
    const taken = await stack.cli('vault', 'add', 'third', vault);
    assert.match(taken.stderr, /there is a vault at .* already/);
    await stack.ok('vault', 'add', 'third', join(stack.home, 'third'));
    const yaml = join(stack.home, 'other.yaml');
    writeFileSync(yaml, `project: other\nenvironment: o\ncomponents:\n  - {name: all, kind: files, path: ${folder}}\n`);
    await stack.apply(yaml);
    for (let round = 0; round < 2; round += 1) {
      const made = await stack.json('checkpoint', 'create', 'other/o');
      assert.deepEqual([made.proof, made.size.total], ['proven', 7]);
    }
    const env = await stack.resticEnv('other');
    assert.equal(env.RESTIC_REPOSITORY, vault);
    const { stdout } = await must('restic', ['ls', 'latest', '--tag', 'holdfast'], { env });
    assert.match(stdout, /\/files\/all\/file/);
    assert.doesNotMatch(stdout, /\/files\/all\/vault/);
  });
});
