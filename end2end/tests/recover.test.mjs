// The host is gone with its catalogue. What is left are the vaults, which lie elsewhere, and the catalogue's kit.
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';

import { Bucket } from './lib/bucket.mjs';
import { must } from './lib/process.mjs';
import { down, Stack } from './lib/stack.mjs';

describe('a catalogue that comes back', () => {
  let stack;
  let vaults;
  let kit;
  let oldToken;
  let known;
  const shown = {};
  const kept = {};
  const copies = [];
  const later = {};

  before(async () => {
    stack = await Stack.start({ name: 'recover', scale: 10 });
    vaults = { shop: join(stack.home, 'elsewhere/shop'), blog: join(stack.home, 'elsewhere/blog') };
    kit = join(stack.home, 'kit.json');
    await stack.ok('vault', 'add', 'shop', vaults.shop);
    await stack.ok('vault', 'add', 'blog', vaults.blog);
    await stack.apply();
    const posts = join(stack.home, 'posts');
    mkdirSync(posts);
    writeFileSync(join(posts, 'first.md'), 'hello');
    const yaml = join(stack.home, 'blog.yaml');
    writeFileSync(yaml, `project: blog\nenvironment: live\ncomponents:\n  - {name: posts, kind: files, path: ${posts}}\n`);
    await stack.apply(yaml);

    const first = await stack.json('checkpoint', 'create', 'production', '--name', 'before the flood', '--tags', 'keep,weekly');
    await stack.ok('checkpoint', 'drill', first.id);
    const gone = await stack.json('checkpoint', 'create', 'production', '--no-drill');
    await stack.ok('checkpoint', 'delete', gone.id, '--yes');
    const post = await stack.json('checkpoint', 'create', 'blog/live');
    for (const { id } of [first, post]) shown[id] = await stack.json('checkpoint', 'show', id);
  });
  after(() => stack?.down());

  const rows = async (query, data = stack.data) => {
    const { stdout } = await must('sqlite3', ['-readonly', '-json', join(data, 'catalogue.db'), query]);
    return JSON.parse(stdout || '[]');
  };
  const packs = (place) =>
    readdirSync(join(place, 'data'), { recursive: true }).filter((name) => statSync(join(place, 'data', name)).isFile());
  /** On a host of its own; gives what it printed, and where. */
  const recover = async (name, ...args) => {
    const data = join(stack.home, name);
    const env = { HOLDFAST_DATA_DIR: data, HOLDFAST_SCRATCH_DIR: `${data}-scratch` };
    return { data, ...(await stack.cli('recover', ...args, { env })) };
  };
  const refused = async (name, args, status, ...says) => {
    const result = await recover(name, ...args);
    assert.equal(result.status, status, result.stdout + result.stderr);
    for (const text of says) assert.match(result.stderr, text);
    for (const file of ['catalogue.db', 'server.key']) assert.ok(!existsSync(join(result.data, file)), `${file} is left of a failure`);
    const left = existsSync(result.data) ? readdirSync(result.data).filter((entry) => entry.startsWith('.')) : [];
    assert.deepEqual(left, []);
  };
  const file = (name, content) => {
    const path = join(stack.home, name);
    writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content), { mode: 0o600 });
    return path;
  };

  test('copies go into the vault that is chosen, as snapshots of their own kind', async () => {
    const refusal = await stack.cli('recover', vaults.shop, '--kit', file('early.json', (await stack.ok('catalogue', 'kit')).stdout));
    assert.equal(refusal.status, 1);
    assert.match(refusal.stderr, /there is a catalogue already/);
    const blogKit = file('kit-blog.json', await stack.json('vault', 'recovery-kit', 'blog'));
    await refused('nothing', [vaults.blog, '--kit', blogKit, '--key-file', join(stack.data, 'server.key')], 1, /holds no copy of a catalogue/);

    const into = async (...args) => (await stack.json('catalogue', 'copy', ...args)).project;
    assert.equal(await into(), 'shop', 'the oldest vault');
    assert.equal(await into('--to', 'blog'), 'blog');
    assert.equal(await into(), 'blog', 'the choice is remembered');
    assert.equal(await into('--to', 'shop'), 'shop');
    const none = await stack.cli('catalogue', 'copy', '--to', 'nobody');
    assert.match(none.stderr, /no project `nobody`/);

    const env = await stack.resticEnv('shop');
    const listed = async (...args) => JSON.parse((await must('restic', ['snapshots', '--json', ...args], { env })).stdout);
    assert.equal((await listed('--tag', 'holdfast:catalogue')).length, 2);
    assert.equal((await listed('--tag', 'holdfast')).length, 1, 'it is no checkpoint');
    assert.equal((await stack.json('checkpoint', 'list')).count, 2);
    await must('restic', ['check', '--read-data'], { env, timeout: 300_000 });
    await stack.ok('vault', 'prune', 'shop');
    const shopKit = file('kit-shop.json', await stack.json('vault', 'recovery-kit', 'shop'));
    const again = await stack.json('vault', 'adopt', vaults.shop, '--kit', shopKit);
    assert.deepEqual([again.checkpoints, again.new_checkpoints, again.problems], [1, 0, []]);
    const { stdout } = await must('restic', ['dump', '--tag', 'holdfast:catalogue', 'latest', '/catalogue/catalogue.db'], { env });
    assert.ok(stdout.startsWith('SQLite format 3'));
  });

  test('the kit has what a vault lacks, and the vault has no key', async () => {
    const given = await stack.ok('catalogue', 'kit');
    writeFileSync(kit, given.stdout, { mode: 0o600 });
    const { server_key: key, repository, commands } = JSON.parse(given.stdout);
    assert.equal(key, readFileSync(join(stack.data, 'server.key'), 'utf8').trim());
    assert.equal(repository, vaults.shop);
    assert.ok(commands.some((command) => command.startsWith('holdfast recover ')));
    assert.ok((await rows("select who from audit where action = 'catalogue_kit.read'")).length > 0);
    const target = join(stack.home, 'seen');
    await must('restic', ['restore', 'latest', '--tag', 'holdfast:catalogue', '--target', target], { env: await stack.resticEnv('shop') });
    assert.ok(!readFileSync(join(target, 'catalogue/catalogue.db')).includes(key));
    const blog = JSON.parse(readFileSync(join(stack.home, 'kit-blog.json'), 'utf8'));
    assert.ok(!readFileSync(join(target, 'catalogue/catalogue.db')).includes(blog.password), "no other vault's password in the clear");
  });

  test('the disaster', async () => {
    copies.push(await stack.json('catalogue', 'copy'));
    kept.audit = await rows('select id, at, who, action, subject from audit order by id');
    kept.drills = await rows('select id, checkpoint, run, verdict, started_at, report from drill order by id');
    const before = packs(vaults.shop);
    copies.push(await stack.json('catalogue', 'copy'));
    assert.ok(copies[1].stored < copies[1].size / 2, 'the second one stores little');
    known = packs(vaults.shop).filter((pack) => !before.includes(pack));
    assert.ok(known.length > 0);

    later.shop = await stack.json('checkpoint', 'create', 'production', '--name', 'the last one');
    later.blog = await stack.json('checkpoint', 'create', 'blog/live', '--no-drill');
    await stack.ok('checkpoint', 'drill', later.blog.id);
    for (const { id } of Object.values(later)) shown[id] = await stack.json('checkpoint', 'show', id);
    oldToken = stack.token;
    await must(join(stack.app, 'bin/stop'), []);
    await stack.stop('SIGKILL');
    for (const lost of [stack.data, stack.scratch, stack.app]) rmSync(lost, { recursive: true, force: true });
    await stack.superuser('drop database shop with (force)');
    await stack.superuser('drop role shop; drop role shop_reader');
  });

  test('what does not fit is refused, and leaves nothing', async () => {
    const good = JSON.parse(readFileSync(kit, 'utf8'));
    const blog = JSON.parse(readFileSync(join(stack.home, 'kit-blog.json'), 'utf8'));
    const keys = readdirSync(join(vaults.shop, 'keys'));
    const foreign = file('foreign.json', { ...blog, server_key: good.server_key });
    await refused('wrong-kit', [vaults.shop, '--kit', foreign], 1, /wrong password/);
    assert.deepEqual(readdirSync(join(vaults.shop, 'keys')), keys, "another vault's key file does not stay");
    const otherKey = file('other-key.json', { ...good, server_key: 'ab'.repeat(32) });
    await refused('wrong-key', ['--kit', otherKey], 1, /none that was made with this server key/);
    await refused('short-key', ['--kit', file('short.json', { ...good, server_key: 'abc' })], 2, /64 hexadecimal/);
    await refused('no-key', ['--kit', join(stack.home, 'kit-shop.json')], 2, /no server key/, /--key-file/);
    await refused('no-kit', ['--kit', file('text.json', 'not a kit')], 2, /is no kit/);
    await refused('nowhere', [join(stack.home, 'nothing-here'), '--kit', kit], 1, /nothing-here/);
    const there = join(stack.home, 'has-key');
    mkdirSync(there, { mode: 0o700 });
    file('has-key/server.key', 'cd'.repeat(32));
    const other = await recover('has-key', '--kit', kit);
    assert.match(other.stderr, /another server key; move it away/);
    assert.equal(readFileSync(join(there, 'server.key'), 'utf8'), 'cd'.repeat(32));
  });

  test('a newest copy that is damaged gives way to the one before it, and that is said', async () => {
    const whole = known.map((name) => [join(vaults.shop, 'data', name), readFileSync(join(vaults.shop, 'data', name))]);
    for (const [path, bytes] of whole) {
      rmSync(path);
      writeFileSync(path, Buffer.alloc(bytes.length, 7));
    }
    const result = await recover('second', '--kit', kit);
    for (const [path, bytes] of whole) {
      rmSync(path);
      writeFileSync(path, bytes);
    }
    assert.equal(result.status, 0, result.stderr);
    assert.match(result.stderr, new RegExp(`one before it was taken: the copy of .*${copies[1].snapshot}`));
    const [{ detail }] = await rows("select detail from audit where action = 'catalogue.recover'", result.data);
    assert.match(detail, new RegExp(copies[0].snapshot));
    assert.match(result.stdout, /4 checkpoints \(2 of them/);
  });

  test('five commands bring the application back on an empty host', async (t) => {
    // The other vault has been brought to another place; this does not keep the first one waiting.
    renameSync(vaults.blog, join(stack.home, 'blog-is-here'));
    const [keyName] = readdirSync(join(vaults.shop, 'keys'));
    const keyFile = readFileSync(join(vaults.shop, 'keys', keyName));
    rmSync(join(vaults.shop, 'keys', keyName));
    const password = readFileSync(join(stack.home, 'postgres/password'), 'utf8').trim();
    const begun = performance.now();
    const env = { HOLDFAST_SCRATCH_DIR: stack.scratch };
    const recovered = await stack.ok('recover', vaults.shop, '--kit', kit, { env }); // 1
    assert.match(recovered.stdout, /from a copy that is \d+ (minutes?|hours?) old/);
    assert.match(recovered.stdout, /3 checkpoints \(1 of them, and 1 drills, are newer than the copy\)/);
    assert.match(recovered.stdout, new RegExp(`the vault of blog is not at ${vaults.blog}`));
    assert.match(recovered.stdout, /holdfast env confirm shop\/production/);
    assert.deepEqual(readFileSync(join(vaults.shop, 'keys', keyName)), keyFile, 'the lost key file is back');
    for (const name of ['catalogue.db', 'server.key']) assert.equal(statSync(join(stack.data, name)).mode & 0o777, 0o600, name);
    assert.deepEqual(await rows('select id from session union all select hash from sign_in_link'), []);
    await stack.serve(); // 2
    const early = await stack.cli('checkpoint', 'restore', 'production@latest');
    assert.match(early.stderr, /nobody has looked at it yet/);
    await stack.ok('env', 'confirm', 'shop/production', '--yes'); // 3
    await stack.superuser(`create role shop login createdb password '${password}'; create role shop_reader`); // 4
    const restored = await stack.ok('checkpoint', 'restore', 'production@latest', '--no-backup', '--yes'); // 5
    t.diagnostic(`the application answers again after ${((performance.now() - begun) / 1000).toFixed(1)} s`);
    assert.match(restored.stdout + restored.stderr, /complete/i);
    const port = readFileSync(join(stack.app, '.env'), 'utf8').match(/^PORT=(\d+)/m)[1];
    assert.equal((await fetch(`http://127.0.0.1:${port}/healthz`)).status, 200);
    const { ledger } = shown[later.shop.id];
    const orders = Number(await stack.sql('select count(*) from orders'));
    assert.ok(Math.abs(orders - ledger.postgres['public.orders'].rows) < 200, `${orders} orders`);
  });

  test('a vault that lies elsewhere now goes on from there', async () => {
    const kitOfBlog = join(stack.home, 'kit-blog.json');
    const adopted = await stack.json('vault', 'adopt', join(stack.home, 'blog-is-here'), '--kit', kitOfBlog);
    assert.deepEqual([adopted.project, adopted.new_checkpoints, adopted.new_drills, adopted.problems], ['blog', 1, 1, []]);
    const listed = await stack.json('vault', 'list');
    assert.deepEqual(listed.map((vault) => vault.location), [join(stack.home, 'blog-is-here'), vaults.shop]);
    await stack.ok('env', 'confirm', 'blog/live', '--yes');
    assert.equal((await stack.json('checkpoint', 'create', 'blog/live')).proof, 'proven');
  });

  test('everything is as it was: checkpoints, drills, audit; and the old credential opens nothing', async () => {
    for (const [id, old] of Object.entries(shown)) {
      const now = await stack.json('checkpoint', 'show', id);
      const isLater = Object.values(later).some((checkpoint) => checkpoint.id === id);
      // What came after the copy was read from a vault, which does not say that its bytes were looked at.
      const { integrity, integrity_at: at, vault, copies: there, sealed_at: sealed, ...rest } = now;
      const { integrity: then, integrity_at: thenAt, vault: place, copies: were, sealed_at: oldSealed, ...same } = old;
      assert.deepEqual(rest, same);
      assert.equal(vault.snapshot, place.snapshot);
      assert.deepEqual(there.map((copy) => copy.snapshot), were.map((copy) => copy.snapshot));
      if (!isLater) assert.deepEqual([integrity, at, sealed], [then, thenAt, oldSealed]);
    }
    const audit = await rows('select id, at, who, action, subject from audit order by id');
    const ids = new Set(audit.map((row) => row.id));
    for (const row of kept.audit) assert.ok(ids.has(row.id), JSON.stringify(row));
    for (const action of ['catalogue.recover', 'environment.confirm', 'vault.move']) assert.ok(audit.some((row) => row.action === action), action);
    const drills = await rows('select id, checkpoint, run, verdict, started_at, report from drill order by id');
    for (const drill of kept.drills) assert.deepEqual(drills.find((row) => row.id === drill.id), drill);
    for (const { id } of Object.values(later)) assert.ok(drills.some((drill) => drill.checkpoint === id && drill.verdict === 'proven'));
    assert.equal((await fetch(`${stack.url}/v1/projects`, { headers: { authorization: `Bearer ${oldToken}` } })).status, 401);
    assert.equal((await stack.api('GET', '/v1/projects')).body.length, 2);
  });

  test('it goes on from there: checkpoints, prune and copies', async () => {
    const next = await stack.json('checkpoint', 'create', 'production');
    assert.equal(next.proof, 'proven');
    assert.ok(next.size.stored < next.size.total / 4, `${next.size.stored} of ${next.size.total}`);
    await stack.ok('vault', 'prune', 'shop');
    assert.equal((await stack.json('catalogue', 'copy')).project, 'shop');
    await must('restic', ['check', '--read-data'], { env: await stack.resticEnv('shop'), timeout: 600_000 });
  });
});

