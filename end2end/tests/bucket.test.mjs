// The whole path with its vault in a bucket, and the bad day after which nothing but the bucket and the kit is left.
import assert from 'node:assert/strict';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';

import { launch, open, signedIn } from './lib/browser.mjs';
import { Bucket } from './lib/bucket.mjs';
import { must, until } from './lib/process.mjs';
import { down, Stack } from './lib/stack.mjs';

describe('a vault in a bucket', () => {
  let bucket;
  let stack;
  let place;
  before(async () => {
    bucket = await Bucket.start();
    stack = await Stack.start({ name: 'bucket', scale: 10 });
    stack.guard("the bucket's secret", bucket.secret);
    place = [`s3://${bucket.name}/vaults/shop`, '--endpoint', bucket.endpoint, { env: bucket.env }];
  });
  after(() => down(stack, bucket));
  const kit = () => join(stack.home, 'kit.json');
  const restic = async () => ({ ...(await stack.resticEnv()), ...bucket.env });

  test('it is tried before it is used, and a wrong key is refused with what failed', async () => {
    const wrong = await stack.cli('vault', 'add', 'shop', ...place.slice(0, -1), { env: { ...bucket.env, AWS_SECRET_ACCESS_KEY: 'not it' } });
    assert.equal(wrong.status, 1);
    assert.match(wrong.stderr, /cannot hold a vault: put: /);
    assert.doesNotMatch(wrong.stderr + wrong.stdout, /not it/);
    const none = await stack.cli('vault', 'add', 'shop', ...place.slice(0, -1), { env: { AWS_ACCESS_KEY_ID: undefined, AWS_SECRET_ACCESS_KEY: undefined } });
    assert.equal(none.status, 2);
    const added = await stack.ok('vault', 'add', 'shop', ...place);
    for (const word of ['put', 'get', 'range', 'multipart', 'list', 'delete']) assert.match(added.stdout, new RegExp(`✓ ${word}`));
    const again = await stack.cli('vault', 'add', 'shop', `s3://${bucket.name}/elsewhere`, ...place.slice(1));
    assert.match(again.stderr, /has a vault already/);
    const listed = await stack.json('vault', 'list');
    assert.deepEqual(listed.map((vault) => [vault.project, vault.location]), [['shop', `s3:${bucket.endpoint}/${bucket.name}/vaults/shop`]]);
  });

  test('Back up now seals into it and is proven from it', async () => {
    await stack.apply();
    const browser = await launch();
    try {
      const { page, problems } = await signedIn(browser, stack);
      await open(page, `${stack.url}/projects/shop/production`);
      await page.getByRole('button', { name: 'Back up now' }).click();
      const [run] = await until('the run is there', async () => (await stack.runs()).length > 0 && stack.runs());
      assert.equal((await stack.ended(run.id)).message, 'proven');
      await page.locator('[data-panel]').getByText('proven', { exact: true }).first().waitFor();
      assert.deepEqual(problems, []);
    } finally {
      await browser.close();
    }
    const made = await stack.json('checkpoint', 'show', 'production@latest');
    assert.equal(made.proof, 'proven');
    assert.match(made.vault.repository, /^s3:http/);
    assert.ok(!existsSync(stack.vault()), 'nothing of it lies on the disk');
    const again = await stack.json('checkpoint', 'create', 'production');
    assert.equal(again.proof, 'proven');
    assert.ok(again.size.stored < again.size.total / 4);
    await stack.ok('checkpoint', 'verify', made.id);
  });

  test('stock restic opens the bucket', async () => {
    const env = await restic();
    const { stdout } = await must('restic', ['check', '--read-data'], { env, timeout: 600_000 });
    assert.match(stdout, /no errors were found/);
    const listed = JSON.parse((await must('restic', ['snapshots', '--json', '--tag', 'holdfast'], { env })).stdout);
    assert.equal(listed.length, 2);
  });

  test('the key to the bucket is nowhere in the clear', async () => {
    writeFileSync(kit(), (await stack.ok('vault', 'recovery-kit', 'shop', '--json')).stdout, { mode: 0o600 });
    const answers = [stack.logText(), readFileSync(kit(), 'utf8')];
    for (const path of ['/v1/vaults', '/v1/projects', '/v1/runs', '/v1/environments']) {
      answers.push(JSON.stringify((await stack.api('GET', path)).body));
    }
    const files = ['catalogue.db', 'catalogue.db-wal'].map((name) => join(stack.data, name)).filter((file) => existsSync(file));
    for (const file of files) answers.push(readFileSync(file, 'latin1'));
    for (const answer of answers) assert.ok(!answer.includes(bucket.secret));
  });

  test('after the loss of the host five commands bring the application back', async (t) => {
    await must(join(stack.app, 'bin/stop'), []);
    await stack.stop('SIGKILL');
    for (const lost of [stack.data, stack.scratch, stack.app]) rmSync(lost, { recursive: true, force: true });
    await stack.superuser('drop database shop with (force)');
    await stack.superuser('drop role shop; drop role shop_reader');
    const password = readFileSync(join(stack.home, 'postgres/password'), 'utf8').trim();

    const begun = performance.now();
    await stack.serve(); // 1
    await stack.ok('vault', 'adopt', '--kit', kit(), { env: bucket.env }); // 2
    await stack.ok('env', 'confirm', 'shop/production', '--yes'); // 3
    await stack.superuser(`create role shop login createdb password '${password}'; create role shop_reader`); // 4
    await stack.ok('checkpoint', 'restore', 'production@latest', '--no-backup', '--yes'); // 5
    t.diagnostic(`the application answers again after ${((performance.now() - begun) / 1000).toFixed(1)} s`);
    const port = readFileSync(join(stack.app, '.env'), 'utf8').match(/^PORT=(\d+)/m)[1];
    assert.equal((await fetch(`http://127.0.0.1:${port}/healthz`)).status, 200);
    const next = await stack.json('checkpoint', 'create', 'production');
    assert.equal(next.proof, 'proven');
  });
});
