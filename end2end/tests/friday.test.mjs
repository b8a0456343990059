// The bad Friday: a migration drops a column and deletes rows while orders go on coming in. Somebody who knows nothing of
// it finds in the dashboard what changed, and puts back just those tables; nothing that was written since is lost.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { axe, launch, open, picture, pictures, signedIn } from './lib/browser.mjs';
import { Stack } from './lib/stack.mjs';

/** Pictures of a page as it is, light and dark, for the README. */
async function take(page, name) {
  if (!pictures) return;
  for (const colorScheme of ['light', 'dark']) {
    await page.emulateMedia({ colorScheme });
    await picture(page, name, colorScheme);
  }
}

const harmed = ['customers', 'events_2026', 'events_earlier', 'invoices', 'order_lines', 'orders'].map((table) => `public.${table}`);

describe('a bad Friday', () => {
  let stack;
  let browser;
  let stop;
  let was;
  let newest;
  let moment;

  const facts = async () => ({
    customers: await stack.sql("select md5(string_agg(id || ' ' || email, ',' order by id)) from customers"),
    orders: await stack.sql(`select count(*) from orders where id <= ${newest}`),
    lines: await stack.sql(`select md5(string_agg(order_id || ' ' || line || ' ' || amount, ',' order by order_id, line)) from order_lines where order_id <= ${newest}`),
    invoices: await stack.sql('select count(*) from invoices'),
    events: await stack.sql(`select count(*), count(distinct order_id) from events where at < '${moment}' and order_id <= ${newest}`),
  });

  before(async () => {
    stack = await Stack.start({ name: 'friday', scale: 10 });
    await stack.apply();
    stop = stack.writer('0.2');
    const sealed = await stack.json('checkpoint', 'create', 'production', '--name', 'release-41');
    assert.equal(sealed.proof, 'proven');
    // Orders that came while it was sealed are in it or not: what is counted is older.
    moment = await stack.sql('select now()');
    newest = await stack.sql('select max(id) - 2000 from orders');
    was = await facts();
    await stack.demo('bad-migration');
    await stack.sql("update orders set note = 'ring twice' where id = (select min(id) from orders)");
    await stack.sql("insert into customers (name, address, joined_at) values ('Came later', '{}', now())");
    browser = await launch();
  });
  after(async () => {
    await stop?.();
    await browser?.close();
    await stack?.down();
  });

  test('what changed is found, and only that is put back, within five minutes', async () => {
    const begun = Date.now();
    const { context, page, problems } = await signedIn(browser, stack);
    await open(page, stack.url);
    await page.getByRole('link', { name: 'production' }).first().click();
    await page.getByRole('link', { name: 'release-41' }).first().click();
    await page.getByRole('button', { name: 'What changed since' }).click();
    await page.getByRole('checkbox', { name: 'Put public.orders back' }).waitFor({ timeout: 120_000 });
    await page.getByText('email').first().waitFor();
    assert.deepEqual(await axe(page), []);
    await take(page, 'compare');
    for (const table of harmed) await page.getByRole('checkbox', { name: `Put ${table} back` }).check();
    await page.getByRole('button', { name: 'Put the ticked tables of postgres back' }).click();

    await page.getByRole('heading', { name: 'Restore release-41' }).waitFor({ timeout: 60_000 });
    await page.getByText('stay as they are').first().waitFor();
    await page.getByText('column email is not there now and comes back').waitFor();
    assert.deepEqual(await axe(page), []);
    await take(page, 'restore');
    await page.getByLabel(/^Type production/).fill('production');
    await page.getByRole('button', { name: 'Restore', exact: true }).click();
    await page.waitForURL(/\/runs\//);
    const run = await stack.ended(page.url().split('/').at(-1));
    // The customer that came since has no address: that each has one cannot be demanded again, and this is said.
    assert.equal(run.state, 'warning', run.message);
    const log = (await stack.ok('logs', 'production')).stdout;
    assert.match(log, /public\.customers: not put back .*null.*set not null/i);
    assert.ok(Date.now() - begun < 300_000, 'five minutes');
    await page.reload();
    await page.getByText('rows came back').first().waitFor();
    assert.deepEqual(problems, []);
    await context.close();
  });

  test('all that was is there again, and nothing that came since is gone', async () => {
    assert.deepEqual(await facts(), was);
    assert.equal(await stack.sql("select count(*) from orders where note = 'ring twice'"), '1');
    assert.equal(await stack.sql("select count(*) from customers where name = 'Came later'"), '1');
    const count = Number(await stack.sql('select max(id) from orders'));
    await new Promise((done) => setTimeout(done, 2000));
    assert.ok(Number(await stack.sql('select max(id) from orders')) > count, 'orders go on coming in');
    assert.equal(await stack.sql("select count(*) from pg_namespace where nspname like 'holdfast%'"), '0', 'nothing is left of the comparison');
    const alive = await stack.sql("select indexdef from pg_indexes where tablename = 'customers' and indexdef like '%email%'");
    assert.match(alive, /UNIQUE/);
  });

  test('the same by command: a dry run tells it, and each mode does what it says', async () => {
    await stack.sql("delete from order_lines where order_id % 7 = 0 and order_id <= " + newest);
    await stack.sql("update order_lines set quantity = quantity + 1 where order_id % 11 = 0 and order_id <= " + newest);
    // Some orders were taken back since: their lines alone would refer to nothing.
    const lonely = await stack.cli('checkpoint', 'restore', 'release-41', '--table', 'order_lines', '--mode', 'overwrite', '--yes');
    assert.equal(lonely.status, 1);
    assert.match(lonely.stderr, /refer to rows of public\.orders that are not there now .*put that table back with it/);

    const both = ['checkpoint', 'restore', 'release-41', '--table', 'order_lines', '--table', 'orders', '--mode', 'overwrite'];
    const dry = await stack.ok(...both, '--dry-run');
    assert.match(dry.stdout, /public\.order_lines: [\d,]+ rows then, [\d,]+ now; rows told apart by order_id, line/);
    assert.match(dry.stdout, /Nothing was touched/);
    const done = await stack.ok(...both, '--yes');
    assert.match(done.stdout, /Table: +public\.order_lines: \d+ rows came back, \d+ rows got the values that they had, 0 rows went/);
    assert.equal((await facts()).lines, was.lines);

    const refused = await stack.cli('checkpoint', 'restore', 'release-41', '--table', 'public.nothing', '--yes');
    assert.equal(refused.status, 1);
    assert.match(refused.stderr, /has no table public\.nothing/);
    const pair = await stack.cli('checkpoint', 'restore', 'release-41', '--table', 'orders', '--path', '*.svg', '--yes');
    assert.notEqual(pair.status, 0);
    const parent = await stack.cli('checkpoint', 'restore', 'release-41', '--table', 'events', '--yes');
    assert.match(parent.stderr, /partitioned table: restore its partitions one by one/);
  });
});
