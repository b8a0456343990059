// The step before a migration: it runs only after a proven checkpoint, and after nothing else.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';

import { job, sha } from './lib/action.mjs';
import { environment, run, until } from './lib/process.mjs';
import { Stack, freePort } from './lib/stack.mjs';

let stack;
let key;

/** An environment of the shop's search index, and of its database; `smoke` is the drill's own question to the index. */
async function define(name, { smoke = 'select count(*) > 0 from sqlite_master', database = false } = {}) {
  const url = readFileSync(stack.yaml, 'utf8').match(/url: ("[^"]+")/)[1];
  const file = join(stack.app, `${name}.yaml`);
  writeFileSync(
    file,
    [
      'project: shop',
      `environment: ${name}`,
      'components:',
      ...(database ? [`  - {name: postgres, kind: postgres, url: ${url}}`] : []),
      '  - {name: search, kind: sqlite, path: ./search.db}',
      `drill: {smoke: [{component: search, sql: "${smoke}"}]}`,
      '',
    ].join('\n'),
    { mode: 0o600 },
  );
  await stack.apply(file);
}

/**
 * A proxy in front of the server that hands each whole answer to `alter`, or without `ask` each request without passing it
 * on; gives its address and a way to end it.
 */
async function proxy(alter, { ask = true } = {}) {
  const server = createServer(async (request, response) => {
    const parts = [];
    for await (const part of request) parts.push(part);
    if (!ask) return alter({ response, request });
    const { host, connection, ...headers } = request.headers;
    const answer = await fetch(stack.url + request.url, { method: request.method, headers, body: Buffer.concat(parts) });
    const type = answer.headers.get('content-type');
    await alter({ status: answer.status, type, text: await answer.text(), response, request });
  });
  await new Promise((done) => server.listen(0, '127.0.0.1', done));
  return { url: `http://127.0.0.1:${server.address().port}`, end: () => (server.closeAllConnections(), server.close()) };
}

const send = ({ response, status, type, text }) => response.writeHead(status, { 'content-type': type }).end(text);
const step = (given, options) => job({ url: stack.url, 'api-key': key, database: 'search', ...given }, options);
const locked = () =>
  until('the table is locked', async () =>
    Number(await stack.superuser("select count(*) from pg_locks where mode = 'AccessExclusiveLock' and granted and relation = 'orders'::regclass", 'shop')) > 0);
const runs = async () => (await stack.runs()).length;

before(async () => {
  stack = await Stack.start({ name: 'gate', scale: 2 });
  await define('prod-api', { database: true });
  await define('search');
  key = (await stack.json('key', 'create', 'ci', '--project', 'shop')).token;
});
after(() => stack?.down());

describe('the action', () => {
  test('lets the next step run after a proven checkpoint, and says what was proven', async () => {
    const seen = new Set();
    const look = setInterval(() => {
      for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
        try {
          if (readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(key)) seen.add(`argv of ${pid}`);
          if (readFileSync(`/proc/${pid}/comm`, 'utf8') !== 'curl\n') continue;
          seen.add('curl');
          if (readFileSync(`/proc/${pid}/environ`, 'utf8').includes(key)) seen.add(`environment of ${pid}`);
        } catch {} // it has ended meanwhile
      }
    }, 20);
    const done = await step({ database: 'prod-api' });
    clearInterval(look);
    assert.equal(done.status, 0, done.log);
    assert.equal(done.next, 1);
    assert.deepEqual([...seen], ['curl'], 'the key is in no argument and in no environment of curl');
    const shown = done.log.split('\n').filter((line) => !line.startsWith('::add-mask::'));
    assert.ok(shown.length > 1 && !shown.join().includes(key), 'the key is not in the log');

    const { checkpoint, proof, size, run: id, url } = done.output;
    assert.equal(proof, 'proven');
    const view = await stack.json('checkpoint', 'show', checkpoint);
    assert.deepEqual([view.proof, view.trigger, view.tags, view.run], ['proven', 'ci', [`pre-deploy-${sha}`], id]);
    assert.equal(view.size.display, size);
    assert.equal(url, `${stack.url}/checkpoints/${checkpoint}`);
    for (const text of [checkpoint, size, 'proven', 'prod-api', `pre-deploy-${sha}`]) assert.ok(done.summary.includes(`| ${text} |`), text);
  });

  test('takes a checkpoint of its own for each step and attempt', async () => {
    const ids = [];
    for (const attempt of [1, 1, 2]) ids.push((await step({}, { attempt })).output.checkpoint);
    assert.equal(new Set(ids).size, 3);
    assert.ok(ids.every((id) => id.startsWith('chk_')));
  });

  test('joins its own run where an answer was lost', async () => {
    const from = await runs();
    let lost = 0;
    const front = await proxy((answer) => {
      if (lost === 0 && answer.status === 200) return void (lost += 1, answer.request.socket.destroy());
      send(answer);
    });
    const done = await step({ url: front.url, tag: 'lost' });
    front.end();
    assert.deepEqual([done.status, done.next, lost, (await runs()) - from], [0, 1, 1, 1], done.log);
  });
});

