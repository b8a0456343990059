// The admin of one project, signed in anew, with the browser's session and with an access token: an hour's tries to
// read, alter or destroy what another project has sealed, to alter what their own has unseen, and to run a command.
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';

import { until } from './lib/process.mjs';
import { Sso } from './lib/sso.mjs';

const PASSWORD = 'petra-canary-password';
const CANARY = 'canary-content-of-the-blog-5d02';

describe("a project admin's session", () => {
  let stack;
  let keycloak;
  let sso;
  let page;
  let token;
  let own;
  let theirs;
  let theirRun;

  const admin = (...args) => stack.json('admin', ...args);

  /** What she asks with her session, as a page of ours would. */
  const session = async (method, path, form) => {
    const headers = { origin: stack.url, 'sec-fetch-site': 'same-origin' };
    const answer = await page.request.fetch(`${stack.url}${path}`, { method, headers, form, maxRedirects: 0 });
    return { status: answer.status(), text: await answer.text(), location: answer.headers().location ?? '' };
  };

  /** What she asks with her access token. */
  const ask = async (method, path, body, headers = {}) => {
    const answer = await fetch(`${stack.url}${path}`, {
      method,
      headers: { authorization: `Bearer ${token}`, ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
    return { status: answer.status, text: await answer.text() };
  };

  const signInAgain = async () => {
    await page.goto(`${stack.url}/sign-in/again?next=/projects`);
    await sso.give(page, 'petra', PASSWORD);
    await page.waitForURL(`${stack.url}/projects`);
  };

  /**
   * The same, with her own word for each on its page: whatever a new sign-in opens, is open. Not more than 20 wait at the
   * same time, so they come in batches. Gives the answers in the order of what was asked.
   */
  const askAnew = async (asked) => {
    const answers = [];
    for (let from = 0; from < asked.length; from += 15) {
      const batch = [];
      for (const [method, path, body] of asked.slice(from, from + 15)) {
        const first = await ask(method, path, body, { 'holdfast-pending': 'wanted' });
        batch.push({ method, path, body, first, pending: first.status === 403 ? JSON.parse(first.text).pending : undefined });
      }
      if (batch.some(({ pending }) => pending)) await signInAgain();
      for (const { method, path, body, first, pending } of batch) {
        if (!pending) {
          answers.push(first);
          continue;
        }
        const confirmed = await session('POST', `/ui/pending/${pending.id}/confirm`, {});
        assert.equal(confirmed.status, 303, `${method} ${path}: ${confirmed.text}`);
        assert.ok(!confirmed.location.includes('sign-in'), `${method} ${path}: ${confirmed.location}`);
        answers.push(await ask(method, path, body, { 'holdfast-pending': pending.id }));
      }
    }
    return answers;
  };

  before(async () => {
    const role = 'roles = [\n  { claim = "shop-admins", role = "admin", projects = ["shop"] },';
    sso = await Sso.start({
      name: 'project-admin',
      settings: (provider, { home }) => provider.toml(`allow_paths = ["${home}/allowed"]\nallow_commands = [["true"]]\n`).replace('roles = [', role),
    });
    ({ stack, keycloak } = sso);
    const allowed = join(stack.home, 'allowed');
    for (const [project, text] of [['shop', 'hello'], ['blog', CANARY]]) {
      const folder = join(project === 'shop' ? allowed : stack.home, project);
      mkdirSync(folder, { recursive: true });
      writeFileSync(join(folder, 'a.txt'), text);
      const yaml = join(stack.home, `${project}.yaml`);
      writeFileSync(yaml, JSON.stringify({ project, environment: 'production', components: [{ name: `of-the-${project}`, kind: 'files', path: folder }] }));
      await stack.ok('admin', 'apply', '-f', yaml);
    }
    own = await admin('checkpoint', 'create', 'shop/production');
    theirs = await admin('checkpoint', 'create', 'blog/production', '--name', 'theirs');
    assert.deepEqual([own.proof, theirs.proof], ['proven', 'proven']);
    theirRun = (await stack.runs()).find((run) => run.environment?.project === 'blog').id;

    await keycloak.api('POST', '/groups', { name: 'shop-admins' });
    const person = { username: 'petra', enabled: true, firstName: 'Petra', lastName: 'P', email: 'petra@example.org', emailVerified: true };
    await keycloak.api('POST', '/users', { ...person, groups: ['/shop-admins'], credentials: [{ type: 'password', value: PASSWORD, temporary: false }] });
    const [client] = await keycloak.api('GET', '/clients?clientId=holdfast');
    await keycloak.api('PUT', `/clients/${client.id}`, { ...client, directAccessGrantsEnabled: true });
    const form = { grant_type: 'password', client_id: 'holdfast', client_secret: keycloak.secret, username: 'petra', password: PASSWORD, scope: 'openid' };
    token = (await keycloak.token('holdfast', form)).access_token;

    ({ page } = await sso.atKeycloak());
    await sso.give(page, 'petra', PASSWORD);
    await page.waitForURL(sso.ours);
  });
  after(() => sso?.down());

  const silent = (text, where) => {
    for (const word of ['of-the-blog', CANARY, 'blog/production']) assert.ok(!text.includes(word), `${word} in ${where}`);
  };

  test('she is who she is: her own project is hers', async () => {
    assert.equal((await session('GET', '/projects/shop/production')).status, 200);
    assert.equal((await ask('GET', `/v1/checkpoints/${own.id}/content/files/of-the-shop/a.txt`)).text, 'hello');
    const [kit] = await askAnew([['GET', '/v1/vaults/shop/recovery-kit']]);
    assert.equal(kit.status, 200, `what asks for a new sign-in is open to her: ${kit.text}`);
  });

  test('no page shows another project, by any of its names', async () => {
    const id = theirs.id;
    for (const path of ['/', '/projects', '/activity', '/settings/keys', '/projects/shop']) {
      const { status, text } = await session('GET', path);
      assert.equal(status, 200, path);
      silent(text, path);
    }
    for (const path of [
      '/projects/blog',
      '/projects/blog/production',
      `/checkpoints/${id}`,
      `/checkpoints/${id.slice(0, 18)}`,
      '/checkpoints/theirs',
      `/checkpoints/${id}/restore`,
      `/checkpoints/${id}/files?component=of-the-blog`,
      `/checkpoints/${id}/tables?component=of-the-blog`,
      `/compare?first=${id}&second=${own.id}`,
      `/compare?first=${own.id}&second=${id}`,
      `/compare/file?first=${own.id}&second=${id}&component=of-the-blog&path=a.txt`,
      `/compare/value?first=${own.id}&second=${id}&component=of-the-blog&variable=X`,
      `/runs/${theirRun}`,
      `/ui/runs/${theirRun}/events`,
      `/ui/checkpoints/${id}/export`,
      `/ui/checkpoints/${id}/file?component=of-the-blog&path=a.txt`,
      `/ui/checkpoints/${id}/folder?component=of-the-blog`,
      `/ui/checkpoints/${id}/drill.json`,
    ]) {
      const { text, status } = await session('GET', path);
      const asked = new Set(['of-the-blog', 'blog/production'].filter((word) => path.includes(word)));
      for (const word of ['of-the-blog', CANARY, 'blog/production']) {
        if (!asked.has(word)) assert.ok(!text.includes(word), `${word} in ${path}`);
      }
      assert.ok(!text.includes(CANARY) && status !== 500, `${path}: ${status}`);
      if (path.startsWith('/ui/')) assert.equal(status, 404, `${path}: ${text}`);
      else assert.ok(status === 404 || /no (such|checkpoint|environment|run|project)|There is no/i.test(text), `${path}: ${status}`);
    }
    // The log tells of all projects, so it is not hers.
    assert.equal((await session('GET', '/settings/audit')).status, 403);
  });

  test('no button acts on another project, and none makes a key for it', async () => {
    const { id } = theirs;
    const before = JSON.stringify((await stack.runs()).map((run) => run.id));
    for (const [path, form] of [
      ['/ui/back-up', { environment: 'blog/production' }],
      ['/ui/verify', { id }],
      ['/ui/drill', { id }],
      ['/ui/run', { id: theirRun }],
      ['/ui/cancel', { run: theirRun }],
      ['/ui/delete', { id, confirm: 'theirs' }],
      ['/ui/restore', { id, confirm: 'production' }],
      ['/ui/restore', { id, confirm: 'production', 'choice[to]': 'shop/production' }],
      ['/ui/restore', { id: own.id, confirm: 'production', 'choice[to]': 'blog/production' }],
      ['/ui/compare-now', { first: id }],
      ['/ui/confirm-recovery-kit', { project: 'blog' }],
      ['/ui/keys', { name: 'mine', project: 'blog', create: 'yes' }],
      ['/ui/keys', { name: 'mine', project: '*', create: 'yes' }],
      ['/ui/keys', { name: 'mine', project: 'shop', delete: 'yes' }],
    ]) {
      const { status, text, location } = await session('POST', path, form);
      assert.ok(status >= 400 && status < 500, `${path} ${JSON.stringify(form)}: ${status} ${location} ${text}`);
      silent(text.replaceAll(form.environment ?? form['choice[to]'] ?? '\u0000', ''), path);
    }
    assert.equal(JSON.stringify((await stack.runs()).map((run) => run.id)), before, 'nothing was begun');
    assert.deepEqual(await admin('key', 'list'), []);
    // A page of another site sends her cookie along with its form.
    const foreign = await page.request.post(`${stack.url}/ui/back-up`, { headers: { origin: 'https://evil.example', 'sec-fetch-site': 'cross-site' }, form: { environment: 'shop/production' }, maxRedirects: 0 });
    assert.equal(foreign.status(), 403);
  });

  test('her token asks for nothing of another project, with her word for it on a page either', async () => {
    const one = `/v1/checkpoints/${theirs.id}`;
    const foreign = [
      ['GET', one],
      ['DELETE', one],
      ['POST', `${one}/restore`, {}],
      ['POST', `${one}/restore`, { to: 'shop/production' }],
      ['POST', `${one}/restore/plan`, { to_dir: '/tmp/x' }],
      ['GET', `${one}/content/files/of-the-blog/a.txt`],
      ['GET', `${one}/manifest`],
      ['GET', `${one}/export`],
      ['GET', `${one}/tree?component=of-the-blog`],
      ['GET', `${one}/diff/${own.id}`],
      ['GET', `/v1/checkpoints/${own.id}/diff/${theirs.id}`],
      ['POST', `/v1/checkpoints/${own.id}/restore`, { to: 'blog/production' }],
      ['GET', '/v1/environments/blog~production'],
      ['GET', '/v1/environments/blog~production/logs'],
      ['POST', '/v1/checkpoints', { environment: 'blog/production' }],
      ['POST', '/api/checkpoint', { database: 'blog/production', tag: 'x' }],
      ['POST', '/v1/vaults/blog/prune', {}],
      ['POST', '/v1/vaults/blog/check', { depth: 'structure' }],
      ['GET', '/v1/vaults/blog/recovery-kit'],
      ['GET', `/v1/runs/${theirRun}`],
      ['POST', `/v1/runs/${theirRun}/cancel`],
      ['POST', '/v1/keys', { name: 'mine', projects: ['blog'] }],
    ];
    for (const [at, { status, text }] of (await askAnew(foreign)).entries()) {
      const [method, path, body] = foreign[at];
      assert.ok(status === 404 || (path.endsWith('/restore') && status === 403), `${method} ${path} ${JSON.stringify(body)}: ${status} ${text}`);
      assert.ok(!text.includes(CANARY) && !text.includes('of-the-blog') || path.includes('of-the-blog'), text);
    }
    const ofAll = [
      ['POST', '/v1/keys', { name: 'mine', everywhere: true }],
      ['GET', '/v1/audit'],
      ['GET', '/v1/catalogue/kit'],
      ['POST', '/v1/catalogue/copies', { to: 'shop' }],
      ['POST', '/v1/sign-in-links'],
      ['POST', '/v1/vaults', { location: stack.vault('blog'), password: 'x' }],
    ];
    for (const [at, { status, text }] of (await askAnew(ofAll)).entries()) {
      assert.equal(status, 403, `${ofAll[at].slice(0, 2).join(' ')}: ${text}`);
    }
    for (const path of ['/v1/projects', '/v1/environments', '/v1/checkpoints?limit=100', '/v1/runs?limit=100', '/v1/vaults', '/v1/keys']) {
      const { status, text } = await ask('GET', path);
      assert.equal(status, 200, path);
      silent(text, path);
      assert.ok(!text.includes('"blog"'), path);
    }
  });

  test('no definition, restore or vault of hers runs a command, or touches a path or address that the host has not allowed', async () => {
    const witness = join(stack.home, 'witness');
    const definition = (more, component = {}) => ({
      definition: { project: 'shop', environment: 'production', components: [{ name: 'of-the-shop', kind: 'files', path: join(stack.home, 'allowed/shop'), ...component }], ...more },
    });
    const tried = [
      ['POST', '/v1/environments', definition({ restore: { stop: ['touch', witness] } })],
      ['POST', '/v1/environments', definition({ restore: { start: ['sh', '-c', `touch ${witness}`] } })],
      ['POST', '/v1/environments', definition({ restore: { stop: ['true', '; touch', witness] } })],
      ['POST', '/v1/environments', definition({ restore: { after: [{ cmd: ['touch', witness] }] } })],
      ['POST', '/v1/environments', definition({}, { path: '/etc' })],
      ['POST', '/v1/environments', definition({}, { path: join(stack.home, 'allowed/../blog') })],
      ['POST', '/v1/environments', definition({}, { path: stack.data })],
      ['POST', '/v1/environments', definition({}, { kind: 'git', path: join(stack.home, 'blog') })],
      ['POST', '/v1/environments', definition({}, { kind: 'config', file: join(stack.data, 'client.json'), path: undefined })],
      ['POST', '/v1/environments', definition({}, { kind: 'sqlite', path: join(stack.data, 'catalogue.db') })],
      ['POST', '/v1/environments', definition({}, { kind: 'postgres', path: undefined, url_file: join(stack.data, 'server.key') })],
      ['POST', '/v1/environments', { definition: { project: 'blog', environment: 'production', components: [] } }],
      ['POST', '/v1/environments', { definition: { project: 'new', environment: 'x', components: [{ name: 'x', kind: 'files', path: join(stack.home, 'allowed') }] } }],
      ['POST', `/v1/checkpoints/${own.id}/restore`, { to_dir: '/etc/cron.d' }],
      ['POST', `/v1/checkpoints/${own.id}/restore`, { to_dir: join(stack.home, 'blog') }],
      ['POST', `/v1/checkpoints/${own.id}/restore`, { to_dir: stack.data }],
      ['POST', '/v1/vaults/shop/copy', { location: '/etc/holdfast' }],
      ['POST', '/v1/vaults/shop/copy', { location: join(stack.home, 'mirror') }],
      ['POST', '/v1/vaults/shop/copy', { location: stack.vault('blog') }],
      ...['http://127.0.0.1:1', 'http://localhost:1', 'http://[::1]:1', 'http://169.254.169.254', 'http://2130706433:1', 'http://[::ffff:169.254.169.254]', 'http://10.0.0.1'].map((endpoint) => [
        'POST',
        '/v1/vaults/shop/copy',
        { location: 's3://bucket/shop', bucket: { endpoint, access_key: 'a', secret_key: 'b' } },
      ]),
    ];
    for (const [at, { status, text }] of (await askAnew(tried)).entries()) {
      const [method, path, body] = tried[at];
      assert.ok([400, 403, 404, 422].includes(status), `${method} ${path} ${JSON.stringify(body)}: ${status} ${text}`);
    }
    // What the host allows, goes; so the refusals above are about what was asked.
    const [allowed] = await askAnew([['POST', '/v1/environments', definition({ restore: { stop: ['true'] } })]]);
    assert.equal(allowed.status, 200, allowed.text);
    assert.ok(!existsSync(witness), 'no command was run');
    // An archive that names a path outside, a command in a tag, a file behind a link.
    for (const path of ['../../data/client.json', '..%2f..%2fclient.json', '/etc/passwd', 'files/of-the-shop/../../../../../etc/passwd']) {
      const { status, text } = await ask('GET', `/v1/checkpoints/${own.id}/content/${path}`);
      assert.ok(status === 404 || status === 400, `${path}: ${status} ${text}`);
      assert.ok(!text.includes('root:'), text);
    }
  });

  test('her own project: the newest proof stays, and what she does is written down', async () => {
    const [kept] = await askAnew([['DELETE', `/v1/checkpoints/${own.id}`]]);
    assert.equal(kept.status, 409, `the newest proven one is not deleted: ${kept.text}`);
    const next = await admin('checkpoint', 'create', 'shop/production');
    assert.equal(next.proof, 'proven');
    const [gone] = await askAnew([['DELETE', `/v1/checkpoints/${own.id}`]]);
    assert.equal(gone.status, 204, `an older one is hers to delete: ${gone.text}`);
    const lines = (await admin('audit', 'list', '--who', 'petra', '--limit', '1000')).lines;
    const written = (action) => lines.filter((line) => line.action === action);
    assert.ok(written('checkpoint.delete').some((line) => line.subject === own.id), JSON.stringify(lines.slice(0, 5)));
    assert.ok(written('denied').length > 10, 'each refusal is there');
    assert.match((await stack.ok('admin', 'audit', 'verify')).stdout, /as they were written/);
  });

  test('what the other project has sealed is whole', async () => {
    await until('nothing runs', async () => (await stack.runs()).every((run) => run.ended_at !== null), { timeout: 60_000 });
    assert.match((await stack.ok('admin', 'checkpoint', 'verify', theirs.id)).stdout, /intact/i);
    const drilled = await admin('checkpoint', 'drill', theirs.id);
    assert.equal(drilled.proof ?? drilled.verdict ?? (await admin('checkpoint', 'show', theirs.id)).proof, 'proven');
  });
});
