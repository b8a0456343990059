// Whoever holds the bucket's credential, which writes and deletes nothing but locks, in a bucket with object lock: an
// hour's tries to destroy, to alter unseen, and to read.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';

import { Bucket } from './lib/bucket.mjs';
import { down, Stack } from './lib/stack.mjs';

describe('a credential that writes and cannot delete', () => {
  let bucket;
  let stack;
  let thief;
  let first;
  let second;

  /** Status and text of what the thief asks. */
  const tries = async (method, path, more = {}) => {
    const said = await bucket.request(method, path, { as: thief, ...more });
    const [, text, status] = said.match(/^([^]*)\n(\d+)$/);
    return { status: Number(status), text };
  };
  const keys = async (folder) => (await bucket.keys()).filter((key) => key.startsWith(`shop/${folder}`));

  before(async () => {
    bucket = await Bucket.start('holdfast-append', { locks: true });
    thief = await bucket.appendOnly('shop');
    stack = await Stack.start({ name: 'append-only', scale: 10 });
    stack.guard("the bucket's secret", bucket.secret);
    const add = ['vault', 'add', 'shop', `s3://${bucket.name}/shop`, '--endpoint', bucket.endpoint, '--lock-days', '2'];
    // The server's own credential may remove what no checkpoint needs; the thief has the one of a pipeline or an agent.
    const added = await stack.cli(...add, { env: bucket.env });
    assert.equal(added.status, 0, added.stdout + added.stderr);
    await stack.apply();
    first = await stack.json('checkpoint', 'create', 'shop/production');
    second = await stack.json('checkpoint', 'create', 'shop/production');
    assert.deepEqual([first.proof, first.protection, second.proof], ['proven', 'locked', 'proven']);
  });
  after(() => down(stack, bucket));

  test('deletes nothing, in none of the ways that there are', async () => {
    const all = (await bucket.keys()).filter((key) => !key.startsWith('shop/locks/'));
    assert.ok(all.length > 5, all.join());
    for (const key of all) assert.equal((await tries('DELETE', `/${key}`)).status, 403, key);
    const listed = all.map((key) => `<Object><Key>${key}</Key></Object>`).join('');
    const { text } = await tries('POST', '?delete=', { body: `<Delete>${listed}</Delete>` });
    assert.ok(!text.includes('<Deleted>'), text);
    const versions = (await bucket.request('GET', '?versions=')).matchAll(/<Version><Key>([^<]+)<\/Key><VersionId>([^<]+)</g);
    let tried = 0;
    for (const [, key, version] of versions) {
      if (key.startsWith('shop/locks/')) continue;
      tried += 1;
      assert.equal((await tries('DELETE', `/${key}?versionId=${version}`)).status, 403, key);
      // Not even whoever may do everything with the bucket, while it is held.
      assert.match(await bucket.request('DELETE', `/${key}?versionId=${version}`), /\n403$/, key);
    }
    assert.ok(tried >= all.length, `${tried} versions`);
    assert.equal((await tries('DELETE', '')).status, 403, 'the bucket');
    assert.deepEqual((await bucket.keys()).filter((key) => !key.startsWith('shop/locks/')), all);
  });

  test('ends no lock and no setting that keeps them', async () => {
    const [snapshot] = await keys('snapshots/');
    const soon = new Date(Date.now() + 5_000).toISOString();
    const retention = (mode) => `<Retention xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Mode>${mode}</Mode><RetainUntilDate>${soon}</RetainUntilDate></Retention>`;
    for (const [path, body, headers] of [
      [`/${snapshot}?retention=`, retention('COMPLIANCE')],
      [`/${snapshot}?retention=`, retention('GOVERNANCE')],
      [`/${snapshot}?retention=`, retention('GOVERNANCE'), ['x-amz-bypass-governance-retention: true']],
      [`/${snapshot}?retention=`, '<Retention xmlns="http://s3.amazonaws.com/doc/2006-03-01/"></Retention>'],
      ['?versioning=', '<VersioningConfiguration><Status>Suspended</Status></VersioningConfiguration>'],
      ['?object-lock=', '<ObjectLockConfiguration></ObjectLockConfiguration>'],
      ['?policy=', '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"s3:*","Resource":"*"}]}'],
      ['?lifecycle=', '<LifecycleConfiguration><Rule><ID>x</ID><Status>Enabled</Status><Prefix></Prefix><Expiration><Days>1</Days></Expiration></Rule></LifecycleConfiguration>'],
      ['?acl=', '<AccessControlPolicy></AccessControlPolicy>'],
    ]) {
      const { status, text } = await tries('PUT', path, { body, headers });
      assert.ok(status === 403 || status === 400, `${path}: ${status} ${text}`);
    }
    assert.match((await stack.cli('checkpoint', 'delete', first.id, '--yes')).stderr, /its bucket keeps it locked until/);
  });

  test('reads no content of any checkpoint, and nothing of another place in the bucket', async () => {
    const secrets = [/alter role/i, /customers/, /SESSION_SECRET/, /create table/i, /holdfast\.yaml/];
    const env = readFileSync(`${stack.app}/.env`, 'utf8').match(/^PAYMENT_KEY="?([^"\n]*)/m)[1];
    let read = 0;
    for (const key of await bucket.keys()) {
      const { status, text } = await tries('GET', `/${key}`);
      assert.equal(status, 200, key);
      read += text.length;
      for (const secret of secrets) assert.ok(!secret.test(text), `${secret} in ${key}`);
      assert.ok(!text.includes(env), key);
    }
    assert.ok(read > 100_000, 'the packs were among them');
    assert.match(await bucket.request('PUT', '/blog/secret', { body: 'x' }), /\n200$/);
    for (const [method, path] of [['GET', '/blog/secret'], ['PUT', '/blog/secret'], ['PUT', '/blog/other'], ['GET', '/blog/secret?versions=']]) {
      assert.equal((await tries(method, path, method === 'PUT' ? { body: 'y' } : {})).status, 403, `${method} ${path}`);
    }
    const copied = await tries('PUT', '/shop/data/stolen', { headers: [`x-amz-copy-source: /${bucket.name}/blog/secret`], body: '' });
    assert.equal(copied.status, 403, copied.text);
  });

  test('what it overwrites is found, never believed, and comes back', async () => {
    const garbage = 'overwritten by whoever holds the credential'.repeat(50);
    const targets = ['shop/config', ...(await keys('keys/')), ...(await keys('snapshots/')), ...(await keys('index/')), ...(await keys('data/'))];
    for (const key of targets) assert.equal((await tries('PUT', `/${key}`, { body: garbage })).status, 200, key);
    // A server that has read nothing of it before.
    await stack.stop();
    await stack.serve();
    for (const args of [['checkpoint', 'verify', first.id], ['checkpoint', 'drill', first.id], ['checkpoint', 'restore', first.id, '--yes'], ['checkpoint', 'create', 'shop/production']]) {
      const done = await stack.cli(...args);
      assert.notEqual(done.status, 0, `${args.join(' ')}: ${done.stdout}`);
      assert.ok(!/\bproven\b|\bsealed\b/i.test(done.stdout.replace(/.*(not|never|last|was) (proven|sealed).*/gi, '')), done.stdout);
    }
    assert.equal(await stack.sql('select count(*) > 0 from customers'), 't', 'nothing was put over what runs');
    assert.notEqual((await stack.json('checkpoint', 'show', first.id)).integrity, 'intact');
    // The owner of the bucket comes with a credential of their own.
    const back = await stack.cli('vault', 'repair', 'shop', '--undelete');
    assert.match(back.stdout + back.stderr, /every snapshot is whole/);
    await stack.ok('checkpoint', 'verify', first.id);
    await stack.ok('checkpoint', 'drill', second.id);
    assert.equal((await stack.json('checkpoint', 'show', second.id)).proof, 'proven');
  });

  test('what it puts beside them is no checkpoint and stops none', async () => {
    const { id } = first;
    const forged = 'f'.repeat(64);
    for (const folder of ['snapshots', 'index', 'keys', 'locks']) {
      assert.equal((await tries('PUT', `/shop/${folder}/${forged}`, { body: `{"forged":"${id}"}` })).status, 200, folder);
    }
    await stack.stop();
    await stack.serve();
    const before = (await stack.json('checkpoint', 'list', '--limit', '100')).count;
    // It can stand in the way; then it is named, and nothing is called what it is not.
    const taken = await stack.cli('checkpoint', 'create', 'shop/production', '--json');
    if (taken.status === 0) assert.equal(JSON.parse(taken.stdout).proof, 'proven');
    else assert.match(taken.stderr, new RegExp(forged.slice(0, 8)));
    const verified = await stack.cli('checkpoint', 'verify', first.id);
    if (verified.status !== 0) assert.match(verified.stdout + verified.stderr, new RegExp(forged.slice(0, 8)));
    const mended = await stack.cli('vault', 'repair', 'shop');
    assert.equal(mended.status, 0, mended.stdout + mended.stderr);
    for (const folder of ['snapshots', 'index', 'keys', 'locks']) {
      const left = (await keys(`${folder}/`)).filter((key) => key.endsWith(forged));
      if (left.length > 0) assert.match(await bucket.request('DELETE', `/${left[0]}`), /\n204$/, 'its owner takes it out');
    }
    await stack.ok('checkpoint', 'verify', first.id);
    await stack.ok('checkpoint', 'drill', second.id);
    assert.equal((await stack.json('checkpoint', 'show', second.id)).proof, 'proven');
    assert.equal((await stack.json('checkpoint', 'create', 'shop/production')).proof, 'proven');
    const listed = await stack.json('checkpoint', 'list', '--limit', '100');
    assert.equal(listed.count, before + (taken.status === 0 ? 2 : 1), 'a forged snapshot is no checkpoint');
  });
});