describe('the next step does not run', () => {
  /** The step fails for the reason given, soon enough, and what comes after it does not run. */
  const stops = async (reason, given, options) => {
    const done = await step(given, options);
    assert.equal(done.next, 0, done.log);
    assert.equal(done.status, 1, done.log);
    assert.match(done.log, /^::error title=No proven checkpoint::/m);
    assert.match(done.log, reason);
    assert.match(done.summary, /the job stops here/);
    return done;
  };
  /** The same behind a proxy that hands the server's own answer to a proven checkpoint to `alter`. */
  let real;
  const replayed = (alter, reason, given) => behind((answer) => alter({ ...answer, ...real }), reason, { tag: 'real', ...given });
  before(async () => {
    const { status, type, body } = await stack.api('POST', '/api/checkpoint', { database: 'search', tag: 'real' });
    assert.deepEqual([status, type, body.ok], [200, 'application/json', true]);
    real = { status, type, text: JSON.stringify(body) };
  });
  const behind = async (alter, reason, given) => {
    const front = await proxy(alter, { ask: false });
    try {
      return await stops(reason, { url: front.url, ...given });
    } finally {
      front.end();
    }
  };

  test('when the server is down', async () => {
    const url = `http://127.0.0.1:${await freePort()}`;
    await stops(/not proven within 4 s; last: curl ended with 7/, { url, timeout: '4' });
  });

  test('when the key is wrong, missing, or would be more than a key', async () => {
    await stops(/HTTP 401: /, { 'api-key': 'hfk_wrong' });
    await stops(/api-key is empty/, { 'api-key': '' });
    await stops(/api-key is empty, or holds what no key holds/, { 'api-key': 'x"\nurl = "http://127.0.0.1:1' });
  });

  test('when it is asked for what there is not, or for nothing', async () => {
    await stops(/HTTP 404: there is no environment/, { database: 'prod-spi' });
    await stops(/database: give the name/, { database: '' });
    await stops(/database or environment, not both/, { environment: 'search' });
    await stops(/tag: use 1 to 64/, { tag: 'a b' });
    await stops(/url: give an address/, { url: 'holdfast.example.org' });
    await stops(/timeout: give a number/, { timeout: '30m' });
  });

  test('when the answer is 429, for as long as it waits', async () => {
    let asked = 0;
    const busy = ({ response }) => void ((asked += 1), response.writeHead(429, { 'retry-after': '1' }).end());
    await behind(busy, /not proven within 5 s; last: HTTP 429/, { timeout: '5', tag: 'busy' });
    assert.ok(asked > 1, 'it asked again');
  });

  test('when the answer is 500', async () => {
    await replayed((answer) => send({ ...answer, status: 500 }), /HTTP 500/);
  });

  test('when the answer is about another tag, another environment, or not ok', async () => {
    const changed = (from, to) => (answer) => send({ ...answer, text: answer.text.replace(from, to) });
    const reason = /not the one that Holdfast gives for this checkpoint/;
    for (const [from, to] of [
      ['"tag":"real"', '"tag":"pre-deploy-yesterday"'],
      ['"environment":"shop/search"', '"environment":"shop/staging"'],
      ['"ok":true', '"ok":false'],
      ['"ok":true', '"ok":"true"'],
      ['"ok":true', '"ok":true,"ok":false'],
      ['"restore_drill":"proven"', '"restore_drill":"partial"'],
      ['"restore_drill":"proven"', '"restore_drill":"proven","restore_drill":"failed"'],
      [/"checkpoint":"[^"]+",/, ''],
      [/^.*$/s, (whole) => `{"answer":${whole}}`],
    ]) {
      assert.notEqual(real.text.replace(from, to), real.text, `${from} is there`);
      await replayed(changed(from, to), reason);
    }
    const front = await proxy((answer) => send({ ...answer, ...real }), { ask: false });
    const done = await step({ url: front.url, tag: 'real' });
    front.end();
    assert.equal(done.next, 1, `and with the answer as it was it does: ${done.log}`);
  });

  test('when the answer is cut in the middle', async () => {
    const cut = ({ response, status, type, text }) => {
      response.writeHead(status, { 'content-type': type, 'content-length': Buffer.byteLength(text) });
      response.write(text.slice(0, -5), () => response.destroy());
    };
    await replayed(cut, /not proven within 4 s; .*last: curl ended with 18/, { timeout: '4' });
    // Without a length nobody but the reader of the text can tell.
    const silent = ({ response, status, type, text }) => {
      response.socket.end(`HTTP/1.0 ${status} OK\r\ncontent-type: ${type}\r\n\r\n${text.slice(0, -5)}`);
    };
    await replayed(silent, /not the one that Holdfast gives/);
  });

  test('when a proxy answers 200 with a page of its own', async () => {
    const page = ({ response }) => response.writeHead(200, { 'content-type': 'text/html' }).end('<h1>Sign in</h1> "ok":true');
    await behind(page, /not the one that Holdfast gives/);
    await replayed((answer) => send({ ...answer, type: 'text/html' }), /not the one that Holdfast gives/);
  });

  test('when a proxy sends it elsewhere', async () => {
    const moved = ({ response }) => response.writeHead(307, { location: `${stack.url}/api/checkpoint` }).end();
    await behind(moved, /HTTP 307/);
  });

  test('when the drill fails', async () => {
    await define('broken', { smoke: 'select 1 = 2' });
    const done = await stops(/HTTP 422: search: .*smoke/, { database: '', environment: 'shop/broken' });
    assert.equal(done.output.proof, 'failed');
    assert.match(done.summary, /\| Restore drill \| failed \|/);
    assert.equal((await stack.json('checkpoint', 'show', done.output.checkpoint)).proof, 'failed');
  });

  test('when the dump fails', async () => {
    await stack.superuser("alter role shop password 'something else'");
    try {
      await stops(/HTTP 422: the checkpoint failed: .*password/i, { database: 'prod-api' });
    } finally {
      await stack.superuser(`alter role shop password '${stack.databaseEnv().PGPASSWORD}'`);
    }
  });

  test('when the run is cancelled', async () => {
    const holder = spawn('psql', ['-Xqc', 'begin', '-c', 'lock table orders in access exclusive mode', '-c', 'select pg_sleep(300)'], {
      env: environment(stack.databaseEnv()),
      stdio: 'ignore',
    });
    try {
      await locked();
      await stops(/HTTP 422: the checkpoint was cancelled/, { database: 'prod-api' }, {
        during: async () => {
          const one = await until('the run is going', async () => (await stack.runs()).find((one) => one.state === 'running'));
          await stack.api('POST', `/v1/runs/${one.id}/cancel`, {});
        },
      });
    } finally {
      await stack.superuser("select pg_terminate_backend(pid) from pg_stat_activity where query like '%pg_sleep(300)%' and pid <> pg_backend_pid()");
      holder.kill();
    }
  });

  test('when it never ends', async () => {
    await stack.stop();
    await stack.serve({ env: { HOLDFAST_WORKERS: '0' } });
    try {
      const done = await stops(/not proven within 9 s; run_[a-z0-9]+ goes on without this job/, { tag: 'endless', timeout: '9' });
      assert.match(done.log, /run_[a-z0-9]+ is queued/);
      assert.ok(done.ms < 20_000, 'it does not wait for ever');
      await stack.api('POST', `/v1/runs/${done.output.run}/cancel`, {});
    } finally {
      await stack.stop();
      await stack.serve();
    }
  });
});

