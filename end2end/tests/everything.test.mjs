// A database with every kind of object goes through checkpoint, proof, comparison and restore, and comes out equal.
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';

import { must } from './lib/process.mjs';
import { Stack, repository } from './lib/stack.mjs';

describe('a database with every kind of object', () => {
  let stack;
  let first;
  const sql = (text) => stack.sql(text, 'everything');
  const create = (name) => stack.json('checkpoint', 'create', 'shop/everything', '--name', name);
  const database = (diff) => diff.components.find((component) => component.name === 'everything').changes;

  /** The whole database as text; the words that pg_dump makes up anew each time are left out. */
  const dumped = async (...only) => {
    const { stdout } = await must('pg_dump', ['--no-owner', ...only], { env: stack.databaseEnv('everything') });
    return stdout.replace(/^\\(un)?restrict .*$/gm, '');
  };

  before(async () => {
    stack = await Stack.start({ name: 'everything', scale: 10 });
    await stack.superuser('create database everything owner shop');
    await must('psql', ['-X', '-f', join(repository, 'end2end/tests/lib/everything.sql')], { env: stack.databaseEnv('everything') });
    const { PGHOST, PGPORT, PGUSER, PGPASSWORD } = stack.databaseEnv();
    const yaml = join(stack.home, 'everything.yaml');
    const url = `postgres://${PGUSER}:${PGPASSWORD}@${PGHOST}:${PGPORT}/everything`;
    writeFileSync(yaml, `project: shop\nenvironment: everything\ncomponents:\n  - {name: everything, kind: postgres, url: "${url}"}\n`, { mode: 0o600 });
    await stack.apply(yaml);
    first = await create('first');
  });
  after(() => stack?.down());

  test('it is proven, with every table in the ledger', async () => {
    assert.equal(first.proof, 'proven', JSON.stringify(first.drill?.reason));
    const tables = Number(await sql("select count(*) from pg_class c join pg_namespace n on n.oid = relnamespace where relkind = 'r' and nspname in ('everything', 'Odd Names')"));
    assert.equal(Object.keys(first.ledger.everything).length, tables);
  });

  test('compared with itself, and with another checkpoint of the same, nothing differs', async () => {
    const again = await create('again');
    for (const id of [first.id, again.id]) {
      const diff = await stack.json('checkpoint', 'diff', first.id, id);
      assert.deepEqual(diff.components.map((component) => component.changes), [{ of: 'same' }]);
    }
  });

  test('compared with a changed one, exactly the changes are told', async () => {
    await sql(`
      set search_path = everything, public;
      alter table rooms add column closed boolean not null default false;
      update bookings set note = 'changed' where id = (select min(id) from bookings);
      delete from only no_key where ctid in (select ctid from only no_key limit 2);
      insert into kinds (small, short) values (77, 'added');
      drop view happier;
      alter type mood add value 'new' after 'happy';
      create or replace function add(a text, b text) returns text language sql immutable as $$ select a || '#' || b $$;
      alter function add(text, text) set work_mem = '8MB';
      drop policy small_ones on payments;
      create index later on rooms (floor);
      comment on table no_key is 'it has one now';
    `);
    const changed = await create('changed');
    const diff = database(await stack.json('checkpoint', 'diff', first.id, changed.id));
    const objects = diff.schema.map((object) => `${object.change} ${object.kind} ${object.name}`);
    for (const expected of [/^changed table rooms$/, /^removed view happier$/, /^changed type mood$/, /^changed function add\(/, /^removed policy .*small_ones/, /^added index later$/]) {
      assert.ok(objects.some((object) => expected.test(object)), `${expected}\n${objects.join('\n')}`);
    }
    // Beside these only what belongs to them: the view's comment, default and grants, and the table's comment.
    const other = objects.filter((object) => !/ (table rooms|view happier|type mood|function add\(|policy .*small_ones|index later)/.test(object));
    assert.ok(other.every((object) => /happier|no_key/.test(object)), other.join('\n'));
    const rows = Object.fromEntries(diff.tables.map((table) => [table.name, table.rows]));
    // Triggers wrote to the log, which nothing protects.
    assert.deepEqual(Object.keys(rows).sort(), ['bookings', 'kinds', 'log', 'no_key', 'rooms'].filter((name) => rows[name]));
    assert.deepEqual(rows.bookings, { of: 'counted', added: 0, removed: 0, changed: 1, key: ['id'] });
    assert.deepEqual(rows.kinds, { of: 'counted', added: 1, removed: 0, changed: 0, key: ['id'] });
    assert.deepEqual(rows.no_key, { of: 'counted', added: 0, removed: 2, changed: 0, key: [] });
    const opened = await stack.json('checkpoint', 'diff', first.id, changed.id, '--table', 'everything.kinds');
    assert.ok(opened.rows[0].after.includes('added'));
  });

  test('restored whole it is equal to what it was', async () => {
    const fresh = await stack.sql('select 1', 'everything');
    assert.equal(fresh, '1');
    await stack.ok('checkpoint', 'restore', first.id, '--no-backup', '--yes');
    const restored = await dumped();
    await stack.superuser('create database reference owner shop');
    await must('psql', ['-X', '-f', join(repository, 'end2end/tests/lib/everything.sql')], { env: stack.databaseEnv('reference') });
    const schema = async (name) => (await must('pg_dump', ['--no-owner', '--schema-only'], { env: stack.databaseEnv(name) })).stdout.replace(/^\\(un)?restrict .*$/gm, '');
    assert.equal(await schema('everything'), await schema('reference'));
    const archive = join(stack.home, 'first.pgc');
    await must('bash', ['-c', `'${process.env.HOLDFAST ?? join(repository, 'target/release/holdfast')}' checkpoint cat ${first.id} databases/everything/dump.pgc > '${archive}'`], { env: { HOLDFAST_DATA_DIR: stack.data } });
    await stack.superuser('create database sealed owner shop');
    await must('pg_restore', ['--exit-on-error', '--no-owner', '-d', 'sealed', archive], { env: stack.databaseEnv('sealed') });
    const sealed = (await must('pg_dump', ['--no-owner'], { env: stack.databaseEnv('sealed') })).stdout.replace(/^\\(un)?restrict .*$/gm, '');
    assert.equal(restored, sealed);
    assert.ok(readFileSync(archive).length > 10_000);
  });
});
