// A dump that cannot be had never becomes a checkpoint, and the person is told which of the reasons it was.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';

import { environment, must, run, sleep, until } from './lib/process.mjs';
import { Stack } from './lib/stack.mjs';

const root = process.getuid() === 0;

describe('a failing dump', () => {
  let stack;
  before(async () => {
    stack = await Stack.start({ name: 'failures', scale: 10 });
    await stack.apply();
    await stack.ok('checkpoint', 'create', 'production', '--quiet', '--no-drill');
  });
  after(() => stack?.down());

  const count = async () => (await stack.json('checkpoint', 'list')).count;
  const snapshots = () => readdirSync(join(stack.vault(), 'snapshots')).length;

  /** Creates while something is wrong: it must fail, say why, and leave neither checkpoint nor snapshot. */
  const refuses = async (reason, { within = 120_000, during } = {}) => {
    const [checkpoints, seals] = [await count(), snapshots()];
    const from = performance.now();
    const creating = stack.cli('checkpoint', 'create', 'production', '--no-drill');
    if (during) await during();
    const { status, stdout, stderr } = await creating;
    assert.equal(status, 1, stdout + stderr);
    assert.match(stderr + stdout, reason);
    assert.ok(performance.now() - from < within, 'it does not wait for ever');
    assert.equal(await count(), checkpoints);
    assert.equal(snapshots(), seals);
    const [last] = await stack.runs();
    assert.equal(last.state, 'failed');
    assert.match(last.message, reason);
  };
  const works = () => stack.ok('checkpoint', 'create', 'production', '--quiet', '--no-drill');

  test('wrong password', async () => {
    const { PGPASSWORD } = stack.databaseEnv();
    await stack.superuser("alter role shop password 'something else'");
    await refuses(/password/i);
    await stack.superuser(`alter role shop password '${PGPASSWORD}'`);
    await works();
  });

  test('a table locked by somebody else', async () => {
    const holder = spawn('psql', ['-Xqc', "begin", '-c', 'lock table orders in access exclusive mode', '-c', 'select pg_sleep(300)'], {
      env: environment(stack.databaseEnv()),
      stdio: 'ignore',
    });
    try {
      await until('the table is locked', async () =>
        Number(await stack.superuser("select count(*) from pg_locks where mode = 'AccessExclusiveLock' and granted and relation = 'orders'::regclass", 'shop')) > 0);
      await refuses(/lock/i);
    } finally {
      await stack.superuser("select pg_terminate_backend(pid) from pg_stat_activity where query like '%pg_sleep(300)%' and pid <> pg_backend_pid()");
      holder.kill();
    }
    await works();
  });

  test('the database server goes away in the middle', async () => {
    await refuses(/connection|server|terminat|closed|shutting down/i, {
      during: async () => {
        await until('the dump streams', async () => (await run('pgrep', ['-P', String(stack.server.pid), '-f', 'pg_dump'])).status === 0 || null, { every: 20, timeout: 20_000 });
        await sleep(30);
        await stack.pgCtl('stop', '-m', 'immediate');
      },
    });
    const { PGPORT } = stack.databaseEnv();
    const started = await stack.pgCtl(
      'start', '-l', join(stack.home, 'run/postgres.log'), '-o',
      `-c listen_addresses=127.0.0.1 -c port=${PGPORT} -c unix_socket_directories='${join(stack.home, 'postgres/socket')}'`,
    );
    assert.equal(started.status, 0, started.stderr);
    await works();
  });

  test('the database is not there at all', async () => {
    const { PGPORT } = stack.databaseEnv();
    await stack.pgCtl('stop', '-m', 'fast');
    await refuses(/connect|refused/i);
    await stack.pgCtl(
      'start', '-l', join(stack.home, 'run/postgres.log'), '-o',
      `-c listen_addresses=127.0.0.1 -c port=${PGPORT} -c unix_socket_directories='${join(stack.home, 'postgres/socket')}'`,
    );
    await works();
  });

  test('a file that cannot be read lowers the verdict and is listed', { skip: root && 'root reads every file' }, async () => {
    writeFileSync(join(stack.app, 'uploads/secret'), 'x', { mode: 0 });
    const made = await stack.cli('checkpoint', 'create', 'production', '--json');
    assert.equal(made.status, 3, made.stderr);
    const shown = JSON.parse(made.stdout);
    assert.equal(shown.proof, 'partial');
    assert.ok(shown.skipped.some((entry) => JSON.stringify(entry).includes('secret')));
  });
});

describe('a full disk under the vault', { skip: !root && 'only root can mount a small disk' }, () => {
  let stack;
  let mounted = false;
  before(async () => {
    stack = await Stack.start({ name: 'full', scale: 10, serve: false });
    mkdirSync(join(stack.data, 'vaults'), { recursive: true, mode: 0o700 });
    await must('chmod', ['700', stack.data]);
    await must('mount', ['-t', 'tmpfs', '-o', 'size=6m,mode=700', 'tmpfs', join(stack.data, 'vaults')]);
    mounted = true;
    await stack.serve();
    await stack.apply();
  });
  after(async () => {
    await stack?.stop().catch(() => {});
    if (mounted) await run('umount', ['-l', join(stack.data, 'vaults')]);
    await stack?.down();
  });

  test('is named as the reason; nothing is sealed; with room it works', async () => {
    const { status, stdout, stderr } = await stack.cli('checkpoint', 'create', 'production', '--no-drill');
    assert.equal(status, 1, stdout + stderr);
    assert.match(stderr + stdout, /no space|disk is full|full/i);
    assert.equal((await stack.json('checkpoint', 'list')).count, 0);
    await must('mount', ['-o', 'remount,size=800m', join(stack.data, 'vaults')]);
    await stack.ok('checkpoint', 'create', 'production', '--quiet');
    await must('restic', ['check', '--read-data'], { env: await stack.resticEnv() });
  });

  test('a checkpoint that cannot fit is not begun', async () => {
    await stack.ok('checkpoint', 'create', 'production', '--quiet', '--no-drill');
    const vaults = join(stack.data, 'vaults');
    await must('bash', ['-c', `fallocate -l $(($(df --output=avail -B1 '${vaults}' | tail -n 1) - 1000000)) '${vaults}/fill'`]);
    const before = (await stack.json('checkpoint', 'list')).count;
    const { status, stdout, stderr } = await stack.cli('checkpoint', 'create', 'production', '--no-drill');
    assert.equal(status, 1, stdout + stderr);
    assert.match(stdout + stderr, /would not fit: .* are free where the vault lies/);
    assert.doesNotMatch(stdout + stderr, /✓/, 'nothing was captured');
    assert.equal((await stack.json('checkpoint', 'list')).count, before);
    rmSync(join(vaults, 'fill'));
    await stack.ok('checkpoint', 'create', 'production', '--quiet', '--no-drill');
  });
});