describe('one request of curl', () => {
  const bash = (script, env) => run('bash', ['-c', script], { env: { OFFSITEDB_API_KEY: key, GITHUB_SHA: sha, URL: stack.url, ...env }, timeout: 300_000 });
  const data = (tag, name = 'search') => `-H "Authorization: Bearer $OFFSITEDB_API_KEY" -H "Content-Type: application/json" -d '{"database": "${name}", "tag": "${tag}"}'`;

  test('as it is printed everywhere answers when the checkpoint is proven', async () => {
    const { status, stdout } = await bash(
      `curl -X POST $URL/api/checkpoint \\
-H "Authorization: Bearer $OFFSITEDB_API_KEY" \\
-H "Content-Type: application/json" \\
-d '{"database": "prod-api", "tag": "pre-deploy-'$GITHUB_SHA'"}'`,
    );
    assert.equal(status, 0);
    const answer = JSON.parse(stdout);
    assert.deepEqual([answer.ok, answer.tag, answer.restore_drill], [true, `pre-deploy-${sha}`, 'proven']);
    assert.equal(answer.size, (await stack.json('checkpoint', 'show', answer.checkpoint)).size.display);
  });

  test('that is to wait for two seconds at a time waits to the end all the same', async () => {
    const from = await runs();
    const log = stack.logText().length;
    const command = `curl -sS --fail-with-body --retry 1000 --retry-max-time 7200 -o answer.json -w '%{http_code} ' -H 'Prefer: wait=2' -X POST $URL/api/checkpoint ${data('patient', 'prod-api')}`;
    // A transaction of somebody else keeps the dump waiting, so that the first answer is no verdict.
    const holder = spawn('psql', ['-Xqc', 'begin', '-c', 'lock table orders in access exclusive mode', '-c', 'select pg_sleep(5)', '-c', 'commit'], {
      env: environment(stack.databaseEnv()),
      stdio: 'ignore',
    });
    await locked();
    const { status, stdout, stderr } = await bash(`cd ${stack.home} && ${command} && cat answer.json`);
    await new Promise((done) => (holder.exitCode === null ? holder.once('exit', done) : done()));
    assert.equal(status, 0, stdout + stderr);
    assert.match(stdout, /^200 \{"ok":true,"tag":"patient"/);
    assert.match(stack.logText().slice(log), /"path":"\/api\/checkpoint","status":503/, 'it was told to ask again, and did');
    assert.equal((await runs()) - from, 1, 'every repeat joined the first one');
  });

  test('and the same one at once are one checkpoint, for each key', async () => {
    const from = await runs();
    const ask = (header = '') => bash(`curl -sS -X POST $URL/api/checkpoint ${header} ${data('twins')}`);
    const answers = (await Promise.all([ask(), ask(), ask("-H 'Idempotency-Key: 17-1'"), ask("-H 'Idempotency-Key: 17-1'")])).map(({ stdout }) => JSON.parse(stdout));
    assert.ok(answers.every(({ ok }) => ok), JSON.stringify(answers));
    assert.equal((await runs()) - from, 2);
    assert.equal(answers[0].checkpoint, answers[1].checkpoint);
    assert.equal(answers[2].checkpoint, answers[3].checkpoint);
    const again = JSON.parse((await ask("-H 'Idempotency-Key: 17-1'")).stdout);
    assert.deepEqual([again.ok, again.checkpoint], [true, answers[2].checkpoint], 'the same key joins later, too');
    const { status, stdout } = await bash(`curl -sS --fail-with-body -X POST $URL/api/checkpoint -H 'Idempotency-Key: 17-1' ${data('other')}`);
    assert.equal(status, 22);
    assert.deepEqual([JSON.parse(stdout).ok, JSON.parse(stdout).status], [false, 409]);
  });

  test('that is refused ends with an error and not with a green', async () => {
    for (const [command, status] of [
      [`curl -sS --fail-with-body -X POST $URL/api/checkpoint ${data('x').replace('$OFFSITEDB_API_KEY', 'wrong')}`, 401],
      [`curl -sS --fail-with-body -X POST $URL/api/checkpoint ${data('x').replace('"search"', '"nothing"')}`, 404],
      [`curl -sS --fail-with-body -X POST $URL/api/checkpoint ${data('x').replace('"tag"', '"tga"')}`, 400],
    ]) {
      const done = await bash(command);
      assert.equal(done.status, 22, done.stdout);
      assert.deepEqual([JSON.parse(done.stdout).ok, JSON.parse(done.stdout).status], [false, status]);
    }
  });
});
