// A bucket with object lock keeps what is sealed, from everybody, the credential of the server itself included.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { Bucket } from './lib/bucket.mjs';
import { down, Stack } from './lib/stack.mjs';

describe('a vault in a bucket with object lock', () => {
  let bucket;
  let stack;
  let first;
  before(async () => {
    bucket = await Bucket.start('holdfast-locked', { locks: true });
    stack = await Stack.start({ name: 'object-lock', scale: 10 });
    stack.guard("the bucket's secret", bucket.secret);
  });
  after(() => down(stack, bucket));
  const add = (...more) => stack.cli('vault', 'add', 'shop', `s3://${bucket.name}/shop`, '--endpoint', bucket.endpoint, ...more, { env: bucket.env });

  test('is tried before it is used', async () => {
    const added = await add('--lock-days', '2');
    assert.equal(added.status, 0, added.stderr);
    for (const word of ['object lock', 'lock file', 'sealed object']) assert.match(added.stdout, new RegExp(`✓ ${word}`));
    await stack.apply();
  });

  test('a checkpoint is locked for the period, and so are those that stand on the same packs', async () => {
    first = await stack.json('checkpoint', 'create', 'production');
    assert.equal(first.proof, 'proven');
    assert.equal(first.protection, 'locked');
    const days = (new Date(first.locked_until) - new Date(first.created_at)) / 86_400_000;
    assert.ok(days > 1.99 && days < 2.01, `${days} days`);
    const second = await stack.json('checkpoint', 'create', 'production');
    assert.equal(second.protection, 'locked');
    const { body } = await stack.api('GET', `/v1/environments/${second.environment.id}/logs`);
    assert.ok(!JSON.stringify(body).includes('not locked'));
    const shown = await stack.ok('checkpoint', 'show', second.id);
    assert.match(shown.stdout, /Protection +locked +its bucket keeps it locked until/);
  });

  test('it cannot be deleted before, and a prune leaves it alone', async () => {
    const refused = await stack.cli('checkpoint', 'delete', first.id, '--yes');
    assert.equal(refused.status, 1);
    assert.match(refused.stderr, /its bucket keeps it locked until/);
    await stack.ok('vault', 'prune', 'shop');
    await stack.ok('checkpoint', 'verify', first.id);
  });

  test('whoever steals the credential removes nothing: what was hidden comes back', async () => {
    const keys = await bucket.keys();
    assert.ok(keys.length > 5, keys.join());
    for (const key of keys) await bucket.request('DELETE', `/${key}`);
    assert.deepEqual(await bucket.keys(), []);
    await stack.stop();
    await stack.serve();
    const gone = await stack.cli('checkpoint', 'verify', first.id);
    assert.equal(gone.status, 1);
    const back = await stack.ok('vault', 'repair', 'shop', '--undelete');
    assert.match(back.stdout, /every snapshot is whole/);
    await stack.ok('checkpoint', 'verify', first.id);
    const whole = await stack.ok('vault', 'check', 'shop', '--all');
    assert.match(whole.stdout, /nothing is damaged/);
    assert.equal((await stack.json('checkpoint', 'create', 'production')).proof, 'proven');
  });
});
