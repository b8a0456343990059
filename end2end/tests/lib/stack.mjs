// One demo application with one Holdfast server beside it, in a folder of its own, for one test file.
import { spawn } from 'node:child_process';
import { appendFileSync, chmodSync, chownSync, closeSync, existsSync, mkdtempSync, openSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

import { environment, must, run, until, within } from './process.mjs';

export const repository = resolve(dirname(fileURLToPath(import.meta.url)), '../../..');
export const binary = process.env.HOLDFAST ?? join(repository, 'target/release/holdfast');
const demoScripts = join(repository, 'end2end/demo');

export const freePort = () =>
  new Promise((done) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => done(port));
    });
  });

/** The folder with the newest PostgreSQL's programs. */
export function postgresBin() {
  const majors = readdirSync('/usr/lib/postgresql').map(Number).filter(Number.isFinite);
  return `/usr/lib/postgresql/${Math.max(...majors)}/bin`;
}

export class Stack {
  /**
   * Options: name (of the folder), scale (the shop's rows in percent; 0: no shop), env (for the server),
   * binary, as (a program and arguments before everything, to run it as another user), uid (of that user).
   */
  static async start(options = {}) {
    const stack = new Stack(options);
    try {
      if (stack.scale > 0) await stack.demo('up');
      if (options.serve !== false) await stack.serve();
    } catch (error) {
      await stack.down();
      throw error;
    }
    return stack;
  }

  constructor({ name = 'stack', scale = 5, env = {}, binary: program = binary, as = [], uid }) {
    if (!existsSync(program)) throw new Error(`${program} is missing; run make build`);
    this.home = mkdtempSync(join(process.env.HOLDFAST_TEST_DIR ?? tmpdir(), `hf-${name}-`));
    chmodSync(this.home, 0o755); // the shop's PostgreSQL runs as another user
    this.scale = scale;
    this.binary = program;
    this.as = as;
    if (uid !== undefined) chownSync(this.home, uid, uid);
    this.serverEnv = env;
    this.data = join(this.home, 'holdfast');
    this.scratch = join(this.home, 'scratch');
    this.app = join(this.home, 'app');
    this.log = join(this.home, 'server.log');
    this.yaml = join(this.app, 'holdfast.yaml');
    this.demoEnv = { HOLDFAST_DEMO_DIR: this.home, HOLDFAST_DEMO_SCALE: String(scale), HOLDFAST: program };
    this.server = null;
    this.guarded = {};
    this.leaks = new Set();
    this.looking = [];
  }

  /** Starts the server and waits until it is ready; the port stays the same over restarts. */
  async serve({ env = {}, ready = true } = {}) {
    this.port ??= await freePort();
    this.url = `http://127.0.0.1:${this.port}`;
    const log = openSync(this.log, 'a');
    const [program, ...args] = [...this.as, this.binary, 'serve'];
    this.server = spawn(program, args, {
      stdio: ['ignore', log, log],
      env: environment({
        HOLDFAST_DATA_DIR: this.data,
        HOLDFAST_SCRATCH_DIR: this.scratch,
        HOLDFAST_LISTEN: `127.0.0.1:${this.port}`,
        HOLDFAST_PUBLIC_URL: this.url,
        HOLDFAST_URL: undefined,
        HOLDFAST_TOKEN: undefined,
        // The finest there is, because the log is looked through for secrets.
        HOLDFAST_LOG: 'trace',
        ...this.serverEnv,
        ...env,
      }),
    });
    closeSync(log);
    this.watchProcesses();
    const server = this.server;
    server.ended = new Promise((done) => server.once('exit', (code, signal) => done({ code, signal })));
    server.ended.then(() => (server.gone = true));
    if (!ready) return;
    await until(
      'the server is ready',
      async () => {
        if (server.gone) throw new Error(`it ended; its log ends with\n${this.logText().slice(-3000)}`);
        return (await fetch(`${this.url}/readyz`)).ok;
      },
      { timeout: 60_000, every: 50 },
    );
  }

  logText() {
    return existsSync(this.log) ? readFileSync(this.log, 'utf8') : '';
  }

  /** Stops the server: in order by default, at once with SIGKILL. */
  async stop(signal = 'SIGTERM') {
    if (!this.server || this.server.gone) return;
    this.server.kill(signal);
    const ended = await within(30_000, this.server.ended);
    if (!ended) {
      this.server.kill('SIGKILL');
      await this.server.ended;
      throw new Error(`the server did not end within 30 s of ${signal}`);
    }
  }

