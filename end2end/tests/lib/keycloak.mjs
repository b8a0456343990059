// A real Keycloak for one test file, with the realm that we ship: on a loopback port, in a folder of its own.
import { spawn } from 'node:child_process';
import { closeSync, cpSync, existsSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { environment, until, within } from './process.mjs';
import { freePort, repository } from './stack.mjs';

const version = '26.7.3';
const admin = { name: 'root', password: 'canary-keycloak-admin-5f1e' };

/** People of the realm; passwords as its README says. */
export const password = (name) => `${name}-demo-password`;

export class Keycloak {
  /** `holdfast`: the address by which people reach the server that signs in with it. */
  static async start({ holdfast, secret = 'canary-client-secret-77d0', ciSecret = 'canary-ci-secret-13ab' }) {
    const keycloak = new Keycloak(holdfast, secret, ciSecret);
    try {
      await keycloak.serve();
    } catch (error) {
      await keycloak.down();
      throw error;
    }
    return keycloak;
  }

  constructor(holdfast, secret, ciSecret) {
    this.installed = join(repository, `target/tools/keycloak-${version}`);
    if (!existsSync(join(this.installed, 'bin/kc.sh'))) throw new Error(`${this.installed} is missing; run .ci/install test`);
    this.home = mkdtempSync(join(process.env.HOLDFAST_TEST_DIR ?? tmpdir(), 'hf-keycloak-'));
    Object.assign(this, { holdfast, secret, ciSecret });
  }

  async serve() {
    // It builds itself anew at a start and keeps its data beside its programs: so each has all of it.
    const place = join(this.home, 'keycloak');
    cpSync(this.installed, place, { recursive: true, verbatimSymlinks: true });
    mkdirSync(join(place, 'data/import'), { recursive: true });
    writeFileSync(join(place, 'data/import/holdfast-realm.json'), readFileSync(join(repository, 'end2end/keycloak/holdfast-realm.json')));
    this.port = await freePort();
    this.url = `http://127.0.0.1:${this.port}`;
    this.issuer = `${this.url}/realms/holdfast`;
    const log = openSync(join(this.home, 'log'), 'a');
    const args = ['start-dev', '--import-realm', '--http-host=127.0.0.1', `--http-port=${this.port}`, '--health-enabled=false', '--cache=local'];
    this.process = spawn(join(place, 'bin/kc.sh'), args, {
      stdio: ['ignore', log, log],
      // A group of its own: kc.sh starts Java.
      detached: true,
      env: environment({
        HOLDFAST_URL: this.holdfast,
        HOLDFAST_CLIENT_SECRET: this.secret,
        HOLDFAST_CI_SECRET: this.ciSecret,
        KC_BOOTSTRAP_ADMIN_USERNAME: admin.name,
        KC_BOOTSTRAP_ADMIN_PASSWORD: admin.password,
        JAVA_OPTS_KC_HEAP: '-Xms128m -Xmx512m',
      }),
    });
    closeSync(log);
    this.process.ended = new Promise((done) => this.process.once('exit', done));
    this.process.ended.then(() => (this.gone = true));
    await until(
      'Keycloak is ready',
      async () => {
        if (this.gone) throw new Error('it ended');
        return (await fetch(`${this.issuer}/.well-known/openid-configuration`)).ok;
      },
      { timeout: 300_000, every: 500 },
    ).catch((error) => {
      throw new Error(`${error.message}\n${readFileSync(join(this.home, 'log'), 'utf8').slice(-3000)}`);
    });
  }

  /** `holdfast.toml` for it; `more` stands before its table, `within` inside. */
  toml(more = '', within = '') {
    const secretFile = join(this.home, 'client-secret');
    writeFileSync(secretFile, `${this.secret}\n`, { mode: 0o600 });
    return `${more}
[[identity]]
name = "keycloak"
issuer = "${this.issuer}"
client_id = "holdfast"
client_secret_file = "${secretFile}"
device_client_id = "holdfast-cli"
audience = "holdfast-api"
role_claim = "groups"
${within}
roles = [
  { claim = "holdfast-admins", role = "admin", projects = ["*"] },
  { claim = "holdfast-operators", role = "operator", projects = ["*"] },
  { claim = "holdfast-viewers", role = "viewer", projects = ["*"] },
]
`;
  }

  async token(realm, form) {
    const answer = await fetch(`${this.url}/realms/${realm}/protocol/openid-connect/token`, { method: 'POST', body: new URLSearchParams(form) });
    const body = await answer.json();
    if (!answer.ok) throw new Error(`no token of ${realm}: ${JSON.stringify(body)}`);
    return body;
  }

  /** An access token of the service account. */
  async ofPipeline() {
    const form = { grant_type: 'client_credentials', client_id: 'holdfast-ci', client_secret: this.ciSecret };
    return (await this.token('holdfast', form)).access_token;
  }

  /** The admin API of the realm. */
  async api(method, path, body) {
    const { access_token } = await this.token('master', { grant_type: 'password', client_id: 'admin-cli', username: admin.name, password: admin.password });
    const answer = await fetch(`${this.url}/admin/realms/holdfast${path}`, {
      method,
      headers: { authorization: `Bearer ${access_token}`, 'content-type': 'application/json' },
      body: body && JSON.stringify(body),
    });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${text}`);
    return text ? JSON.parse(text) : null;
  }

  async person(name) {
    return (await this.api('GET', `/users?exact=true&username=${name}`))[0];
  }

  /** Ends it; its client secret stays. */
  async stop() {
    if (!this.process?.pid || this.gone) return;
    process.kill(-this.process.pid, 'SIGTERM');
    if (!(await within(20_000, this.process.ended.then(() => true)))) {
      process.kill(-this.process.pid, 'SIGKILL');
      await this.process.ended;
    }
  }

  async down() {
    await this.stop();
    rmSync(this.home, { recursive: true, force: true });
  }
}
