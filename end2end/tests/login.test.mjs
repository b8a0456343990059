// A person at a terminal: signing in by a code that they give in a browser at a real Keycloak, and what needs a new
// sign-in waits on a page until they have said yes or no there.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';

import { axe } from './lib/browser.mjs';
import { environment, run, sleep, until } from './lib/process.mjs';
import { Sso } from './lib/sso.mjs';

describe('a login at a terminal', () => {
  let stack;
  let keycloak;
  let browser;
  let sso;
  let config;
  let context;
  let page;

  before(async () => {
    sso = await Sso.start({ name: 'login', settings: (provider, { home }) => provider.toml(`allow_paths = ["${home}/uploads"]\n`) });
    ({ stack, keycloak, browser } = sso);
    const uploads = join(stack.home, 'uploads');
    mkdirSync(uploads);
    writeFileSync(join(uploads, 'a.txt'), 'hello');
    writeFileSync(join(stack.home, 'holdfast.yaml'), JSON.stringify({ project: 'shop', environment: 'staging', components: [{ name: 'uploads', kind: 'files', path: uploads }] }));
    config = join(stack.home, 'config');
    context = await browser.newContext({ viewport: { width: 1280, height: 860 } });
    page = await context.newPage();
  });

  after(() => sso?.down());

  /** Somebody's own machine: the server's address is all that it knows. */
  const own = (more = {}) => ({ HOLDFAST_DATA_DIR: join(stack.home, 'nothing'), HOLDFAST_URL: stack.url, HOLDFAST_TOKEN: undefined, XDG_CONFIG_HOME: config, ...more });
  const ran = (...args) => run(stack.binary, args, { env: own() });
  async function done(...args) {
    const result = await ran(...args);
    assert.equal(result.status, 0, `holdfast ${args.join(' ')}\n${result.stdout}\n${result.stderr}`);
    return result;
  }

  /** A command that goes on while the browser is used. */
  function begun(...args) {
    const child = spawn(stack.binary, args, { env: environment(own()), stdio: ['ignore', 'pipe', 'pipe'] });
    const command = { child, out: '', err: '' };
    child.stdout.on('data', (part) => (command.out += part));
    child.stderr.on('data', (part) => (command.err += part));
    command.ended = new Promise((end) => child.once('close', (code, signal) => end({ code, signal })));
    return command;
  }

  const said = (command, pattern, where = 'err') =>
    until(`${pattern}`, () => command[where].match(pattern), { timeout: 30_000 }).catch((error) => {
      throw new Error(`${error.message}\n${command.out}\n${command.err}`);
    });

  /** The page that a waiting command names, where its person has signed in. */
  async function opened(command) {
    const [, address] = await said(command, /\n {2}(http\S+\/pending\/pnd_\S+)/);
    await page.goto(address);
    const signIn = page.getByRole('button', { name: 'Sign in with keycloak' });
    if (await signIn.count()) {
      await signIn.click();
      await page.waitForURL((url) => url.origin === stack.url && url.pathname.startsWith('/pending/'));
    }
    return address;
  }

  /** Gives her password again, where the page asks for it, and comes back to it. */
  async function anew(address) {
    if ((await page.getByRole('button', { name: 'Confirm' }).count()) > 0) return;
    await page.getByRole('link', { name: 'Sign in once more' }).click();
    await sso.give(page, 'ada');
    await page.waitForURL(address);
  }

  async function sealed() {
    await done('checkpoint', 'create', 'staging', '--quiet');
    const { items, checkpoints } = JSON.parse((await done('checkpoint', 'list', '--json')).stdout);
    return (items ?? checkpoints)[0].id;
  }

  test('nobody is signed in before, and it says how to', async () => {
    const { status, stderr, stdout } = await ran('auth', 'token');
    assert.equal(status, 1);
    assert.match(stderr, /nobody is signed in/);
    assert.match(stderr, /mend: .*holdfast login/);
    assert.equal(stdout, '');
    const refused = await ran('checkpoint', 'list');
    assert.match(refused.stderr, /there is no credential for/);
    const admin = await stack.cli('admin', 'login', { env: { XDG_CONFIG_HOME: config } });
    assert.equal(admin.status, 2, admin.stderr);
  });

  test('ada gives the code in a browser, and the terminal is hers', async () => {
    const command = begun('login');
    const [, address, code] = await said(command, /Open (\S+) and give the code (\S+)/, 'out');
    assert.match(command.out, /or open \S+user_code=/);
    await page.goto(address);
    await page.locator('input[name=device_user_code]').fill(code);
    await page.locator('input[type=submit], button[type=submit]').first().click();
    await page.locator('#username').waitFor();
    await sso.give(page, 'ada');
    await page.locator('#kc-login, [name=accept]').first().click();
    const ended = await command.ended;
    assert.deepEqual(ended, { code: 0, signal: null }, `${command.out}\n${command.err}`);
    assert.match(command.out, new RegExp(`Signed in to ${stack.url} as ada: admin everywhere\\.`));
    const file = join(config, 'holdfast/logins.json');
    assert.equal(statSync(file).mode & 0o777, 0o600);
    assert.equal(statSync(join(config, 'holdfast')).mode & 0o777, 0o700);
    const kept = JSON.parse(readFileSync(file, 'utf8'))[stack.url];
    assert.deepEqual([kept.client_id, kept.issuer], ['holdfast-cli', keycloak.issuer]);
  });

  test('auth token prints what curl can use, renewed when it is about to end', async () => {
    const { stdout, stderr } = await done('auth', 'token');
    assert.match(stdout, /^[\w-]+\.[\w-]+\.[\w-]+\n$/);
    assert.equal(stderr, '');
    const me = JSON.parse((await run('curl', ['-sS', '--fail-with-body', '-H', `authorization: Bearer ${stdout.trim()}`, `${stack.url}/v1/me`])).stdout);
    assert.deepEqual([me.name, me.kind, me.everywhere], ['ada', 'person', 'admin']);
    assert.equal(JSON.parse((await done('auth', 'token', '--json')).stdout).token, stdout.trim(), 'the same while it lasts');

    // Two commands at once find it about to end: one asks, both have the new one.
    const file = join(config, 'holdfast/logins.json');
    const all = JSON.parse(readFileSync(file, 'utf8'));
    all[stack.url].expires_at = new Date(Date.now() + 10_000).toISOString();
    writeFileSync(file, JSON.stringify(all));
    const both = await Promise.all([done('auth', 'token'), done('auth', 'token')]);
    assert.notEqual(both[0].stdout, stdout);
    assert.equal(both[0].stdout, both[1].stdout, 'a refresh token is used once');
  });

  test('without an address, the only login is the server that is meant', async () => {
    const { status, stdout, stderr } = await run(stack.binary, ['env', 'list', '--json'], { env: own({ HOLDFAST_URL: undefined }) });
    assert.deepEqual([status, JSON.parse(stdout)], [0, []], stderr);
  });

  test('what needs a new sign-in waits for its page: a definition, confirmed', async () => {
    const command = begun('apply', '-f', join(stack.home, 'holdfast.yaml'), '--json');
    await anew(await opened(command));
    const main = page.locator('main');
    await main.getByText('Set what is captured of shop/staging').waitFor();
    assert.match(await main.innerText(), /POST \/v1\/environments/);
    assert.match(await main.innerText(), /127\.0\.0\.1/);
    assert.deepEqual(await axe(page), []);
    await page.getByRole('button', { name: 'Confirm' }).click();
    await page.getByRole('heading', { name: 'Confirmed' }).waitFor();
    const ended = await command.ended;
    assert.equal(ended.code, 0, `${command.out}\n${command.err}`);
    assert.equal(JSON.parse(command.out).name, 'staging', 'stdout has the one value');
    await page.reload();
    await page.getByRole('heading', { name: 'Carried out' }).waitFor();
  });

  test('a checkpoint is deleted after she has signed in anew', async () => {
    const id = await sealed();
    const newer = await sealed();
    assert.notEqual(id, newer);
    const listed = await done('checkpoint', 'list');
    assert.match(listed.stdout, new RegExp(id.slice(0, 8)));
    // Longer ago than clocks may differ: what she signed in for before does not count.
    await sleep(11_000);
    const command = begun('checkpoint', 'delete', id, '--yes');
    const address = await opened(command);
    assert.equal(await page.getByRole('button', { name: 'Confirm' }).count(), 0);
    await anew(address);
    await page.getByText(`Delete the checkpoint ${id}`).waitFor();
    await page.getByRole('button', { name: 'Confirm' }).click();
    const ended = await command.ended;
    assert.equal(ended.code, 0, `${command.out}\n${command.err}`);
    assert.match(command.out, new RegExp(`${id} is deleted`));
    const { items, checkpoints } = JSON.parse((await done('checkpoint', 'list', '--json')).stdout);
    assert.ok(!(items ?? checkpoints).some((one) => one.id === id));
  });

  test('refused on its page, nothing is done', async () => {
    const id = await sealed();
    const command = begun('checkpoint', 'delete', id, '--yes', '--json');
    await opened(command);
    await page.getByRole('button', { name: 'Refuse' }).click();
    await page.getByRole('heading', { name: 'Refused' }).waitFor();
    assert.deepEqual(await command.ended, { code: 1, signal: null });
    assert.match(command.err, /it was refused on its page; nothing was done/);
    assert.equal(JSON.parse(command.out).type, 'not-confirmed');
    await done('checkpoint', 'show', id);
  });

  test('Ctrl-C stops waiting, and a word that may come to mean something else makes no page', async () => {
    const id = await sealed();
    const command = begun('checkpoint', 'restore', id, '--yes');
    await said(command, /\/pending\/pnd_/);
    command.child.kill('SIGINT');
    assert.deepEqual(await command.ended, { code: 130, signal: null }, command.err);
    const killed = begun('checkpoint', 'delete', id, '--yes');
    await said(killed, /\/pending\/pnd_/);
    killed.child.kill('SIGINT');
    assert.deepEqual(await killed.ended, { code: null, signal: 'SIGINT' });

    const token = (await done('auth', 'token')).stdout.trim();
    const headers = { authorization: `Bearer ${token}`, 'holdfast-pending': 'wanted' };
    const answer = await fetch(`${stack.url}/v1/checkpoints/latest`, { method: 'DELETE', headers });
    const problem = await answer.json();
    assert.deepEqual([answer.status, problem.type, problem.pending], [403, 'sign-in-again', undefined]);
    assert.match(problem.detail, new RegExp(id));
  });

  test('somebody else sees nothing of it', async () => {
    const command = begun('vault', 'recovery-kit', 'shop');
    const [, address] = await said(command, /\n {2}(http\S+\/pending\/pnd_\S+)/);
    const other = await browser.newContext();
    const theirs = await other.newPage();
    await theirs.goto(address);
    await sso.onwards(theirs);
    await sso.give(theirs, 'otto');
    await theirs.getByRole('heading', { name: 'There is no such action' }).waitFor();
    await other.close();
    command.child.kill('SIGINT');
    await command.ended;
  });

  test('logout ends it here and at Keycloak', async () => {
    const before = JSON.parse(readFileSync(join(config, 'holdfast/logins.json'), 'utf8'))[stack.url];
    const { stdout } = await done('logout');
    assert.equal(stdout, `Signed out of ${stack.url}.\n`);
    assert.equal((await ran('auth', 'token')).status, 1);
    const form = { grant_type: 'refresh_token', client_id: 'holdfast-cli', refresh_token: before.refresh_token };
    await assert.rejects(keycloak.token('holdfast', form), /invalid_grant/);
    assert.match((await done('logout')).stderr, /Nobody was signed in/);
  });

  test('a login that Keycloak has ended says so, and the log holds no token', async () => {
    const command = begun('login', '--provider', 'keycloak');
    const [, whole] = await said(command, /or open (\S+)/, 'out');
    await page.goto(whole);
    // She is signed in at Keycloak still.
    if (await page.locator('#username').count()) await sso.give(page, 'ada');
    await page.locator('#kc-login, [name=accept]').first().click();
    assert.equal((await command.ended).code, 0, command.err);
    const { id } = await keycloak.person('ada');
    await keycloak.api('POST', `/users/${id}/logout`);
    const file = join(config, 'holdfast/logins.json');
    const all = JSON.parse(readFileSync(file, 'utf8'));
    all[stack.url].expires_at = new Date(Date.now() + 10_000).toISOString();
    writeFileSync(file, JSON.stringify(all));
    const refused = await ran('checkpoint', 'list');
    assert.equal(refused.status, 1);
    assert.match(refused.stderr, /your login to \S+ has ended/);
    assert.match(refused.stderr, /holdfast login/);
    assert.ok(!stack.logText().includes('eyJ'));
    const wrong = await ran('login', '--provider', 'nobody');
    assert.equal(wrong.status, 2);
  });
});
