// A checkpoint leaves Holdfast, is read by everybody's tools, and comes back into another Holdfast, proven and equal.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { chmodSync, cpSync, existsSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';

import { Bucket } from './lib/bucket.mjs';
import { must, run, until } from './lib/process.mjs';
import { binary, down, postgresBin, Stack } from './lib/stack.mjs';

describe('export and import', () => {
  let stack;
  let bucket;
  let other; // a second Holdfast on the same application
  let made;
  let out;
  before(async () => {
    bucket = await Bucket.start();
    stack = await Stack.start({ name: 'export', scale: 10 });
    stack.guard("the bucket's secret", bucket.secret);
    await stack.apply();
    made = await stack.json('checkpoint', 'create', 'production', '--name', 'friday', '--tags', 'release');
    assert.equal(made.proof, 'proven');
    out = join(stack.home, 'out');
    mkdirSync(out);
    other = await Stack.start({ name: 'import', scale: 0 });
    await other.apply(stack.yaml);
  });
  after(() => down(other, stack, bucket));
  const left = () => readdirSync(out).filter((name) => name.startsWith('.holdfast'));
  const mode = (path) => (statSync(path).mode & 0o777).toString(8);
  const sha256 = (path) => createHash('sha256').update(readFileSync(path)).digest('hex');

  test('a folder that sha256sum, tar, pg_restore, git and sqlite3 read', async () => {
    const folder = join(out, 'folder');
    const { stdout, stderr } = await stack.ok('checkpoint', 'export', 'production@latest', '--output', folder, '--plain-sql');
    assert.match(stdout, /is exported/);
    assert.match(stderr, /every secret of the checkpoint in the clear/);
    assert.equal(mode(folder), '700');
    assert.equal(mode(join(folder, 'env.json')), '600');
    const sums = await must('sha256sum', ['-c', 'SHA256SUMS'], { cwd: folder });
    for (const name of ['metadata.json', 'env.json', 'source.tar.gz', 'data.tar.gz', 'services/postgres_postgres.dump', 'services/postgres_postgres.sql']) {
      assert.match(sums.stdout, new RegExp(`${name}: OK`));
    }
    const listed = await must('tar', ['-tzf', join(folder, 'data.tar.gz')]);
    assert.match(listed.stdout, /^uploads\/$/m);
    const contents = await must(join(postgresBin(), 'pg_restore'), ['-l', join(folder, 'services/postgres_postgres.dump')]);
    assert.match(contents.stdout, /TABLE DATA public orders/);
    const env = JSON.parse(readFileSync(join(folder, 'env.json'), 'utf8'));
    const key = readFileSync(join(stack.app, '.env'), 'utf8').match(/^PAYMENT_KEY=(.*)$/m)[1];
    assert.equal(env.PAYMENT_KEY, key);
    await must('tar', ['-xzf', join(folder, 'source.tar.gz')], { cwd: out });
    const git = (where) => must('git', ['-c', 'safe.directory=*', 'log', '--format=%H', '--branches'], { cwd: where });
    assert.equal((await git(join(out, 'source'))).stdout, (await git(stack.app)).stdout);
    assert.deepEqual(left(), []);

    const again = await stack.cli('checkpoint', 'export', made.id, '--output', folder);
    assert.equal(again.status, 2);
    assert.match(again.stderr, /is there already/);
  });

  test('archives in each form, the same each time, that nobody else can read', async () => {
    for (const name of ['a.tar', 'a.tar.gz', 'a.tar.zst']) {
      const file = join(out, name);
      const told = await stack.json('checkpoint', 'export', made.id, '--output', file);
      assert.equal(told.sha256, sha256(file));
      assert.equal(mode(file), '600');
      const { stdout } = await must('tar', [...(name.endsWith('zst') ? ['--zstd'] : []), '-tf', file]);
      assert.equal(stdout.split('\n')[1], `${made.id}/metadata.json`);
    }
    await stack.ok('checkpoint', 'export', made.id, '--output', join(out, 'b.tar'));
    assert.equal(sha256(join(out, 'b.tar')), sha256(join(out, 'a.tar')));
    await stack.ok('checkpoint', 'export', made.id, '--output', `${join(out, 'named')}/`);
    assert.deepEqual(readdirSync(join(out, 'named')), [`${made.id}.tar.gz`]);
    assert.equal((await stack.cli('checkpoint', 'export', made.id, '--output', join(out, 'x.zip'))).status, 2);
  });

  test('what comes back is proven, knows where it comes from, and is found by the id that it had', async () => {
    const came = await other.json('checkpoint', 'import', join(out, 'a.tar.gz'));
    assert.equal(came.proof, 'proven');
    assert.equal(came.trigger, 'import');
    assert.notEqual(came.id, made.id);
    assert.equal(came.created_at, made.created_at);
    assert.deepEqual([came.name, came.tags], ['friday', ['release']]);
    assert.equal(came.metadata.origin_system, 'holdfast');
    assert.equal(came.metadata.origin_id, made.id);
    assert.deepEqual(came.ledger, made.ledger);
    assert.equal((await other.json('checkpoint', 'show', made.id)).id, came.id);
    const folder = await other.json('checkpoint', 'import', join(out, 'folder'), '--env', 'production');
    assert.equal(folder.proof, 'proven');
    const shown = await other.cli('checkpoint', 'import', join(out, 'a.tar.zst'));
    assert.equal(shown.status, 0, shown.stderr);
    assert.match(shown.stdout, /Checkpoint imported and proven/);
    const ambiguous = await other.cli('checkpoint', 'show', made.id);
    assert.match(ambiguous.stderr, /chk_/);
  });

  test('it can be put back', async () => {
    const victim = join(stack.app, 'uploads/import.log');
    await stack.demo('bad-migration');
    const [latest] = (await other.json('checkpoint', 'list')).items;
    await other.ok('checkpoint', 'restore', latest.id, '--yes');
    assert.ok(existsSync(victim));
    const now = await other.json('checkpoint', 'create', 'production');
    assert.equal(now.proof, 'proven');
    assert.ok(now.ledger.postgres['public.orders'].rows >= made.ledger.postgres['public.orders'].rows);
  });

  test('damaged, cut, added to, or of a newer format: refused, and nothing is there', async () => {
    const count = async () => (await other.json('checkpoint', 'list')).count;
    const before = await count();
    const whole = readFileSync(join(out, 'a.tar'));
    const refuse = async (bytes, words) => {
      const file = join(out, 'bad.tar');
      writeFileSync(file, bytes);
      const { status, stderr } = await other.cli('checkpoint', 'import', file);
      assert.equal(status, 1, stderr);
      assert.match(stderr, words);
    };
    const bent = Buffer.from(whole);
    bent[Math.floor(whole.length / 2)] ^= 1;
    await refuse(bent, /damaged|cannot be read|not what/);
    await refuse(whole.subarray(0, Math.floor(whole.length / 2)), /cut off|ends in the middle/);
    await refuse(whole.subarray(0, 3000), /cut off|ends in the middle|broke off/);
    await refuse(Buffer.from('just some text'.repeat(100)), /damaged, or not a tar archive/);
    const copy = join(out, 'copy');
    cpSync(join(out, 'folder'), copy, { recursive: true });
    writeFileSync(join(copy, 'more'), 'x');
    assert.match((await other.cli('checkpoint', 'import', copy)).stderr, /more is not a file of it/);
    rmSync(join(copy, 'more'));
    const metadata = JSON.parse(readFileSync(join(copy, 'metadata.json'), 'utf8'));
    writeFileSync(join(copy, 'metadata.json'), JSON.stringify({ ...metadata, format: 99 }));
    assert.match((await other.cli('checkpoint', 'import', copy)).stderr, /format 99/);
    assert.match((await other.cli('checkpoint', 'import', join(out, 'a.tar'), '--env', 'nowhere')).stderr, /nowhere/);
    assert.equal(await count(), before);
  });

  test('encrypted for a recipient, and opened with the identity only', async () => {
    // The key pair of the age crate's own tests; nothing but this test uses it.
    const identity = join(out, 'key.txt');
    writeFileSync(identity, 'AGE-SECRET-KEY-1GQ9778VQXMMJVE8SK7J6VT8UJ4HDQAJUVSFCWCM02D8GEWQ72PVQ2Y5J33\n', { mode: 0o600 });
    const recipient = 'age1t7rxyev2z3rw82stdlrrepyc39nvn86l5078zqkf5uasdy86jp6svpy7pa';
    const told = await stack.json('checkpoint', 'export', made.id, '--output', join(out, 'secret.tar.gz'), '--encrypt-to', recipient);
    assert.equal(told.output, join(out, 'secret.tar.gz.age'));
    const bytes = readFileSync(told.output);
    assert.ok(bytes.subarray(0, 21).toString() === 'age-encryption.org/v1');
    assert.ok(!bytes.includes('metadata.json'));
    const shut = await other.cli('checkpoint', 'import', told.output);
    assert.match(shut.stderr, /--identity/);
    const came = await other.json('checkpoint', 'import', told.output, '--identity', identity);
    assert.equal(came.proof, 'proven');
    assert.equal((await stack.cli('checkpoint', 'export', made.id, '--output', join(out, 'f2'), '--encrypt-to', recipient)).status, 2);
    assert.equal((await stack.cli('checkpoint', 'export', made.id, '--output', join(out, 'f2.tar'), '--encrypt-to', 'age1nonsense')).status, 2);
  });

  test('into a bucket and out of it', async () => {
    const at = ['--endpoint', bucket.endpoint, { env: bucket.env }];
    const told = await stack.json('checkpoint', 'export', made.id, '--output', `s3://${bucket.name}/exports/`, ...at);
    assert.equal(told.output, `s3://${bucket.name}/exports/${made.id}.tar.gz`);
    assert.ok((await bucket.keys()).includes(`exports/${made.id}.tar.gz`));
    const again = await stack.cli('checkpoint', 'export', made.id, '--output', `s3://${bucket.name}/exports/`, ...at);
    assert.match(again.stderr, /is there already/);
    const came = await other.json('checkpoint', 'import', told.output, ...at);
    assert.equal(came.proof, 'proven');
    const whole = await stack.json('checkpoint', 'export', made.id, '--output', `s3://${bucket.name}/whole.tar`, ...at);
    assert.equal(whole.sha256, sha256(join(out, 'a.tar')));
  });

  test('a server that is killed in the middle publishes nothing, and the next import works', async () => {
    const before = (await other.json('checkpoint', 'list')).count;
    const bytes = readFileSync(join(out, 'a.tar'));
    // Half of it, and then silence.
    const half = new ReadableStream({
      async pull(controller) {
        if (!this.sent) {
          this.sent = true;
          controller.enqueue(bytes.subarray(0, Math.floor(bytes.length / 2)));
        } else {
          await new Promise((done) => setTimeout(done, 60_000).unref());
        }
      },
    });
    fetch(`${other.url}/v1/imports`, { method: 'POST', duplex: 'half', body: half, headers: { authorization: `Bearer ${other.token}` } }).catch(() => {});
    const going = await until('the import runs', async () => (await other.runs()).find((one) => one.kind === 'import' && one.state === 'running'));
    await other.stop('SIGKILL');
    await other.serve();
    const ended = await other.ended(going.id);
    assert.equal(ended.state, 'failed');
    assert.match(ended.message, /import it again/);
    assert.equal((await other.json('checkpoint', 'list')).count, before);
    assert.equal((await other.json('checkpoint', 'import', join(out, 'a.tar'))).proof, 'proven');
  });

  test('who is no host may do neither, and both are in the audit', async () => {
    for (const [method, path] of [['GET', `/v1/checkpoints/${made.id}/export`], ['POST', '/v1/imports']]) {
      const answer = await fetch(stack.url + path, { method });
      assert.equal(answer.status, 401);
    }
  });

  test('a backup directory of another program comes in; it is never called proven', async () => {
    const folder = join(out, '20251108_143022_a8f3d9');
    mkdirSync(join(folder, 'services'), { recursive: true });
    await must('tar', ['-czf', join(folder, 'source.tar.gz'), '-C', stack.app, '.git']);
    await must('tar', ['-czf', join(folder, 'data.tar.gz'), '-C', stack.app, 'uploads']);
    writeFileSync(join(folder, 'env.json'), JSON.stringify({ PORT: '8000', SECRET: 'canary-hop3' }));
    const sql = await must(join(postgresBin(), 'pg_dump'), [], { env: stack.databaseEnv(), timeout: 300_000 });
    writeFileSync(join(folder, 'services/postgres_shop.sql'), sql.bytes);
    const names = ['source.tar.gz', 'data.tar.gz', 'env.json', 'services/postgres_shop.sql'];
    const checksums = Object.fromEntries(names.map((name) => [name, sha256(join(folder, name))]));
    writeFileSync(
      join(folder, 'metadata.json'),
      JSON.stringify({ backup_id: '20251108_143022_a8f3d9', app_name: 'production', created_at: '2025-11-08T14:30:22Z', format_version: '1.0', hop3_version: '0.8.0', checksums }),
    );
    chmodSync(folder, 0o700);
    const { status, stdout, stderr } = await other.cli('checkpoint', 'import', folder, '--json');
    assert.equal(status, 3, stderr);
    const came = JSON.parse(stdout);
    assert.equal(came.proof, 'partial');
    assert.match(came.drill.reason, /no ledger/);
    assert.equal((await other.json('checkpoint', 'show', '20251108_143022_a8f3d9')).id, came.id);
    // Its parts have the names of the environment's own, so that they can be put back there.
    assert.ok(came.components.some((part) => part.kind === 'postgres' && part.name === 'postgres'));
    assert.ok(!JSON.stringify(came).includes('canary-hop3'));
    renameSync(folder, `${folder}-done`);
  });

  test('the help says what a person types', async () => {
    const { stdout } = await run(binary, ['checkpoint', 'export', '--help']);
    assert.match(stdout, /--encrypt-to/);
    assert.match(stdout, /s3:\/\/my-bucket\/exports\//);
  });
});
