// One copy ends with its disk: a mirror in a bucket gets every checkpoint, is adopted when the first vault is gone, and can
// take its place.
import assert from 'node:assert/strict';
import { existsSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';

import { Bucket } from './lib/bucket.mjs';
import { must, until } from './lib/process.mjs';
import { down, Stack } from './lib/stack.mjs';

describe('a mirror of a vault', () => {
  let bucket;
  let stack;
  let mirror;
  before(async () => {
    bucket = await Bucket.start();
    stack = await Stack.start({ name: 'mirror', scale: 10 });
    stack.guard("the bucket's secret", bucket.secret);
    mirror = `s3:${bucket.endpoint}/${bucket.name}/mirror`;
    await stack.apply();
  });
  after(() => down(stack, bucket));
  const kit = () => join(stack.home, 'mirror-kit.json');
  const copied = (id) =>
    until('the mirror has it', async () => (await stack.json('checkpoint', 'show', id)).copies.length === 2);

  test('gets what there is, and each new checkpoint by itself', async () => {
    const early = await stack.cli('vault', 'copy', 'shop', `s3://${bucket.name}/mirror`, '--endpoint', bucket.endpoint, { env: bucket.env });
    assert.equal(early.status, 1, 'there is nothing to copy yet');
    assert.match(early.stderr, /has no vault yet/);
    const first = await stack.json('checkpoint', 'create', 'production');
    const made = await stack.ok('vault', 'copy', 'shop', `s3://${bucket.name}/mirror`, '--endpoint', bucket.endpoint, { env: bucket.env });
    assert.match(made.stdout, /1 checkpoint copied to s3:/);
    await copied(first.id);
    const second = await stack.json('checkpoint', 'create', 'production');
    await copied(second.id);
    const listed = await stack.json('vault', 'list');
    assert.deepEqual(listed.map((vault) => [vault.role, vault.checkpoints]), [['primary', [2, 2]], ['mirror', [2, 2]]]);
    assert.equal(listed[1].location, mirror);
    const shown = await stack.ok('vault', 'list');
    assert.match(shown.stdout, /^shop +primary +2 /m);
    const itself = await stack.cli('vault', 'copy', 'shop', listed[0].location);
    assert.match(itself.stderr, /own vault/);
  });

  test('is checked and pruned as the first one is', async () => {
    const all = await stack.ok('vault', 'check', 'shop', '--all', '--location', mirror);
    assert.match(all.stdout, /nothing is damaged/);
    await stack.ok('vault', 'prune', 'shop', '--location', mirror);
    const part = await stack.ok('vault', 'check', 'shop', '--part', '2/7');
    assert.match(part.stdout, /nothing is damaged/);
    const [run] = (await stack.runs()).filter((one) => one.kind === 'check');
    assert.equal(run.vault.project, 'shop');
    assert.equal(run.environment, undefined);
    const odd = await stack.cli('vault', 'check', 'shop', '--part', '8/7');
    assert.equal(odd.status, 2);
  });

  test('has a recovery kit of its own, with which stock restic reads it', async () => {
    const printed = await stack.ok('vault', 'recovery-kit', 'shop', '--location', mirror, '--json');
    writeFileSync(kit(), printed.stdout, { mode: 0o600 });
    const { password } = JSON.parse(printed.stdout);
    const env = { ...bucket.env, RESTIC_REPOSITORY: mirror, RESTIC_PASSWORD: password };
    const { stdout } = await must('restic', ['check', '--read-data'], { env, timeout: 600_000 });
    assert.match(stdout, /no errors were found/);
    const listed = JSON.parse((await must('restic', ['snapshots', '--json', '--tag', 'holdfast'], { env })).stdout);
    assert.equal(listed.length, 2);
  });

  test('is all that is needed when the host and its vault are gone', async () => {
    await stack.stop('SIGKILL');
    for (const lost of [stack.data, stack.scratch]) rmSync(lost, { recursive: true, force: true });
    await stack.serve();
    const adopted = await stack.json('vault', 'adopt', '--kit', kit(), { env: bucket.env });
    assert.equal(adopted.checkpoints, 2);
    assert.equal(adopted.new_drills, 2, 'their proofs were mirrored too');
    await stack.ok('env', 'confirm', 'shop/production', '--yes');
    assert.equal((await stack.json('checkpoint', 'show', 'production@latest')).proof, 'proven');
  });

  test('is moved back to a disk, where new checkpoints go from then on', async () => {
    const place = join(stack.home, 'moved');
    const moved = await stack.ok('vault', 'copy', 'shop', place, '--move');
    assert.match(moved.stdout, /primary vault now/);
    const before = readdirSync(join(place, 'snapshots')).length;
    const next = await stack.json('checkpoint', 'create', 'production');
    assert.equal(next.vault.repository, place);
    assert.ok(readdirSync(join(place, 'snapshots')).length > before);
    assert.ok(existsSync(place));
    const roles = (await stack.json('vault', 'list')).map((vault) => [vault.role, vault.location]);
    assert.deepEqual(roles, [['primary', place], ['former', mirror]]);
  });
});
