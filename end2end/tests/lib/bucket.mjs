// A real S3 store for one test file: SeaweedFS, on loopback ports, in a folder of its own.
import { spawn } from 'node:child_process';
import { closeSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { run, until } from './process.mjs';
import { freePort, repository } from './stack.mjs';

const access = { id: 'AKIDSHOP', secret: 'canary-bucket-secret-91c4' };

export class Bucket {
  static async start(name = 'holdfast-shop') {
    const bucket = new Bucket(name);
    try {
      await bucket.serve();
    } catch (error) {
      await bucket.down();
      throw error;
    }
    return bucket;
  }

  constructor(name) {
    this.name = name;
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
        `-s3.config=${this.home}/s3.json`,
        '-master.telemetry=false',
        '-master.volumeSizeLimitMB=1024',
        '-volume.max=20',
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

  async down() {
    if (this.store?.pid && this.store.exitCode === null) {
      this.store.kill('SIGKILL');
      await this.store.ended;
    }
    rmSync(this.home, { recursive: true, force: true });
  }
}
