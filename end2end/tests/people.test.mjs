// Who may do what, one's own sessions, a sign-in that has grown old, and the password for the day without a provider:
// with a real Keycloak and a real browser.
import assert from 'node:assert/strict';
import { mkdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';

import { axe, open } from './lib/browser.mjs';
import { sleep, until } from './lib/process.mjs';
import { Sso } from './lib/sso.mjs';
import { Stack } from './lib/stack.mjs';

const FRESH = 10;
const GLASS = 'canary glass password 4c1f';

describe('people', () => {
  let sso;
  let stack;
  let keycloak;
  let browser;
  const checkpoints = [];

  before(async () => {
    sso = await Sso.start({ name: 'people', settings: (provider) => provider.toml('', `fresh = "${FRESH}s"`) });
    ({ stack, keycloak, browser } = sso);
    stack.guard('the break-glass password', GLASS);
    stack.guard('the break-glass password in a form', GLASS.replaceAll(' ', '+'));
    const uploads = join(stack.home, 'uploads');
    mkdirSync(uploads);
    writeFileSync(join(uploads, 'a.txt'), 'hello');
    const yaml = join(stack.home, 'holdfast.yaml');
    writeFileSync(yaml, JSON.stringify({ project: 'shop', environment: 'staging', components: [{ name: 'uploads', kind: 'files', path: uploads }] }));
    await stack.ok('admin', 'apply', '-f', yaml);
    for (const name of ['first', 'second']) checkpoints.push(await stack.json('admin', 'checkpoint', 'create', 'shop/staging', '--name', name, '--no-drill'));
    await stack.ok('admin', 'key', 'create', 'deploys', '--project', 'shop');
  });

  after(() => sso?.down());

  const ended = async (page) => (await page.request.get(`${stack.url}/`, { maxRedirects: 0 })).status() === 303;
  const parts = (page) => page.getByRole('navigation', { name: 'Settings' }).getByRole('link').allInnerTexts();
  const row = (page, table, name) => page.getByRole('region', { name: table }).getByRole('row', { name });
  const same = () => ({ origin: stack.url, 'sec-fetch-site': 'same-origin' });

  test('an admin sees who may do what and where it comes from; a viewer sees their own sessions alone', async () => {
    const vera = await sso.signIn('vera');
    await vera.page.getByRole('link', { name: 'Settings' }).click();
    await vera.page.waitForURL(`${stack.url}/settings/sessions`);
    assert.deepEqual(await parts(vera.page), ['Sessions', 'REST API']);
    for (let loaded = 0; loaded < 3; loaded += 1) {
      const refused = await vera.page.request.get(`${stack.url}/settings/members`, { maxRedirects: 0 });
      assert.equal(refused.status(), 403);
    }
    const lines = await stack.json('admin', 'audit', 'list', '--action', 'denied', '--who', 'vera');
    assert.deepEqual(lines.lines.map((line) => line.subject), ['GET /settings/members'], 'a page that is loaded again and again is one line');

    const ada = await sso.signIn('ada');
    await open(ada.page, `${stack.url}/settings/members`);
    assert.deepEqual(await parts(ada.page), ['Members', 'Keys', 'Sessions', 'Audit', 'REST API']);
    assert.match(await row(ada.page, 'People who have signed in', 'vera').innerText(), /keycloak\s+viewer everywhere/);
    assert.match(await row(ada.page, 'People who have signed in', 'ada').innerText(), /keycloak\s+admin everywhere/);
    assert.match(await row(ada.page, 'Keys, service accounts and workflows', 'deploys').innerText(), /key\s+shop\s+view, create/);
    assert.match(await row(ada.page, 'Rules of keycloak', 'holdfast-operators').innerText(), /operator everywhere/);
    assert.deepEqual(await axe(ada.page), []);
    await ada.page.getByRole('link', { name: 'Audit log of vera' }).click();
    await ada.page.getByText('GET /settings/members').waitFor();
    const told = await stack.json('admin', 'members');
    assert.deepEqual(told.people.map((person) => person.name).sort(), ['ada', 'vera']);
    assert.match((await stack.ok('admin', 'members')).stdout, /vera +keycloak +viewer everywhere/);
    assert.deepEqual([...vera.problems, ...ada.problems], []);
    await vera.context.close();
    await ada.context.close();
  });

  test('somebody whose groups are gone stands there without a role', async () => {
    const { context, page } = await sso.signIn('otto');
    await context.close();
    const { id } = await keycloak.person('otto');
    const groups = await keycloak.api('GET', '/groups');
    const group = `/users/${id}/groups/${groups.find((one) => one.name === 'holdfast-operators').id}`;
    await keycloak.api('DELETE', group);
    const again = await browser.newContext();
    const other = await again.newPage();
    await other.goto(`${stack.url}/`);
    await sso.onwards(other);
    await sso.give(other, 'otto');
    await other.getByRole('heading', { name: 'No entry' }).waitFor();
    assert.match((await stack.ok('admin', 'members')).stdout, /otto +keycloak +no role any more/);
    await keycloak.api('PUT', group);
    await again.close();
  });

  test('a viewer is offered nothing that leads to a refusal', async () => {
    const { context, page } = await sso.signIn('vera');
    await open(page, `${stack.url}/checkpoints/${checkpoints[0].id}`);
    await page.getByText('takes the role restorer in shop; yours is viewer').waitFor();
    assert.equal(await page.locator('a[href*="/files"], a[href*="/tables"], a[href*="/restore"]').count(), 0);
    const restore = await page.goto(`${stack.url}/checkpoints/${checkpoints[0].id}/restore`);
    assert.equal(restore.status(), 403);
    await page.getByText('Putting back takes the role restorer in shop').waitFor();
    assert.equal(await page.getByRole('button', { name: 'Restore' }).count(), 0);
    writeFileSync(join(stack.home, 'uploads/b.txt'), 'more');
    const third = await stack.json('admin', 'checkpoint', 'create', 'shop/staging', '--name', 'third', '--no-drill');
    await page.goto(`${stack.url}/compare?first=${checkpoints[0].id}&second=${third.id}`);
    await page.getByText('b.txt').waitFor();
    assert.equal(await page.locator('a[href*="/compare/file"], a[href*="/restore"]').count(), 0);
    await context.close();
  });

  test('somebody ends their other session, and that browser is out at its next request', async () => {
    const here = await sso.signIn('vera', { javaScriptEnabled: false });
    const there = await sso.signIn('vera', { userAgent: 'Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0' });
    const ada = await sso.signIn('ada');
    const adas = await sso.signIn('ada');
    await ada.page.goto(`${stack.url}/settings/sessions`);
    const form = await ada.page.locator('form[action^="/ui/sessions/"][action$="/end"]').first().getAttribute('action');

    await here.page.goto(`${stack.url}/settings/sessions`);
    assert.equal(await here.page.getByText('this browser').count(), 1);
    await here.page.getByText('Firefox on Linux').waitFor();
    assert.ok(!(await here.page.content()).includes(form), "nobody else's");
    const strange = await here.page.request.post(`${stack.url}${form}`, { headers: same(), maxRedirects: 0 });
    assert.equal(strange.status(), 404);
    assert.ok(!(await ended(adas.page)));

    assert.ok(!(await ended(there.page)));
    await here.page.getByRole('button', { name: 'End Firefox on Linux from 127.0.0.1' }).click();
    await here.page.waitForURL(`${stack.url}/settings/sessions`);
    assert.ok(await ended(there.page), 'at its next request');
    assert.ok(!(await ended(here.page)));
    const audited = await stack.json('admin', 'audit', 'list', '--action', 'session.end', '--who', 'vera');
    assert.match(audited.lines[0].detail, /ended by themselves; it came from 127\.0\.0\.1/);

    await open(ada.page, `${stack.url}/settings/sessions`);
    assert.deepEqual(await axe(ada.page), []);
    await ada.page.getByRole('button', { name: 'End all others' }).click();
    await until('the other is out', () => ended(adas.page));
    assert.ok(!(await ended(ada.page)));
    assert.deepEqual([...there.problems, ...ada.problems], []);
    for (const one of [here, there, ada, adas]) await one.context.close();
  });

  test('what cannot be undone leads somebody whose sign-in is old to a new one, and back to their page', async () => {
    const { context, page, problems } = await sso.signIn('ada');
    const anew = async () => {
      await page.waitForURL(`${keycloak.url}/**`);
      await sso.give(page, 'ada');
      await page.waitForURL(sso.ours);
    };
    await open(page, `${stack.url}/settings/keys`);
    await sleep((FRESH + 2) * 1000);
    await page.getByRole('button', { name: 'Revoke deploys' }).click();
    await anew();
    assert.equal(page.url(), `${stack.url}/settings/keys`);
    await page.getByRole('button', { name: 'Revoke deploys' }).click();
    await page.getByText('revoked').first().waitFor();

    const there = `${stack.url}/checkpoints/${checkpoints[0].id}`;
    await open(page, there);
    await sleep((FRESH + 2) * 1000);
    const remove = async () => {
      await page.getByLabel('Type first to delete it').fill('first');
      await page.getByRole('button', { name: 'Delete this checkpoint' }).click();
    };
    await remove();
    await anew();
    assert.equal(page.url(), there);
    await remove();
    await page.waitForURL(`${stack.url}/projects/shop/staging`);
    assert.deepEqual(problems, []);
    await context.close();
  });

  test('break-glass: set on the host, an hour for an admin, told on every page, and closed again', async () => {
    const ada = await sso.signIn('ada');
    const context = await browser.newContext({ viewport: { width: 1280, height: 860 }, javaScriptEnabled: false });
    const page = await context.newPage();
    await page.goto(`${stack.url}/sign-in`);
    assert.equal(await page.getByText('does not answer').count(), 0);
    await stack.ok('break-glass', 'set', { input: `${GLASS}\n` });
    assert.equal(statSync(join(stack.data, 'break-glass')).mode & 0o777, 0o600);
    assert.match((await stack.ok('break-glass', 'status')).stdout, /is set, since/);

    await page.goto(`${stack.url}/projects/shop`);
    await page.getByText('The identity provider does not answer?').waitFor();
    await page.getByRole('link', { name: 'Break glass' }).click();
    await page.getByLabel('Password').fill(GLASS);
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.waitForURL(`${stack.url}/projects/shop`);
    await page.getByText('signed in past the identity provider').waitFor();

    await open(ada.page, `${stack.url}/`);
    const banner = ada.page.getByRole('note', { name: 'Break-glass' });
    assert.match(await banner.innerText(), /break-glass@\S+ signed in past the identity provider at \d\d:\d\d:\d\d and is an admin everywhere, until \d{4}-/);
    assert.deepEqual(await axe(ada.page), []);
    await banner.getByRole('link').click();
    await ada.page.getByText('break_glass.sign_in').first().waitFor();

    await stack.ok('break-glass', 'off');
    assert.ok(await ended(page), 'what it had opened ends with it');
    await open(ada.page, `${stack.url}/`);
    assert.equal(await banner.count(), 0);
    await page.goto(`${stack.url}/sign-in/break-glass`);
    await page.getByText('No break-glass password is set here').waitFor();
    assert.deepEqual(ada.problems, []);
    await ada.context.close();
    await context.close();
  });

  test('five tries, and then the right password opens nothing either for a while', async () => {
    await stack.ok('break-glass', 'set', { input: `${GLASS}\n` });
    const context = await browser.newContext();
    const page = await context.newPage();
    const give = async (text) => {
      await page.goto(`${stack.url}/sign-in/break-glass`);
      await page.getByLabel('Password').fill(text);
      const [answer] = await Promise.all([page.waitForResponse((response) => response.request().method() === 'POST'), page.getByRole('button', { name: 'Sign in' }).click()]);
      return answer.status();
    };
    // The one that was right counts too.
    for (let wrong = 0; wrong < 4; wrong += 1) assert.equal(await give('another password'), 403);
    assert.equal(await give(GLASS), 429);
    assert.match(await page.getByRole('alert').innerText(), /The next one counts in 1[0-5] minutes/);
    await stack.stop();
    await stack.serve();
    assert.equal(await give(GLASS), 429, 'a restart forgets nothing');
    assert.ok(await ended(page));
    const { lines } = await stack.json('admin', 'audit', 'list', '--action', 'break_glass.refused');
    assert.equal(lines.length, 5, JSON.stringify(lines));
    assert.ok(lines.every((line) => line.detail.includes('from 127.0.0.1')));
    const log = stack.logText();
    assert.match(log, /BREAK GLASS/);
    await context.close();
  });

  test('with Keycloak stopped, break-glass still works', async () => {
    const other = await Stack.start({ name: 'people-alone', scale: 0, serve: false });
    try {
      mkdirSync(other.data, { mode: 0o700 });
      writeFileSync(join(other.data, 'holdfast.toml'), keycloak.toml());
      await keycloak.stop();
      await other.serve();
      const made = await other.json('break-glass', 'set', '--generate');
      const context = await browser.newContext();
      const page = await context.newPage();
      await page.goto(`${other.url}/activity`);
      await page.getByRole('button', { name: 'Sign in with keycloak' }).click();
      await page.getByRole('heading', { name: 'You are not signed in' }).waitFor();
      await page.goto(`${other.url}/activity`);
      await page.getByRole('link', { name: 'Break glass' }).click();
      await page.getByLabel('Password').fill(made.password);
      await page.getByRole('button', { name: 'Sign in' }).click();
      await page.waitForURL(`${other.url}/activity`);
      await page.getByText('signed in past the identity provider').waitFor();
      await page.getByRole('button', { name: 'Sign out' }).click();
      await page.waitForURL(`${other.url}/sign-in*`);
      await context.close();
    } finally {
      await other.down();
    }
  });
});
