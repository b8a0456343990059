// Holdfast as the unit file runs it: an ordinary system user, no capabilities, no new privileges; and an upgrade in place.
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';

import { must, run } from './lib/process.mjs';
import { Stack, repository } from './lib/stack.mjs';

const root = process.getuid() === 0;
const unit = readFileSync(join(repository, 'server/holdfast.service'), 'utf8');
const setting = (name) => unit.match(new RegExp(`^${name}=(.*)$`, 'm'))?.[1];

describe('the unit file', () => {
  test('names the binary, an ordinary user and a private data directory', () => {
    assert.match(setting('ExecStart'), /^\/usr\/local\/bin\/holdfast serve$/);
    assert.notEqual(setting('User'), 'root');
    assert.equal(setting('NoNewPrivileges'), 'yes');
    assert.equal(setting('StateDirectoryMode'), '0700');
  });

  test('systemd understands it', async (t) => {
    const verified = await run('systemd-analyze', ['verify', '--man=no', join(repository, 'server/holdfast.service')]).catch(() => null);
    if (!verified) return t.skip('systemd-analyze is not here');
    // The binary and the user are not installed on the machine that tests.
    const said = verified.stderr.split('\n').filter((line) => line.includes('holdfast.service') && !/not executable|No such file|Unknown user|user.*not found/i.test(line));
    assert.deepEqual(said, []);
  });
});

describe('as an ordinary system user', { skip: !root && 'only root can make a user and become it' }, () => {
  const user = 'holdfast-e2e';
  let stack;
  before(async () => {
    await must('useradd', ['--system', '--no-create-home', '--shell', '/usr/sbin/nologin', user]);
    const uid = Number((await must('id', ['-u', user])).stdout);
    stack = await Stack.start({
      name: 'user',
      scale: 5,
      uid,
      as: ['setpriv', '--reuid', user, '--regid', user, '--clear-groups', '--no-new-privs', '--bounding-set=-all', '--inh-caps=-all'],
      env: { HOME: '/nonexistent' },
    });
  });
  after(async () => {
    await stack?.down();
    await run('userdel', [user]);
  });

  test('the server has none of root', () => {
    const status = readFileSync(`/proc/${stack.server.pid}/status`, 'utf8');
    assert.match(status, /^CapEff:\s0+$/m);
    assert.match(status, /^CapBnd:\s0+$/m);
    assert.match(status, /^NoNewPrivs:\s1$/m);
    assert.doesNotMatch(status, /^Uid:\s0/m);
  });

  test('it seals, proves, and puts back', async (t) => {
    await stack.apply();
    const made = await stack.json('checkpoint', 'create', 'production');
    assert.equal(made.proof, 'proven');
    t.diagnostic(`sandbox: ${made.drill.sandbox}`);
    await stack.demo('bad-migration');
    await stack.ok('checkpoint', 'restore', made.id);
    assert.ok(Number(await stack.sql('select count(email) from customers')) > 0);
    const { stdout } = await stack.ok('doctor');
    t.diagnostic(stdout);
  });
});

const earlier = join(repository, 'target/upgrade/holdfast');

describe('an upgrade', { skip: !existsSync(earlier) && 'no earlier release could be built' }, () => {
  let stack;
  before(async () => {
    stack = await Stack.start({ name: 'upgrade', scale: 5, binary: earlier });
    await stack.apply();
  });
  after(() => stack?.down());

  test('keeps the data directory: old checkpoints are listed, proven and restored, new ones follow', async () => {
    const old = await stack.json('checkpoint', 'create', 'production', '--name', 'by-the-earlier');
    assert.equal(old.proof, 'proven');
    const manifest = (await stack.cli('checkpoint', 'cat', old.id, 'manifest.json')).bytes;
    await stack.stop();

    stack.binary = join(repository, 'target/release/holdfast');
    await stack.serve();
    const shown = await stack.json('checkpoint', 'show', old.id);
    assert.equal(shown.proof, 'proven');
    assert.deepEqual(shown.ledger, old.ledger);
    assert.deepEqual((await stack.cli('checkpoint', 'cat', old.id, 'manifest.json')).bytes, manifest);
    assert.equal((await stack.cli('checkpoint', 'drill', old.id)).status, 0);
    const next = await stack.json('checkpoint', 'create', 'production');
    assert.equal(next.proof, 'proven');
    assert.ok(next.size.stored < old.size.stored / 2, 'it builds upon the vault that is there');
    await stack.demo('bad-migration');
    await stack.ok('checkpoint', 'restore', old.id);
    await must('restic', ['check', '--read-data'], { env: await stack.resticEnv(), timeout: 300_000 });
  });
});
