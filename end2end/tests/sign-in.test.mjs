// Signing in through a real Keycloak's own page, with and without scripts; what each role may; the end from both sides.
import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';

import { open } from './lib/browser.mjs';
import { password } from './lib/keycloak.mjs';
import { until } from './lib/process.mjs';
import { Sso } from './lib/sso.mjs';

describe('signing in with an identity provider', () => {
  let sso;
  let stack;
  let keycloak;

  before(async () => {
    sso = await Sso.start({ name: 'sign-in' });
    ({ stack, keycloak } = sso);
    const uploads = join(stack.home, 'uploads');
    mkdirSync(uploads);
    writeFileSync(join(uploads, 'a.txt'), 'hello');
    const definition = { project: 'shop', environment: 'staging', components: [{ name: 'uploads', kind: 'files', path: uploads }] };
    // What people who sign in decide, client.json does not; the owner of the data directory can, audited.
    const { status, body } = await stack.api('POST', '/v1/environments', { definition });
    assert.equal(status, 403, JSON.stringify(body));
    assert.match(body.detail, /holdfast admin/);
    const yaml = join(stack.home, 'holdfast.yaml');
    writeFileSync(yaml, JSON.stringify(definition));
    const refused = await stack.cli('apply', '-f', yaml);
    assert.equal(refused.status, 1);
    await stack.ok('admin', 'apply', '-f', yaml);
    const audited = await stack.json('admin', 'audit', 'list', '--action', 'break_glass');
    assert.ok(audited.lines.some((line) => line.subject === 'POST /v1/environments'), JSON.stringify(audited));
    assert.deepEqual(readdirSync(join(stack.data, 'admin')), [], 'the way in is gone with the command');
  });

  after(() => sso?.down());

  const environment = () => `${stack.url}/projects/shop/staging`;
  const ended = async (page) => (await page.request.get(`${stack.url}/`, { maxRedirects: 0 })).status() === 303;
  const signOut = (page) => page.getByRole('button', { name: 'Sign out' }).click();

  test('an operator signs in, comes back to where they wanted to go, and takes a checkpoint', async () => {
    const { context, page, problems } = await sso.signIn('otto', {}, '/projects/shop/staging');
    assert.equal(page.url(), environment());
    await open(page, environment());
    await page.getByRole('button', { name: 'Back up now' }).click();
    const panel = page.locator('section.run').first();
    await panel.getByText('Succeeded').first().waitFor({ timeout: 120_000 });
    const { body } = await stack.api('GET', '/v1/checkpoints?environment=staging');
    assert.equal((body.items ?? body.checkpoints ?? body).length, 1);
    assert.deepEqual(problems, []);
    const [cookie] = await context.cookies(stack.url);
    assert.deepEqual([cookie.httpOnly, cookie.sameSite], [true, 'Lax']);
    await context.close();
  });

  test('a viewer looks and does nothing', async () => {
    const { context, page } = await sso.signIn('vera');
    await open(page, environment());
    await page.getByRole('heading', { name: 'staging' }).waitFor();
    assert.equal(await page.getByRole('button', { name: 'Back up now' }).count(), 0, 'what she may not do is not offered');
    const settings = await page.request.get(`${stack.url}/settings/keys`, { maxRedirects: 0 });
    assert.equal(settings.status(), 403);
    const headers = { origin: stack.url, 'sec-fetch-site': 'same-origin' };
    const pressed = await page.request.post(`${stack.url}/ui/back-up`, { headers, form: { environment: 'staging' }, maxRedirects: 0 });
    assert.equal(pressed.status(), 403);
    await context.close();
  });

  test('signing out ends it on both sides: the next sign-in asks for the password', async () => {
    const { context, page, problems } = await sso.signIn('ada');
    await open(page, `${stack.url}/`);
    const [before] = await context.cookies(stack.url);
    await signOut(page);
    await page.waitForURL(`${stack.url}/sign-in*`);
    await context.addCookies([before]);
    assert.ok(await ended(page), 'the old cookie opens nothing');
    await page.goto(`${stack.url}/sign-in`);
    await sso.onwards(page);
    await page.locator('#password').waitFor();
    assert.deepEqual(problems, []);
    await context.close();
  });

  test('a session that lives at Keycloak signs in without a word, under a new id', async () => {
    const { context, page } = await sso.signIn('ada');
    const [first] = await context.cookies(stack.url);
    await context.clearCookies({ domain: '127.0.0.1', name: 'holdfast' });
    await page.goto(`${stack.url}/sign-in`);
    await page.getByRole('button', { name: 'Sign in with keycloak' }).click();
    await page.waitForURL(sso.ours);
    const second = (await context.cookies(stack.url)).find(({ name }) => name === 'holdfast');
    assert.notEqual(second.value, first.value);
    await context.close();
  });

  test('a step-up asks for the password although the session lives, and only a new one counts', async () => {
    const { context, page } = await sso.signIn('ada');
    await page.goto(`${stack.url}/sign-in/again?next=/activity`);
    await page.waitForURL(`${keycloak.url}/**`);
    await sso.give(page, 'ada');
    await page.waitForURL(`${stack.url}/activity`);
    await context.close();
  });

  test('when Keycloak ends a session, ours ends with it', async () => {
    const { context, page } = await sso.signIn('ada');
    assert.ok(!(await ended(page)));
    const { id } = await keycloak.person('ada');
    await keycloak.api('POST', `/users/${id}/logout`);
    await until('our session has ended', () => ended(page), { timeout: 10_000 });
    await context.close();
  });

  test('roles are read again while a session lives; without any it ends', async () => {
    const realm = await keycloak.api('GET', '');
    await keycloak.api('PUT', '', { ...realm, accessTokenLifespan: 5 });
    const { context, page } = await sso.signIn('otto');
    const press = async () => {
      const headers = { origin: stack.url, 'sec-fetch-site': 'same-origin' };
      const pressed = await page.request.post(`${stack.url}/ui/back-up`, { headers, form: { environment: 'staging' }, maxRedirects: 0 });
      return pressed.status();
    };
    assert.notEqual(await press(), 403);
    const { id } = await keycloak.person('otto');
    const groups = await keycloak.api('GET', '/groups');
    const group = (name) => `/users/${id}/groups/${groups.find((one) => one.name === name).id}`;
    await keycloak.api('PUT', group('holdfast-viewers'));
    await keycloak.api('DELETE', group('holdfast-operators'));
    await until('an operator who became a viewer may no longer', async () => (await press()) === 403, { timeout: 20_000, every: 500 });
    assert.ok(!(await ended(page)));
    const from = Date.now();
    // Many requests at the moment at which a new answer is due: one asks, none loses the session.
    await until('it was renewed once more', async () => {
      const all = await Promise.all(Array.from({ length: 8 }, () => page.request.get(`${stack.url}/`, { maxRedirects: 0 })));
      assert.deepEqual(all.map((one) => one.status()), Array(8).fill(200));
      return Date.now() - from > 7_000;
    }, { timeout: 20_000, every: 200 });
    await keycloak.api('DELETE', group('holdfast-viewers'));
    await until('whoever has no role is out', () => ended(page), { timeout: 20_000, every: 500 });
    await keycloak.api('PUT', group('holdfast-operators'));
    await keycloak.api('PUT', '', { ...realm, accessTokenLifespan: 300 });
    await context.close();
  });

  test('a step-up with a client that lacks the scope basic names it', async () => {
    const [{ id }] = await keycloak.api('GET', '/clients?clientId=holdfast');
    const scopes = await keycloak.api('GET', '/client-scopes');
    const basic = `/clients/${id}/default-client-scopes/${scopes.find(({ name }) => name === 'basic').id}`;
    await keycloak.api('DELETE', basic);
    const { context, page } = await sso.signIn('ada');
    await page.goto(`${stack.url}/sign-in/again?next=/`);
    await sso.give(page, 'ada');
    await page.getByRole('heading', { name: 'You are not signed in' }).waitFor();
    assert.match(await page.locator('main').innerText(), /client scope `basic`/);
    await keycloak.api('PUT', basic);
    await context.close();
  });

  test('whoever has no group sees a page that says so, and no more', async () => {
    const { context, page } = await sso.atKeycloak();
    await sso.give(page, 'nora');
    await page.getByRole('heading', { name: 'No entry' }).waitFor();
    const said = await page.locator('main').innerText();
    for (const word of ['nora', 'groups', 'Ask whoever runs Holdfast']) assert.ok(said.includes(word), said);
    assert.ok(await ended(page), 'nobody is signed in');
    await context.close();
  });

  test('without scripts: signing in and Back up now', async () => {
    const { context, page } = await sso.signIn('otto', { javaScriptEnabled: false }, '/projects/shop/staging');
    const count = async () => (await stack.runs()).filter((run) => run.kind === 'create').length;
    const before = await count();
    await page.getByRole('button', { name: 'Back up now' }).click();
    await until('a run was begun', async () => (await count()) > before);
    await signOut(page);
    await page.waitForURL((url) => url.pathname === '/sign-in' || url.origin === keycloak.url);
    assert.ok(await ended(page));
    await context.close();
  });

  test("a service account's token works on /v1, for what programs may", async () => {
    const token = await keycloak.ofPipeline();
    const ask = (method, path) => fetch(`${stack.url}${path}`, { method, headers: { authorization: `Bearer ${token}` } });
    assert.equal((await ask('GET', '/v1/projects')).status, 200);
    const [head, body, signature] = token.split('.');
    const other = JSON.stringify({ ...JSON.parse(Buffer.from(body, 'base64url')), groups: ['holdfast-admins'] });
    const forged = [head, Buffer.from(other).toString('base64url'), signature].join('.');
    const refused = await fetch(`${stack.url}/v1/projects`, { headers: { authorization: `Bearer ${forged}` } });
    assert.equal(refused.status, 401);
    assert.equal((await ask('POST', '/v1/vaults/shop/prune')).status, 403);
    const master = await keycloak.token('master', { grant_type: 'password', client_id: 'admin-cli', username: 'root', password: 'canary-keycloak-admin-5f1e' });
    const elsewhere = await fetch(`${stack.url}/v1/projects`, { headers: { authorization: `Bearer ${master.access_token}` } });
    assert.equal(elsewhere.status, 401, "another realm's token");
  });

  test('no secret of the sign-in stands in the log or in the catalogue', async () => {
    const log = stack.logText();
    for (const secret of [keycloak.secret, keycloak.ciSecret, password('ada'), 'eyJ']) assert.ok(!log.includes(secret), secret);
  });
});
