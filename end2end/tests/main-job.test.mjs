// The main job from the command line, on the full shop: apply, checkpoint, proof, and what each command prints.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';

import { Stack } from './lib/stack.mjs';

const table = 'public.orders';

describe('the main job', () => {
  let stack;
  let first;
  before(async () => (stack = await Stack.start({ name: 'main', scale: 100 })));
  after(() => stack?.down());

  test('the shop is real data', async () => {
    assert.ok(Number(await stack.sql("select pg_database_size('shop')")) >= 150e6);
    assert.equal(await stack.sql("select rolsuper from pg_roles where rolname = 'shop'"), 'f');
    assert.ok(Number(await stack.sql('select count(*) from pg_largeobject_metadata')) > 0);
  });

  test('apply takes the definition and names what is not in force', async () => {
    await stack.apply();
    const [environment] = await stack.json('env', 'list');
    assert.equal(environment.name, 'production');
    assert.equal(environment.project, 'shop');
    assert.deepEqual(environment.components.map((c) => c.kind).sort(), ['config', 'files', 'git', 'postgres', 'sqlite']);
  });

  test('create seals and proves it, and ends with 0', async (t) => {
    const from = performance.now();
    const { stdout, stderr } = await stack.ok('checkpoint', 'create', 'production', '--name', 'before-migration', '--tags', 'release,v2.0');
    t.diagnostic(`first checkpoint with its drill: ${((performance.now() - from) / 1000).toFixed(1)} s`);
    const shown = stdout + stderr;
    assert.match(shown, /✓/);
    assert.match(shown, /proven/);
    for (const label of ['ID:', 'Name:', 'Environment:', 'Size:', 'Created:']) assert.ok(shown.includes(label), `${label}\n${shown}`);
    assert.match(shown, /checkpoint restore chk_[0-9a-hjkmnp-tv-z]{20}/);
  });

  test('show --json has the fixed shape, with sizes as integers of bytes', async () => {
    first = await stack.json('checkpoint', 'show', 'production@latest');
    assert.match(first.id, /^chk_[0-9a-hjkmnp-tv-z]{20}$/);
    assert.equal(first.name, 'before-migration');
    assert.equal(first.environment.name, 'production');
    assert.equal(first.environment.project, 'shop');
    assert.match(first.environment.id, /^env_/);
    assert.equal(first.proof, 'proven');
    assert.equal(first.protection, 'none');
    assert.equal(first.trigger, 'manual');
    assert.ok(Number.isInteger(first.size.total) && first.size.total > 150e6);
    assert.ok(first.size.stored > 0 && first.size.stored < first.size.total);
    assert.equal(typeof first.size.display, 'string');
    assert.equal(first.components.reduce((sum, c) => sum + c.size, 0), first.size.total);
    assert.deepEqual(
      Object.fromEntries(first.components.map((c) => [c.name, c.type])),
      { uploads: 'filesystem', source: 'source', settings: 'config', postgres: 'database', search: 'database' },
    );
    assert.ok(first.drill.duration_ms > 0);
    assert.ok(first.drill.checks.length > 10 && first.drill.checks.every((check) => check.passed));
    assert.match(first.vault.snapshot, /^[0-9a-f]{64}$/);
    assert.ok(first.run.startsWith('run_'));
  });

  test('the ledger has every table that the database has, with its rows', async () => {
    const ledger = first.ledger.postgres;
    const tables = (await stack.sql("select oid::regclass from pg_class where relkind = 'r' and relnamespace in ('public'::regnamespace, 'reporting'::regnamespace)")).split('\n');
    assert.ok(tables.length >= 9);
    for (const name of tables) {
      const full = name.includes('.') ? name : `public.${name}`;
      assert.ok(ledger[full], `${full} is in the ledger`);
    }
    assert.ok(ledger[table].rows >= 250_000);
    assert.equal(ledger['public.products'].rows, Number(await stack.sql('select count(*) from products')));
    assert.ok(first.ledger.search, 'the SQLite component has a ledger');
  });

  test('the second checkpoint stores little and is as proven', async (t) => {
    const from = performance.now();
    const second = await stack.json('checkpoint', 'create', 'production');
    t.diagnostic(`repeated checkpoint with its drill: ${((performance.now() - from) / 1000).toFixed(1)} s, ${second.size.stored} bytes stored`);
    assert.equal(second.proof, 'proven');
    assert.ok(second.size.stored < first.size.stored / 5, `${second.size.stored} of ${first.size.stored}`);
  });

  test('--json prints exactly one value, --quiet the id alone', async () => {
    const json = await stack.ok('checkpoint', 'create', 'production', '--no-drill', '--json');
    const value = JSON.parse(json.stdout);
    assert.equal(value.proof, 'unproven');
    const quiet = await stack.ok('checkpoint', 'create', 'production', '--no-drill', '--quiet');
    assert.match(quiet.stdout, /^chk_[0-9a-hjkmnp-tv-z]{20}\n$/);
  });

  test('--components and --without choose by name, kind, type and the words for people', async () => {
    const only = await stack.json('checkpoint', 'create', 'production', '--no-drill', '--components', 'database');
    assert.deepEqual(only.components.map((c) => c.name).sort(), ['postgres', 'search']);
    const rest = await stack.json('checkpoint', 'create', 'production', '--no-drill', '--without', 'postgres,filesystem');
    assert.deepEqual(rest.components.map((c) => c.name).sort(), ['search', 'settings', 'source']);
  });

  test('list counts all that match, not only what it shows', async () => {
    const all = await stack.json('checkpoint', 'list', '--env', 'production');
    // The totals stand beside the rows, where a program that reads rows cannot take them for one.
    const { stdout, stderr } = await stack.ok('checkpoint', 'list', '--limit', '2');
    assert.equal(stdout.trim().split('\n').length, 3);
    assert.ok(stderr.includes(`2 of ${all.count}`), stderr);
    const tagged = await stack.json('checkpoint', 'list', '--tag', 'release', '--since', '7d');
    assert.deepEqual(tagged.items.map((item) => item.id), [first.id]);
  });

  test('a checkpoint is found by any unique prefix; an ambiguous one lists the candidates', async () => {
    assert.equal((await stack.json('checkpoint', 'show', first.id.slice(0, 22))).id, first.id);
    const ambiguous = await stack.cli('checkpoint', 'show', 'chk_');
    assert.equal(ambiguous.status, 1);
    assert.ok(ambiguous.stderr.includes(first.id), ambiguous.stderr);
    assert.equal((await stack.cli('checkpoint', 'show', 'chk_zzzzzzzzzzzzzzzzzzzz')).status, 1);
  });

  test('wrong usage ends with 2', async () => {
    assert.equal((await stack.cli('checkpoint', 'create')).status, 2);
    assert.equal((await stack.cli('checkpoint', 'frobnicate')).status, 2);
  });

  test('cat gives a file as it was, byte for byte', async () => {
    const { bytes } = await stack.cli('checkpoint', 'cat', first.id, 'files/uploads/with spaces/and größe/kelp 1.txt');
    assert.equal(bytes.toString(), 'a picture of a kelp\n');
    const manifest = JSON.parse((await stack.ok('checkpoint', 'cat', first.id, 'manifest.json')).stdout);
    assert.ok(manifest);
  });

  test('drill and verify on demand', async () => {
    assert.equal((await stack.cli('checkpoint', 'drill', first.id)).status, 0);
    assert.equal((await stack.cli('checkpoint', 'verify', first.id)).status, 0);
    const shown = await stack.json('checkpoint', 'show', first.id);
    assert.equal(shown.integrity, 'intact');
    assert.ok(shown.integrity_at);
  });

  test('delete asks, and refuses the newest proven one', async () => {
    const list = await stack.json('checkpoint', 'list', '--env', 'production');
    const unproven = list.items.find((item) => item.proof === 'unproven');
    const refused = await stack.cli('checkpoint', 'delete', unproven.id, { input: 'no\n' });
    assert.equal(refused.status, 1);
    await stack.ok('checkpoint', 'delete', unproven.id, '--yes');
    assert.equal((await stack.cli('checkpoint', 'show', unproven.id)).status, 1);
    const proven = list.items.find((item) => item.proof === 'proven');
    const newest = await stack.cli('checkpoint', 'delete', proven.id, '--yes');
    assert.equal(newest.status, 1);
    assert.match(newest.stderr, /newest proven/);
  });

  test('logs by component, and the own log of a run', async () => {
    assert.match((await stack.ok('logs', 'production')).stdout, /./);
    assert.match((await stack.ok('logs', 'production', '--component', 'checkpoint-agent')).stdout, /./);
    await stack.ok('logs', 'production', '--component', 'postgres');
  });

  test('a definition with mistakes is refused with place and mend', async () => {
    const wrong = join(stack.app, 'wrong.yaml');
    const base = 'project: shop\nenvironment: other\ncomponents:\n';
    for (const [line, expected] of [
      ['  - {name: a, kind: files, path: ./nowhere}', /nowhere/],
      ['  - {name: a, kind: files, pathh: ./uploads}', /pathh/],
      ['  - {name: a, kind: postgres, url: "postgres://shop:wrong-secret@127.0.0.1:1/shop"}', /127\.0\.0\.1/],
      [`  - {name: a, kind: postgres, url: "postgres://shop:wrong-secret@127.0.0.1:${stack.databaseEnv().PGPORT}/shop"}`, /password/],
    ]) {
      writeFileSync(wrong, `${base}${line}\n`);
      const { status, stderr, stdout } = await stack.cli('apply', '-f', wrong);
      assert.notEqual(status, 0, line);
      assert.match(stderr, expected);
      assert.ok(!(stderr + stdout).includes('wrong-secret'), 'the password is not repeated');
    }
  });

  test('doctor says what this machine has', async () => {
    const { stdout } = await stack.ok('doctor');
    assert.match(stdout, /PostgreSQL/i);
  });

  test('it stops in order within seconds', async () => {
    await stack.stop();
    assert.equal((await stack.server.ended).code, 0);
  });
});