describe('a catalogue that comes back from a bucket with object lock', () => {
  let bucket;
  let stack;
  before(async () => {
    bucket = await Bucket.start('holdfast-locked', { locks: true });
    stack = await Stack.start({ name: 'recover-bucket', scale: 0 });
    stack.guard("the bucket's secret", bucket.secret);
  });
  after(() => down(stack, bucket));

  test('with the bucket, the kit and a credential for it', async () => {
    const place = [`s3://${bucket.name}/vaults/site`, '--endpoint', bucket.endpoint, '--lock-days', '2', { env: bucket.env }];
    await stack.ok('vault', 'add', 'site', ...place);
    const pages = join(stack.home, 'pages');
    mkdirSync(pages);
    writeFileSync(join(pages, 'index.html'), 'hello');
    const yaml = join(stack.home, 'site.yaml');
    writeFileSync(yaml, `project: site\nenvironment: live\ncomponents:\n  - {name: pages, kind: files, path: ${pages}}\n`);
    await stack.apply(yaml);
    await stack.json('checkpoint', 'create', 'site/live');
    for (let round = 0; round < 4; round += 1) assert.equal((await stack.json('catalogue', 'copy')).forgotten, 0, 'its bucket holds it');
    assert.doesNotMatch(stack.logText(), /could not be forgotten|is not locked/);
    const kit = join(stack.home, 'kit.json');
    writeFileSync(kit, (await stack.ok('catalogue', 'kit')).stdout, { mode: 0o600 });
    assert.ok(!readFileSync(kit, 'utf8').includes(bucket.env.AWS_SECRET_ACCESS_KEY));
    const last = await stack.json('checkpoint', 'create', 'site/live');
    await stack.stop('SIGKILL');
    rmSync(stack.data, { recursive: true });

    const env = { HOLDFAST_SCRATCH_DIR: stack.scratch, AWS_ACCESS_KEY_ID: undefined, AWS_SECRET_ACCESS_KEY: undefined };
    const none = await stack.cli('recover', '--kit', kit, { env });
    assert.equal(none.status, 2);
    assert.match(none.stderr, /AWS_ACCESS_KEY_ID/);
    await stack.ok('recover', '--kit', kit, { env: { ...env, ...bucket.env } });
    await stack.serve();
    assert.equal((await stack.json('checkpoint', 'show', 'site/live@latest')).id, last.id);
    await stack.ok('env', 'confirm', 'site/live', '--yes');
    rmSync(pages, { recursive: true });
    await stack.ok('checkpoint', 'restore', last.id, '--no-backup', '--yes');
    assert.equal(readFileSync(join(pages, 'index.html'), 'utf8'), 'hello');
    const next = await stack.json('checkpoint', 'create', 'site/live');
    assert.deepEqual([next.proof, next.protection], ['proven', 'locked'], 'its vault goes on locking');
  });
});
