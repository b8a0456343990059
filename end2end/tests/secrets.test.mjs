// The shop's secrets, the vault's password and the credentials occur nowhere but where they belong.
import assert from 'node:assert/strict';
import { readFileSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';

import { must, run, sleep, until } from './lib/process.mjs';
import { signIn } from './lib/sign-in.mjs';
import { Stack } from './lib/stack.mjs';

describe('secrets', () => {
  let stack;
  let secrets;
  let checkpoint;
  const processes = [];
  const printed = [];
  before(async () => {
    stack = await Stack.start({ name: 'secrets', scale: 5 });
    let watching = true;
    const watcher = (async () => {
      while (watching) {
        processes.push((await run('ps', ['-eo', 'args'])).stdout);
        await sleep(20);
      }
    })();
    for (const args of [
      ['apply', '-f', stack.yaml],
      ['checkpoint', 'create', 'production'],
      ['checkpoint', 'restore', 'production@latest', '--verbose'],
      ['checkpoint', 'verify', 'production@latest'],
      ['checkpoint', 'show', 'production@latest'],
      ['checkpoint', 'show', 'production@latest', '--json'],
      ['env', 'status', 'production'],
      ['logs', 'production'],
      ['doctor'],
    ]) {
      const { stdout, stderr } = await stack.ok(...args);
      printed.push(`${args.join(' ')}\n${stdout}${stderr}`);
    }
    // A failure must not tell more than a success.
    await stack.superuser("alter role shop password 'changed'");
    const { stdout, stderr } = await stack.cli('checkpoint', 'create', 'production');
    printed.push(stdout + stderr);
    await stack.superuser(`alter role shop password '${stack.databaseEnv().PGPASSWORD}'`);
    watching = false;
    await watcher;
    checkpoint = await stack.json('checkpoint', 'show', 'production@latest');

    stack.guard("the vault's password", (await stack.json('vault', 'recovery-kit', 'shop')).password);
    secrets = stack.secrets();
    assert.equal(Object.keys(secrets).length, 6, Object.keys(secrets).join(', '));
    for (const secret of Object.values(secrets)) assert.ok(secret.length >= 12);
  });
  after(() => stack?.down());

  const clean = (where, text) => {
    for (const [name, secret] of Object.entries(secrets)) assert.ok(!text.includes(secret), `${name} occurs in ${where}`);
  };

  test('not in arguments of any process', () => {
    assert.ok(processes.length > 20 && processes.some((list) => list.includes('pg_dump')), 'a dump was seen');
    clean('ps', processes.join('\n'));
  });

  test('what looks for secrets in every test would find one', async () => {
    stack.guard('a program', stack.binary);
    stack.guard('a line', 'a run begins');
    stack.look('the log', stack.logText());
    await until('both are found', () => stack.leaks.size === 2);
    assert.deepEqual([...stack.leaks].sort(), ['ps holds a program', 'the log holds a line']);
    for (const name of ['a program', 'a line']) delete stack.guarded[name];
    stack.leaks.clear();
  });

  test('not in what the commands print', () => printed.forEach((text) => clean(text.split('\n')[0], text)));

  test('not in the log of the server', () => {
    const log = stack.logText();
    assert.ok(log.length > 200);
    clean('the log', log);
  });

  test('not in any answer of the API', async () => {
    const runs = await stack.runs();
    const paths = [
      '/v1/projects',
      '/v1/environments',
      `/v1/environments/${checkpoint.environment.id}`,
      `/v1/environments/${checkpoint.environment.id}/logs`,
      '/v1/checkpoints',
      `/v1/checkpoints/${checkpoint.id}`,
      `/v1/checkpoints/${checkpoint.id}/manifest`,
      '/v1/runs',
      '/v1/environments/nowhere',
      ...runs.flatMap((run) => [`/v1/runs/${run.id}`, `/v1/runs/${run.id}/events`]),
    ];
    for (const path of paths) {
      const { status, body } = await stack.api('GET', path);
      assert.ok(status < 500, `${path}: ${status}`);
      clean(path, typeof body === 'string' ? body : JSON.stringify(body));
    }
  });

  test('not in the pages', async () => {
    const { cookie } = await signIn(stack);
    for (const path of ['/', '/projects/shop/production', `/checkpoints/${checkpoint.id}`, '/activity', '/projects']) {
      const response = await fetch(stack.url + path, { headers: { cookie } });
      assert.equal(response.status, 200, path);
      clean(path, await response.text());
    }
  });

  test('not in the catalogue, nor anywhere in the data directory but its own files', async () => {
    await stack.stop();
    const looked = [];
    for (const entry of readdirSync(stack.data, { recursive: true, withFileTypes: true })) {
      if (!entry.isFile() || entry.name === 'client.json') continue;
      const path = join(entry.parentPath ?? entry.path, entry.name);
      looked.push(path);
      clean(path, readFileSync(path, 'latin1'));
    }
    assert.ok(looked.some((path) => /catalogue|\.db$|\.sqlite/.test(path)), 'the catalogue was among them');
    await stack.serve();
  });

  test('the data directory is nobody else\'s', () => {
    assert.equal(statSync(stack.data).mode & 0o777, 0o700);
    assert.equal(statSync(join(stack.data, 'client.json')).mode & 0o777, 0o600);
  });

  test('the API takes no request without a credential, nor the cookie, nor a foreign Host', async () => {
    assert.equal((await fetch(`${stack.url}/v1/checkpoints`)).status, 401);
    const { cookie } = await signIn(stack);
    assert.equal((await fetch(`${stack.url}/v1/checkpoints`, { headers: { cookie } })).status, 401);
    assert.equal((await fetch(`${stack.url}/v1/checkpoints`, { headers: { authorization: 'Bearer hfk_wrong' } })).status, 401);
  });

  test('a listener beyond loopback is refused at start', async () => {
    const other = await run(stack.binary, ['serve'], { env: { HOLDFAST_DATA_DIR: join(stack.home, 'other'), HOLDFAST_LISTEN: '0.0.0.0:0' }, timeout: 10_000 });
    assert.notEqual(other.status, 0);
    assert.match(other.stderr + other.stdout, /beyond this machine .*https/);
    await must('true', []);
  });
});
