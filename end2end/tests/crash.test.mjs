// kill -9 of the server at ten moments of a run. Afterwards nothing hangs, nothing is sealed twice, nothing is harmed.
import assert from 'node:assert/strict';
import { readFileSync, readdirSync, watch } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';

import { must, sleep, until, within } from './lib/process.mjs';
import { Stack } from './lib/stack.mjs';

const over = new Set(['succeeded', 'warning', 'failed', 'cancelled']);

describe('kill -9', () => {
  let stack;
  let duration;
  let known;
  before(async () => {
    stack = await Stack.start({ name: 'crash', scale: 10 });
    await stack.apply();
    await stack.ok('checkpoint', 'create', 'production', '--quiet');
    const from = performance.now();
    await stack.ok('checkpoint', 'create', 'production', '--quiet');
    duration = performance.now() - from;
    known = await ids();
  });
  after(() => stack?.down());

  const ids = async () => (await stack.json('checkpoint', 'list', '--limit', '200')).items.map((item) => item.id);

  const start = async () => {
    const { status, body } = await stack.api('POST', '/v1/checkpoints', { environment: 'production' });
    assert.equal(status, 202, JSON.stringify(body));
    return body;
  };

  const killAndLookAround = async (run) => {
    stack.server.kill('SIGKILL');
    await stack.server.ended;
    const children = await orphans();
    await stack.serve();

    const ended = await stack.ended(run.id, 120_000);
    assert.ok(over.has(ended.state));
    for (const other of await stack.runs()) assert.ok(over.has(other.state), `${other.id} is ${other.state}`);

    const now = await ids();
    for (const id of known) assert.ok(now.includes(id), `${id} is still there`);
    const visible = now.includes(run.checkpoint);
    assert.equal(visible, ended.sealed, 'what is shown as sealed is what was sealed');
    if (ended.state === 'succeeded') assert.ok(visible);

    const env = await stack.resticEnv();
    const snapshots = JSON.parse((await must('restic', ['snapshots', '--json'], { env })).stdout ?? '[]');
    const seals = snapshots.filter((snapshot) => snapshot.tags?.includes(`holdfast:${run.checkpoint}`));
    assert.equal(seals.length, visible ? 1 : 0, 'never sealed twice, never half');
    await must('restic', ['check'], { env, timeout: 300_000 });
    assert.deepEqual(await orphans(), [], `no child of the dead server lives on (right after it died: ${children.length})`);

    const next = (await stack.ok('checkpoint', 'create', 'production', '--quiet')).stdout.trim();
    known = [...new Set([...now, next])];
    return ended;
  };

  // Scratch servers, dumps and restores whose arguments name this stack's data directory or its scratch space.
  const orphans = async () => {
    const found = [];
    for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
      try {
        const line = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
        const ours = line.includes(stack.data) || line.includes(stack.scratch);
        if (Number(pid) !== stack.server.pid && ours && /postgres|pg_/.test(line)) found.push(line);
      } catch {
        // gone meanwhile
      }
    }
    return found;
  };

  for (const part of [1, 2, 3, 4, 5, 6, 7, 8, 9]) {
    test(`at ${part} tenths of a run`, async (t) => {
      const run = await start();
      await sleep((duration * part) / 10);
      const ended = await killAndLookAround(run);
      t.diagnostic(`the run ended as ${ended.state}${ended.message ? `: ${ended.message}` : ''}`);
    });
  }

  test('between the snapshot and the catalogue', async (t) => {
    const folder = join(stack.vault(), 'snapshots');
    const before = new Set(readdirSync(folder));
    let watcher;
    const appeared = new Promise((seen) => {
      watcher = watch(folder, (_, name) => {
        // A temporary name does not count: the snapshot is there once it has its own.
        if (/^[0-9a-f]{64}$/.test(name ?? '') && !before.has(name)) {
          stack.server.kill('SIGKILL');
          seen();
        }
      });
    });
    const run = await start();
    assert.ok(await within(120_000, appeared.then(() => true)), 'no snapshot appeared');
    watcher.close();
    const ended = await killAndLookAround(run);
    t.diagnostic(`the run ended as ${ended.state}`);
    assert.ok(ended.sealed, 'the seal had happened, so the run goes on from it');
    assert.ok((await ids()).includes(run.checkpoint));
  });

  test('a cancelled run is not killed: it ends as cancelled, and nothing is published', async () => {
    const run = await start();
    await until('it runs', async () => (await stack.api('GET', `/v1/runs/${run.id}`)).body.state === 'running', { every: 10 });
    await stack.api('POST', `/v1/runs/${run.id}/cancel`);
    const ended = await stack.ended(run.id);
    assert.equal(ended.state, 'cancelled');
    assert.ok(!(await ids()).includes(run.checkpoint));
    await stack.ok('checkpoint', 'create', 'production', '--quiet');
  });
});
