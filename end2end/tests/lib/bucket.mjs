// A real S3 store for one test file: SeaweedFS, on loopback ports, in a folder of its own.
import { spawn } from 'node:child_process';
import { closeSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { run, until } from './process.mjs';
import { freePort, repository } from './stack.mjs';

const access = { id: 'AKIDSHOP', secret: 'canary-bucket-secret-91c4' };

export class Bucket {
  /** With `locks` the bucket has object lock. */
  static async start(name = 'holdfast-shop', { locks = false } = {}) {
    const bucket = new Bucket(name, locks);
    try {
      await bucket.serve();
    } catch (error) {
      await bucket.down();
      throw error;
    }
    return bucket;
  }

  constructor(name, locks) {
    this.name = name;
    this.locks = locks;
    this.home = mkdtempSync(join(process.env.HOLDFAST_TEST_DIR ?? tmpdir(), 'hf-bucket-'));
  }

  async serve() {
    const ports = [];
    while (ports.length < 8) {
      const port = await freePort();
      if (!ports.includes(port)) ports.push(port);
    }
    const [master, masterGrpc, volume, volumeGrpc, filer, filerGrpc, s3, s3Grpc] = ports;
    const identity = { name: 'shop', credentials: [{ accessKey: access.id, secretKey: access.secret }], actions: ['Admin', 'Read', 'Write', 'List', 'Tagging'] };
    mkdirSync(join(this.home, 'data'));
    writeFileSync(join(this.home, 's3.json'), JSON.stringify({ identities: [identity] }));
    const log = openSync(join(this.home, 'log'), 'a');
    const weed = join(repository, 'target/tools/bin/weed');
    this.store = spawn(
      weed,
      [
        'server',
        `-dir=${this.home}/data`,
        '-ip=127.0.0.1',
        '-ip.bind=127.0.0.1',
        `-master.port=${master}`,
        `-master.port.grpc=${masterGrpc}`,
        `-volume.port=${volume}`,
        `-volume.port.grpc=${volumeGrpc}`,
        `-filer.port=${filer}`,
        `-filer.port.grpc=${filerGrpc}`,
        '-s3',
        `-s3.port=${s3}`,
        `-s3.port.grpc=${s3Grpc}`,
        '-s3.port.iceberg=0',
        '-s3.port.lance=0',
        '-s3.iam.readOnly=false',
        `-s3.config=${this.home}/s3.json`,
        '-master.telemetry=false',
        '-master.volumeSizeLimitMB=1024',
        '-volume.max=100',
        '-volume.preStopSeconds=0',
      ],
      { stdio: ['ignore', log, log] },
    );
    closeSync(log);
    this.store.once('error', (error) => (this.failed = error));
    this.store.ended = new Promise((done) => this.store.once('exit', done));
    this.endpoint = `http://127.0.0.1:${s3}`;
    this.env = { AWS_ACCESS_KEY_ID: access.id, AWS_SECRET_ACCESS_KEY: access.secret };
    this.secret = access.secret;
    if (this.locks) return this.make();
    // restic makes a bucket where there is none.
    const env = { ...this.env, RESTIC_REPOSITORY: `s3:${this.endpoint}/${this.name}/made-by-restic`, RESTIC_PASSWORD: 'x', RESTIC_CACHE_DIR: join(this.home, 'cache') };
    await until(
      'the store is ready',
      async () => {
        if (this.failed) throw this.failed;
        const made = await run('restic', ['init'], { env, timeout: 10_000 });
        return made.status === 0 || /already (exists|initialized)/.test(made.stderr);
      },
      { timeout: 60_000, every: 300 },
    ).catch((error) => {
      throw new Error(`${error.message}\n${readFileSync(join(this.home, 'log'), 'utf8').slice(-3000)}`);
    });
  }

  /**
   * A plain signed request to the store; gives what curl printed, the status in its last line. `body` is sent; `as` are
   * the variables of another credential.
   */
  async request(method, path, { headers = [], body, as = this.env } = {}) {
    const sent = ['-H', 'x-amz-content-sha256: UNSIGNED-PAYLOAD', '-H', 'content-type: application/octet-stream', '--data-binary', body];
    const args = [
      '-sS',
      ...['-X', method, '--aws-sigv4', 'aws:amz:us-east-1:s3', '-w', '\n%{http_code}'],
      ...headers.flatMap((header) => ['-H', header]),
      ...(body === undefined ? [] : sent),
      `${this.endpoint}/${this.name}${path}`,
    ];
    return (await run('curl', [...args, '-K', '-'], { input: user(as) })).stdout;
  }

  /**
   * A credential that may read and write below this prefix and delete nothing but locks: what a pipeline or an agent
   * should have. Gives its variables.
   */
  async appendOnly(prefix, name = 'append-only') {
    const iam = async (form) => {
      const body = new URLSearchParams({ Version: '2010-05-08', UserName: name, ...form }).toString();
      const sign = ['--aws-sigv4', 'aws:amz:us-east-1:iam', '-K', '-'];
      const { stdout } = await run('curl', ['-sS', '--fail-with-body', '-X', 'POST', ...sign, '-d', body, `${this.endpoint}/`], { input: user(this.env) });
      return (tag) => stdout.match(new RegExp(`<${tag}>([^<]+)<`))?.[1];
    };
    const below = `arn:aws:s3:::${this.name}/${prefix}`;
    const allow = (Action, ...Resource) => ({ Effect: 'Allow', Action, Resource });
    const statements = [
      allow(['s3:GetObject', 's3:PutObject', 's3:GetObjectRetention', 's3:PutObjectRetention'], `${below}/*`),
      allow(['s3:ListBucket', 's3:ListBucketVersions', 's3:GetBucketVersioning', 's3:GetBucketObjectLockConfiguration'], `arn:aws:s3:::${this.name}`),
      allow(['s3:DeleteObject'], `${below}/locks/*`),
    ];
    await iam({ Action: 'CreateUser' });
    const key = await iam({ Action: 'CreateAccessKey' });
    const document = JSON.stringify({ Version: '2012-10-17', Statement: statements });
    await iam({ Action: 'PutUserPolicy', PolicyName: 'append-only', PolicyDocument: document });
    const env = { AWS_ACCESS_KEY_ID: key('AccessKeyId'), AWS_SECRET_ACCESS_KEY: key('SecretAccessKey') };
    await until('the credential works', async () => /\n200$/.test(await this.request('GET', `?list-type=2&prefix=${prefix}`, { as: env })), { timeout: 30_000, every: 200 });
    return env;
  }

  /** A bucket with object lock, as soon as the store is there. */
  async make() {
    await until(
      'the bucket is made',
      async () => /\n(200|409)$/.test(await this.request('PUT', '', { headers: ['x-amz-bucket-object-lock-enabled: true'] })),
      { timeout: 60_000, every: 300 },
    );
  }

  /** The keys of all objects that are seen in it. */
  async keys() {
    return [...(await this.request('GET', '?list-type=2')).matchAll(/<Key>([^<]+)<\/Key>/g)].map(([, key]) => key);
  }

  async down() {
    if (this.store?.pid && this.store.exitCode === null) {
      this.store.kill('SIGKILL');
      await this.store.ended;
    }
    rmSync(this.home, { recursive: true, force: true });
  }
}

/** For curl, by its standard input: arguments are everybody's to read. */
function user({ AWS_ACCESS_KEY_ID: id, AWS_SECRET_ACCESS_KEY: secret }) {
  return `user = "${id}:${secret}"\n`;
}