  /** The command line as a person on this machine uses it. */
  cli(...args) {
    const options = typeof args.at(-1) === 'object' ? args.pop() : {};
    const [program, ...rest] = [...this.as, this.binary, ...args];
    return run(program, rest, {
      timeout: 600_000,
      ...options,
      env: { HOLDFAST_DATA_DIR: this.data, HOLDFAST_URL: undefined, HOLDFAST_TOKEN: undefined, ...options.env },
    });
  }

  /** The same, where anything but the expected status is an error. */
  async ok(...args) {
    const result = await this.cli(...args);
    if (result.status !== 0) {
      const shown = args.filter((arg) => typeof arg === 'string').join(' ');
      throw new Error(`holdfast ${shown}\nended with ${result.status}\n${result.stdout}\n${result.stderr}`);
    }
    return result;
  }

  async json(...args) {
    const options = typeof args.at(-1) === 'object' ? args.pop() : {};
    return JSON.parse((await this.ok(...args, '--json', options)).stdout);
  }

  apply(file = this.yaml) {
    return this.ok('apply', '-f', file);
  }

  get token() {
    return JSON.parse(readFileSync(join(this.data, 'client.json'), 'utf8')).token;
  }

  /** The REST API with the host's own credential; gives { status, type, body }. */
  async api(method, path, body) {
    const response = await fetch(this.url + path, {
      method,
      headers: { authorization: `Bearer ${this.token}`, ...(body ? { 'content-type': 'application/json' } : {}) },
      body: body && JSON.stringify(body),
    });
    const text = await response.text();
    const type = response.headers.get('content-type') ?? '';
    return { status: response.status, type, body: type.includes('json') && text ? JSON.parse(text) : text };
  }

  /** All runs, newest first. */
  async runs() {
    const { body } = await this.api('GET', '/v1/runs');
    return body.items;
  }

  /** Waits until a run has ended and gives it. */
  async ended(id, timeout = 300_000) {
    return until(
      `run ${id} ends`,
      async () => {
        const { body } = await this.api('GET', `/v1/runs/${id}`);
        return ['succeeded', 'warning', 'failed', 'cancelled'].includes(body.state) && body;
      },
      { timeout, every: 100 },
    );
  }

  /** SQL as the shop's own role, answers as text. */
  async sql(text, database = 'shop') {
    const { stdout } = await must('psql', ['-XAtq', '-v', 'ON_ERROR_STOP=1'], {
      env: this.databaseEnv(database),
      timeout: 300_000,
      input: text, // not as an argument: it may hold a password
    });
    return stdout.trim();
  }

  databaseEnv(database = 'shop') {
    return {
      PGHOST: '127.0.0.1',
      PGPORT: readFileSync(join(this.home, 'postgres/port'), 'utf8').trim(),
      PGUSER: 'shop',
      PGPASSWORD: readFileSync(join(this.home, 'postgres/password'), 'utf8').trim(),
      PGDATABASE: database,
    };
  }

  /** SQL as the cluster's superuser, through its socket. */
  async superuser(text, database = 'postgres') {
    const port = readFileSync(join(this.home, 'postgres/port'), 'utf8').trim();
    const psql = ['psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', '-h', join(this.home, 'postgres/socket'), '-p', port];
    const { stdout } = await must(...asPostgres([...psql, '-U', 'postgres', '-d', database]), { cwd: '/', input: text });
    return stdout.trim();
  }

  /** Stops or starts the shop's PostgreSQL: pgCtl('stop', '-m', 'immediate'). */
  pgCtl(...args) {
    return run(...asPostgres([join(postgresBin(), 'pg_ctl'), '-D', join(this.home, 'postgres/data'), '-w', ...args]), { cwd: '/' });
  }

  demo(script, ...args) {
    const [program, ...rest] = [...this.as, join(demoScripts, script), ...args];
    return must(program, rest, { env: this.demoEnv, timeout: 300_000 });
  }

  /** A second, faster taker of orders; gives a function that stops it. */
  writer(pause = '0.05') {
    const child = spawn(join(demoScripts, 'writer'), [], {
      env: environment({ ...this.demoEnv, SHOP_PAUSE: pause }),
      detached: true,
      stdio: 'ignore',
    });
    return async () => {
      if (child.exitCode !== null) throw new Error('the writer had ended by itself');
      process.kill(-child.pid, 'SIGTERM');
      await new Promise((done) => child.once('exit', done));
    };
  }

