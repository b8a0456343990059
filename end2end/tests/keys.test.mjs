// A key of a pipeline: it takes checkpoints of its project, and whatever else somebody who holds it tries is refused.
import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';

import { axe, launch, open, signedIn } from './lib/browser.mjs';
import { until } from './lib/process.mjs';
import { Stack } from './lib/stack.mjs';

const DEFINITION = (folder) => ({
  project: 'blog',
  environment: 'production',
  components: [{ name: 'posts', kind: 'files', path: folder }],
});

describe('keys', () => {
  let stack;
  let browser;
  let key;
  let sealed;
  let theirs;

  /** What the REST API answers to a key. */
  const ask = async (method, path, { token = key.token, body, headers = {} } = {}) => {
    const response = await fetch(`${stack.url}${path}`, {
      method,
      redirect: 'manual',
      headers: { authorization: `Bearer ${token}`, ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
    return { status: response.status, text: await response.text() };
  };
  const withKey = (...args) => stack.cli(...args, { env: { HOLDFAST_DATA_DIR: '/nonexistent', HOLDFAST_URL: stack.url, HOLDFAST_TOKEN: key.token } });

  before(async () => {
    stack = await Stack.start({ name: 'keys' });
    await stack.apply();
    sealed = await stack.json('checkpoint', 'create', 'shop/production', '--name', 'before');
    const response = await fetch(`${stack.url}/v1/environments`, {
      method: 'POST',
      headers: { authorization: `Bearer ${stack.token}`, 'content-type': 'application/json' },
      body: JSON.stringify({ definition: DEFINITION(`${stack.app}/uploads`) }),
    });
    assert.equal(response.status, 200, await response.text());
    theirs = await stack.json('checkpoint', 'create', 'blog/production', '--no-drill');
    key = await stack.json('key', 'create', 'deploys of the shop', '--project', 'shop', '--scope', 'create,drill,cancel');
    browser = await launch();
  });
  after(async () => {
    await browser?.close();
    await stack?.down();
  });

  test('a pipeline takes a checkpoint with it, and sees its own project alone', async () => {
    const taken = await withKey('checkpoint', 'create', 'production', '--json');
    assert.equal(taken.status, 0, taken.stderr);
    assert.equal(JSON.parse(taken.stdout).proof, 'proven');
    const listed = await withKey('checkpoint', 'list', '--json');
    assert.ok(!listed.stdout.includes(theirs.id) && listed.stdout.includes(sealed.id));
    const keys = await stack.json('key', 'list');
    assert.equal(keys[0].last_used_from, '127.0.0.1');
    assert.ok(!JSON.stringify(keys).includes(key.token), 'the token is shown once');
  });

  test('whoever holds it can destroy, alter and read nothing', async () => {
    const before = (await stack.json('checkpoint', 'list', '--limit', '100')).count;
    const environment = (await stack.api('GET', '/v1/environments/shop~production')).body.id;
    const one = `/v1/checkpoints/${sealed.id}`;
    const tries = [
      ['DELETE', one],
      ['POST', `${one}/restore`, {}],
      ['POST', `${one}/restore/plan`, {}],
      ['POST', `${one}/restore`, { to_dir: '/etc' }],
      ['POST', `${one}/restore`, { to: 'blog/production' }],
      ['GET', `${one}/content/config/config.json`],
      ['GET', `${one}/content/environment.json`],
      ['GET', `${one}/export`],
      ['GET', `${one}/tree?component=uploads`],
      ['GET', `${one}/folder?component=uploads`],
      ['GET', `${one}/tables?component=postgres`],
      ['GET', `${one}/table?component=postgres&table=public.customers`],
      ['GET', `${one}/diff/latest/table?component=postgres&table=public.customers`],
      ['GET', `${one}/diff/latest/value?component=config&variable=SECRET_KEY`],
      ['POST', '/v1/environments', { definition: { project: 'shop', environment: 'production', components: [] } }],
      ['POST', '/v1/environments', { definition: { project: 'shop', environment: 'x', components: [{ name: 'x', kind: 'files', path: '/etc' }], restore: { stop: ['rm', '-rf', '/'] } } }],
      ['POST', `/v1/environments/${environment}/confirmation`],
      ['POST', '/v1/imports'],
      ['POST', '/v1/vaults', { location: '/tmp', password: 'x' }],
      ['POST', '/v1/vaults/shop', { location: '/tmp/vault' }],
      ['POST', '/v1/vaults/shop/prune', {}],
      ['POST', '/v1/vaults/shop/repair', {}],
      ['POST', '/v1/vaults/shop/copy', { location: '/tmp/copy', moves: true }],
      ['GET', '/v1/vaults/shop/recovery-kit'],
      ['POST', '/v1/vaults/shop/recovery-kit/confirm'],
      ['GET', '/v1/catalogue/kit'],
      ['POST', '/v1/catalogue/copies', {}],
      ['GET', '/v1/keys'],
      ['POST', '/v1/keys', { name: 'mine', everywhere: true }],
      ['POST', `/v1/keys/${key.key.id}/rotate`, { expires_in: '400d' }],
      ['DELETE', `/v1/keys/${key.key.id}`],
      ['GET', '/v1/audit'],
      ['POST', '/v1/sign-in-links'],
    ];
    for (const [method, path, body] of tries) {
      const { status, text } = await ask(method, path, { body });
      assert.equal(status, 403, `${method} ${path}: ${status} ${text}`);
    }
    // What a key may ask for, of another project, by every name that it has.
    for (const name of [theirs.id, theirs.id.slice(0, 20), 'blog~production@latest', 'blog/production@latest'].map(encodeURIComponent)) {
      for (const [method, rest] of [['GET', ''], ['GET', '/manifest'], ['POST', '/verify'], ['POST', '/drill'], ['GET', `/diff/${sealed.id}`]]) {
        const { status, text } = await ask(method, `/v1/checkpoints/${name}${rest}`);
        assert.equal(status, 404, `${method} ${name}${rest}: ${status} ${text}`);
        assert.ok(!text.includes('posts'), text);
      }
    }
    assert.equal((await ask('GET', `${one}/diff/${theirs.id}`)).status, 404);
    assert.equal((await ask('POST', '/v1/checkpoints', { body: { environment: 'blog/production' } })).status, 404);
    assert.equal((await ask('POST', '/v1/vaults/blog/check', { body: { depth: 'structure' } })).status, 404);
    for (const run of await stack.runs()) {
      if ((run.environment ?? run.vault).project !== 'blog') continue;
      assert.equal((await ask('GET', `/v1/runs/${run.id}`)).status, 404);
      assert.equal((await ask('POST', `/v1/runs/${run.id}/cancel`)).status, 404);
    }
    // It is no session, and a session's pages take no bearer token.
    for (const path of ['/', '/settings/keys', `/ui/checkpoints/${sealed.id}/export`, '/projects/shop']) {
      const { status } = await ask('GET', path);
      assert.ok([303, 401].includes(status), `${path}: ${status}`);
    }
    // Commands and paths by way of what it may send.
    for (const body of [
      { environment: 'production', tags: ['--output=/etc/passwd', '; rm -rf /'] },
      { environment: 'production', exclude: ['../../../../etc'] },
      { environment: '../blog/production' },
      { environment: 'production', trigger: 'pre_restore' },
      { environment: 'production', hooks: ['x'] },
    ]) {
      const { status, text } = await ask('POST', '/v1/checkpoints', { body });
      assert.ok(status === 400 || status === 404 || status === 202, `${JSON.stringify(body)}: ${status} ${text}`);
    }
    await until('nothing runs', async () => (await stack.runs()).every((run) => run.ended_at !== null), { timeout: 120_000 });
    const after = await stack.json('checkpoint', 'list', '--limit', '100');
    assert.ok(after.count >= before, 'nothing is gone');
    const intact = await stack.ok('checkpoint', 'verify', sealed.id);
    assert.match(intact.stdout, /intact/i);
    const denied = await stack.json('audit', 'list', '--action', 'denied', '--who', 'deploys of the shop', '--limit', '1000');
    assert.ok(denied.lines.length >= tries.length, 'each refusal is in the audit log');
    assert.match((await stack.ok('audit', 'verify')).stdout, /as they were written/);
  });

  test('forged, mistyped, expired and revoked ones are refused, and one from a wrong place', async () => {
    const wrong = [
      '',
      'x',
      key.token.slice(0, -1) + (key.token.endsWith('0') ? '1' : '0'),
      key.token.replace(/_[0-9a-f]{64}_/, `_${'0'.repeat(64)}_`),
      key.token.toUpperCase(),
      `${key.token} ${key.token}`,
      key.key.id,
    ];
    for (const token of wrong) assert.equal((await ask('GET', '/v1/projects', { token })).status, 401, token);
    const far = await stack.json('key', 'create', 'far', '--project', 'shop', '--network', '203.0.113.0/24');
    for (const headers of [{}, { 'x-forwarded-for': '203.0.113.7' }, { forwarded: 'for=203.0.113.7' }]) {
      const { status, text } = await ask('GET', '/v1/projects', { token: far.token, headers });
      assert.equal(status, 401, text);
    }
    const turned = await stack.json('key', 'rotate', key.key.id, '--overlap', '1h');
    for (const token of [key.token, turned.token]) assert.equal((await ask('GET', '/v1/projects', { token })).status, 200);
    await stack.ok('key', 'revoke', key.key.id);
    assert.equal((await ask('GET', '/v1/projects')).status, 401, 'at once');
    assert.equal((await ask('GET', '/v1/projects', { token: turned.token })).status, 200);
    for (const asked of [['x'], ['x', '--project', 'shop', '--scope', 'delete'], ['x', '--everywhere', '--expires', '401d'], ['x', '--project', 'nowhere']]) {
      const { status, stderr } = await stack.cli('key', 'create', ...asked);
      assert.ok(status === 1 || status === 2, `${asked}: ${status}`);
      assert.match(stderr, /error: /);
    }
  });

  test('no token stands in the log or in the catalogue', () => {
    const kept = readdirSync(stack.data).filter((name) => name.startsWith('catalogue.db'));
    assert.ok(kept.length > 0 && stack.logText().includes('/v1/keys'));
    for (const text of [stack.logText(), ...kept.map((name) => readFileSync(`${stack.data}/${name}`, 'latin1'))]) {
      assert.ok(!text.includes(key.token) && !text.includes(key.token.split('_')[2]), 'the secret part');
    }
  });

  test('the dashboard makes one, shows it once, turns it over and revokes it, without a script too', async () => {
    for (const javaScriptEnabled of [true, false]) {
      const { context, page, problems } = await signedIn(browser, stack, { javaScriptEnabled });
      const see = (path) => (javaScriptEnabled ? open(page, `${stack.url}${path}`) : page.goto(`${stack.url}${path}`));
      await see('/settings/keys');
      const name = `pipeline ${javaScriptEnabled}`;
      await page.getByLabel('Name').fill(name);
      await page.getByLabel('Project').selectOption('shop');
      await page.getByRole('button', { name: 'Make the key' }).click();
      const token = await page.locator('.token').innerText();
      assert.equal((await ask('GET', '/v1/projects', { token })).status, 200);
      assert.ok(!page.url().includes(token));
      await page.getByRole('link', { name: 'I have stored it' }).click();
      await page.getByRole('heading', { name: 'Keys', exact: true }).waitFor();
      assert.ok(!(await page.content()).includes(token), 'it is not shown again');
      if (javaScriptEnabled) assert.deepEqual(await axe(page), []);
      await page.getByRole('button', { name: `Rotate ${name}` }).click();
      const next = await page.locator('.token').innerText();
      assert.notEqual(next, token);
      await page.getByRole('link', { name: 'I have stored it' }).click();
      await page.getByRole('button', { name: `Revoke ${name}` }).first().click();
      await page.getByText('revoked').first().waitFor();
      assert.equal((await ask('GET', '/v1/projects', { token: next })).status, 401);
      await see('/settings/audit?action=key');
      await page.getByText('key.revoke').first().waitFor();
      await page.getByText('as they were written').waitFor();
      if (javaScriptEnabled) assert.deepEqual(await axe(page), []);
      assert.deepEqual(problems, []);
      await context.close();
    }
  });
});
