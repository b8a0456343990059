// What changed: a bad migration, good writes, edited files, commits and variables, found again from shell, API and dashboard.
import assert from 'node:assert/strict';
import { readFileSync, rmSync, writeFileSync, appendFileSync, chmodSync, mkdirSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';

import { axe, launch, open, signedIn } from './lib/browser.mjs';
import { must } from './lib/process.mjs';
import { Stack } from './lib/stack.mjs';

const canary = 'canary-mailer-key-5e17';

describe('comparing', () => {
  let stack;
  let browser;
  let first;
  let second;
  const upload = (...names) => join(stack.app, 'uploads', ...names);
  const part = (diff, name) => diff.components.find((component) => component.name === name).changes;

  before(async () => {
    stack = await Stack.start({ name: 'compare', scale: 10 });
    await stack.apply();
    mkdirSync(upload('pages'), { recursive: true });
    writeFileSync(upload('pages/about.html'), '<h1>About</h1>\n<p>We sell what lasts.</p>\n<p>Since 1994.</p>\n');
    writeFileSync(upload('pages/old.html'), '<h1>Old</h1>\n');
    writeFileSync(upload('pages/moved.txt'), 'the same content under another name\n');
    writeFileSync(upload('pages/mode.txt'), 'only its mode changes\n');
    writeFileSync(upload('pages/picture.bin'), Buffer.from([0, 1, 2, 3, 4, 5]));
    first = await stack.json('checkpoint', 'create', 'production', '--name', 'before-migration');
    assert.equal(first.proof, 'proven');

    writeFileSync(upload('pages/about.html'), '<h1>About</h1>\n<p>We sell what breaks.</p>\n<p>Since 1994.</p>\n<p>Call us.</p>\n');
    rmSync(upload('pages/old.html'));
    writeFileSync(upload('pages/new.html'), '<h1>New</h1>\n');
    renameSync(upload('pages/moved.txt'), upload('pages/elsewhere.txt'));
    chmodSync(upload('pages/mode.txt'), 0o600);
    writeFileSync(upload('pages/picture.bin'), Buffer.from([0, 1, 2, 9, 4, 5]));
    const env = readFileSync(join(stack.app, '.env'), 'utf8');
    writeFileSync(join(stack.app, '.env'), `${env.replace(/^PAYMENT_KEY=.*/m, 'PAYMENT_KEY=another')}MAILER_KEY=${canary}\n`);
    appendFileSync(join(stack.app, 'notes.txt'), 'a line that was committed\n');
    await must('git', ['-c', 'safe.directory=*', '-c', 'user.name=Ada', '-c', 'user.email=ada@example.org', '-C', stack.app, 'commit', '-qam', 'Say it in the notes']);
    await stack.demo('bad-migration');
    await stack.sql("insert into products (name, description, price, stock, attributes, tags, picture) values ('Good write', 'after the migration', 12.50, 3, '{}', '{}', '\\x00')");
    second = await stack.json('checkpoint', 'create', 'production', '--name', 'after-migration', '--no-drill');
    browser = await launch();
  });
  after(async () => {
    await browser?.close();
    await stack?.down();
  });

  test('one answer has configuration, files, git, schema and rows', async () => {
    const diff = await stack.json('checkpoint', 'diff', 'before-migration', 'after-migration');
    assert.equal(diff.first.checkpoint, first.id);
    assert.equal(diff.second.checkpoint, second.id);

    const { variables } = part(diff, 'settings');
    assert.deepEqual(variables.map((v) => [v.name, v.change]), [['MAILER_KEY', 'added'], ['PAYMENT_KEY', 'changed']]);
    assert.match(variables[0].after, /^[0-9a-f]{12}$/);

    const files = part(diff, 'uploads');
    const told = Object.fromEntries(files.entries.filter((e) => e.path.startsWith('pages/')).map((e) => [e.path, e]));
    assert.equal(told['pages/about.html'].change.of, 'modified');
    assert.deepEqual(told['pages/about.html'].lines, { added: 2, removed: 1 });
    assert.equal(told['pages/old.html'].change.of, 'deleted');
    assert.equal(told['pages/new.html'].change.of, 'added');
    assert.deepEqual(told['pages/elsewhere.txt'].change, { of: 'renamed', from: 'pages/moved.txt' });
    assert.equal(told['pages/mode.txt'].change.of, 'metadata');
    assert.equal(told['pages/picture.bin'].change.of, 'modified');
    assert.equal(Object.keys(told).length, 6);

    const git = part(diff, 'source');
    assert.deepEqual(git.added.map((commit) => commit.title), ['Say it in the notes']);
    assert.equal(git.removed.length, 0);

    const database = part(diff, 'postgres');
    const customers = database.schema.find((object) => object.kind === 'table' && object.name === 'customers');
    assert.equal(customers.change, 'changed');
    assert.match(customers.details.join('\n'), /email/);
    const rows = Object.fromEntries(database.tables.map((table) => [`${table.schema}.${table.name}`, table.rows]));
    const gone = first.ledger.postgres['public.orders'].rows - second.ledger.postgres['public.orders'].rows;
    assert.equal(rows['public.orders'].of, 'counted');
    assert.deepEqual(rows['public.orders'].key, ['id']);
    assert.equal(rows['public.orders'].removed - rows['public.orders'].added, gone);
    assert.ok(rows['public.products'].added >= 1);
    assert.equal(rows['reporting.days'], undefined, 'an unchanged table is not among them');
  });

  test('turned round it says the opposite, and of one with itself nothing', async () => {
    const there = await stack.json('checkpoint', 'diff', first.id, second.id);
    const back = await stack.json('checkpoint', 'diff', second.id, first.id);
    const rows = (diff) => part(diff, 'postgres').tables.find((table) => table.name === 'orders').rows;
    assert.equal(rows(there).removed, rows(back).added);
    assert.equal(rows(there).added, rows(back).removed);
    assert.equal(part(there, 'uploads').counts.added, part(back, 'uploads').counts.deleted);
    const { stdout } = await stack.ok('checkpoint', 'diff', first.id, first.id);
    assert.match(stdout, /Nothing differs/);
  });

  test('the printed form has the signs, and no value', async () => {
    const { stdout } = await stack.ok('checkpoint', 'diff', first.id, second.id);
    assert.match(stdout, /^Checkpoint Comparison\nFrom: chk_\w+ \(before-migration\)/);
    for (const line of [/^ {2}\+ MAILER_KEY/m, /^ {2}~ PAYMENT_KEY/m, /M pages\/about\.html \(\+2, -1\)/, /A pages\/new\.html/, /D pages\/old\.html/, /~ table public\.customers: .*email/, /Size Difference: [+-]/]) assert.match(stdout, line);
    assert.doesNotMatch(stdout, new RegExp(canary));
  });

  test('a file and a table can be opened', async () => {
    const { stdout } = await stack.ok('checkpoint', 'diff', first.id, second.id, '--file', 'pages/about.html');
    assert.match(stdout, /^-<p>We sell what lasts\.<\/p>$/m);
    assert.match(stdout, /^\+<p>We sell what breaks\.<\/p>$/m);
    assert.match(stdout, /^ <p>Since 1994\.<\/p>$/m);
    const binary = await stack.ok('checkpoint', 'diff', first.id, second.id, '--file', 'pages/picture.bin');
    assert.match(binary.stdout, /not text; the first byte that differs is number 3/);
    const table = await stack.json('checkpoint', 'diff', first.id, second.id, '--table', 'products');
    assert.equal(table.rows.filter((row) => row.change === 'added' && row.after.includes('Good write')).length, 1);
    const none = await stack.cli('checkpoint', 'diff', first.id, second.id, '--table', 'nothing');
    assert.equal(none.status, 2);
    assert.match(none.stderr, /leave --table out/);
  });

  test('live takes a checkpoint and compares with it', async () => {
    writeFileSync(upload('pages/live.html'), 'now\n');
    const diff = await stack.json('checkpoint', 'diff', 'production@latest', 'live');
    assert.equal(diff.first.checkpoint, second.id, 'the newest before, not the one that is taken');
    assert.deepEqual(part(diff, 'uploads').entries.map((entry) => entry.path), ['pages/live.html']);
    const taken = await stack.json('checkpoint', 'show', diff.second.checkpoint);
    assert.deepEqual(taken.tags, ['live']);
    const latest = await stack.json('checkpoint', 'show', 'production@latest');
    assert.equal(latest.id, second.id, 'one that was taken to compare with is not the one to go back to');
  });

  test('the dashboard leads from the list to the lines and rows, without a script too', async () => {
    for (const javaScriptEnabled of [true, false]) {
      const { context, page, problems } = await signedIn(browser, stack, { javaScriptEnabled });
      await page.goto(`${stack.url}/projects/shop/production`);
      await page.getByLabel('Compare before-migration').check();
      await page.getByLabel('Compare after-migration').check();
      await page.getByRole('button', { name: 'Compare', exact: true }).click();
      await page.waitForURL(/\/compare\?/);
      await page.getByRole('link', { name: 'public.orders' }).waitFor({ timeout: 30_000 });
      for (const title of ['Configuration', 'Files', 'Git', 'Schema', 'Rows', 'Size']) await page.getByRole('heading', { name: title, exact: true }).waitFor();
      assert.ok(!(await page.content()).includes(canary), 'no value is shown');
      await page.getByRole('link', { name: 'about.html' }).click();
      await page.getByRole('heading', { name: 'about.html' }).waitFor();
      assert.deepEqual(await page.locator('tr.removed mark').allInnerTexts(), ['lasts']);
      await page.getByRole('link', { name: 'Side by side' }).click();
      await page.locator('table.lines.beside').waitFor();
      await page.goBack();
      await page.goBack();
      await page.getByRole('link', { name: 'public.products' }).click();
      await page.getByText('Good write').waitFor();
      if (javaScriptEnabled) assert.deepEqual(await axe(page), []);
      assert.deepEqual(problems, []);
      await context.close();
    }
  });

  test('a value is revealed to a person only, and the audit trail notes it', async () => {
    const query = new URLSearchParams({ component: 'settings', variable: 'MAILER_KEY' });
    const path = `/v1/checkpoints/${first.id}/diff/${second.id}/value?${query}`;
    assert.deepEqual((await stack.api('GET', path)).body, { before: null, after: canary });
    const { context, page } = await signedIn(browser, stack);
    await open(page, `${stack.url}/compare?first=${first.id}&second=${second.id}`);
    await page.getByRole('row', { name: /MAILER_KEY/ }).getByRole('link', { name: 'Reveal' }).click();
    await page.getByText(canary).waitFor();
    await context.close();
  });

  test('what names nothing is said', async () => {
    const unknown = await stack.cli('checkpoint', 'diff', first.id, 'chk_00000000000000000000');
    assert.notEqual(unknown.status, 0);
    const lonely = await stack.api('GET', `/v1/checkpoints/${first.id}/diff/${second.id}/table?component=postgres&schema=public&table=none`);
    assert.equal(lonely.status, 404);
    const file = await stack.api('GET', `/v1/checkpoints/${first.id}/diff/${second.id}/file?component=uploads&path=../../etc/passwd`);
    assert.equal(file.status, 404);
  });
});