  vault(project = 'shop') {
    return join(this.data, 'vaults', project);
  }

  /** Repository and password for stock restic, from the recovery kit. */
  async resticEnv(project = 'shop') {
    const kit = await this.json('vault', 'recovery-kit', project);
    return {
      RESTIC_REPOSITORY: kit.repository,
      RESTIC_PASSWORD: kit.password,
      RESTIC_CACHE_DIR: join(this.home, 'restic-cache'),
    };
  }

  /** One more secret that may occur nowhere but where it belongs. */
  guard(name, secret) {
    this.guarded[name] = secret;
  }

  /** All of these, by what they are: the shop's, the host's own credential, and what a test has told. */
  secrets() {
    const secrets = { ...this.guarded };
    const file = (path, name) => {
      if (existsSync(path)) secrets[name] = readFileSync(path, 'utf8').trim();
    };
    file(join(this.home, 'postgres/password'), 'the database password');
    if (existsSync(join(this.data, 'client.json'))) secrets["the host's token"] = this.token;
    const env = join(this.app, '.env');
    for (const name of ['SESSION_SECRET', 'PAYMENT_KEY', 'MAIL_PASSWORD']) {
      const found = existsSync(env) && readFileSync(env, 'utf8').match(new RegExp(`^${name}="?([^"\n]*)`, 'm'));
      if (found && found[1].length >= 12) secrets[name] = found[1];
    }
    return secrets;
  }

  /** Notes it when a text holds any of them: the end of this stack is an error then. */
  look(where, text) {
    for (const [name, secret] of Object.entries(this.secrets())) if (text.includes(secret)) this.leaks.add(`${where} holds ${name}`);
  }

  /** The same for what a browser is receiving; it throws that away when it goes on to the next page. */
  lookLater(where, text) {
    this.looking.push(text.then((received) => this.look(where, received), () => {}));
  }

  /** Looks at the arguments of all processes while the server runs. */
  watchProcesses() {
    this.watching ??= setInterval(() => {
      const running = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
      const lines = running.map((pid) => {
        try {
          return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
        } catch {
          return ''; // gone meanwhile
        }
      });
      this.look('ps', lines.join('\n'));
    }, 100).unref();
  }

  /** Ends everything and removes the folder, unless HOLDFAST_KEEP is set; HOLDFAST_TEST_LOG names where its complaints are kept. */
  async down() {
    await this.stop().catch(() => {});
    clearInterval(this.watching);
    const log = this.logText();
    const complaints = log.split('\n').filter((line) => /\b(WARN|ERROR)\b/.test(line));
    if (process.env.HOLDFAST_TEST_LOG) appendFileSync(process.env.HOLDFAST_TEST_LOG, complaints.map((line) => `${line}\n`).join(''));
    this.look('the log of the server', log);
    await Promise.all(this.looking);
    if (this.scale > 0) await this.demo('down').catch(() => {});
    if (!process.env.HOLDFAST_KEEP) rmSync(this.home, { recursive: true, force: true });
    if (this.leaks.size > 0) throw new Error([...this.leaks].join('\n'));
  }
}

function asPostgres([program, ...args]) {
  if (process.getuid() !== 0) return [program, args];
  return ['setpriv', ['--reuid', 'postgres', '--regid', 'postgres', '--init-groups', '--', program, ...args]];
}

/** Ends all of these in turn, whatever becomes of each: nothing is left running by an error, which comes afterwards. */
export async function down(...parts) {
  const errors = [];
  for (const part of parts) await part?.down().catch((error) => errors.push(error));
  if (errors.length > 0) throw errors[0];
}

/** Every restic that is here: Debian's, and the newest that .ci/install could build. */
export async function restics() {
  const found = [];
  const built = readdirSync(join(repository, 'target/tools/bin')).filter((name) => name.startsWith('restic-'));
  for (const program of ['restic', ...built.map((name) => join(repository, 'target/tools/bin', name))]) {
    const { stdout, status } = await run(program, ['version']).catch(() => ({ status: 1 }));
    if (status === 0) found.push({ program, version: stdout.split(' ')[1] });
  }
  return found;
}
