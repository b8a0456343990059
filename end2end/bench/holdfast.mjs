// Our side: the release binary's command line against a running server, each vault with a server of its own.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { must } from '../tests/lib/process.mjs';
import { Stack, binary } from '../tests/lib/stack.mjs';
import { peakMemory, processorTime, shell, storedBytes, timed } from './measure.mjs';

export const holdfast = {
  name: 'holdfast',
  role: 'ours',
  installed: async () => (await must(binary, ['--version'])).stdout.trim(),
  repository: (place, { bucket, endpoint } = {}) => new Vault(place.name, place, { bucket, endpoint }),
};

export class Vault {
  /** Options: those of the tests' Stack; with `bucket` the vault lies in it, reached at `endpoint`. */
  constructor(name, place, { bucket, endpoint, ...options } = {}) {
    this.name = name;
    this.place = place;
    this.options = options;
    this.bucket = bucket;
    this.endpoint = endpoint;
    this.checkpoints = new Map();
  }

  /** Starts a server and makes the vault, as the peers' `init` does: with a checkpoint of one small file. */
  async init() {
    this.stack = await Stack.start({ name: `bench-${this.name}`, scale: 0, ...this.options });
    this.place.owns(this);
    if (this.bucket) {
      const location = [`s3://${this.bucket.name}/${this.name}`, '--endpoint', this.endpoint];
      await this.stack.ok('vault', 'add', 'bench', ...location, { env: this.bucket.env });
    }
    const folder = join(this.stack.home, 'door');
    mkdirSync(folder);
    writeFileSync(join(folder, 'file'), 'one small file\n');
    await this.apply('door', `{name: files, kind: files, path: ${folder}}`);
    await this.stack.ok('checkpoint', 'create', 'bench/door', '--no-drill', '--quiet');
  }

  /** Defines an environment of one component; what stands in `component` is one line of YAML. */
  async apply(environment, component) {
    const yaml = join(this.stack.home, `${environment}.yaml`);
    writeFileSync(yaml, `project: bench\nenvironment: ${environment}\ncomponents:\n  - ${component}\n`);
    await this.stack.apply(yaml);
  }

  async backup(path) {
    const environment = await this.environmentOf(path);
    return this.create(environment);
  }

  async environmentOf(path) {
    const environment = path.replace(/^.*\//, '').replace(/[^a-z0-9]+/g, '-');
    if (!this.checkpoints.has(environment)) {
      await this.apply(environment, `{name: files, kind: files, path: ${path}}`);
      this.checkpoints.set(environment, null);
    }
    return environment;
  }

  async create(environment) {
    const cost = await this.measured('checkpoint', 'create', `bench/${environment}`, '--no-drill', '--quiet');
    this.checkpoints.set(environment, cost.printed);
    return cost;
  }

  /** We put back in place only: `target` is an environment of its own, filled, checkpointed and emptied again. */
  async prepareRestore(path, target) {
    await shell(`cp -a '${path}/.' '${target}'`);
    await this.backup(target);
    await shell(`find '${target}' -mindepth 1 -delete`);
  }

  async restore(_path, target) {
    const id = this.checkpoints.get(await this.environmentOf(target));
    return this.measured('checkpoint', 'restore', id, '--no-backup', '--yes');
  }

  restored = (_path, target) => target;

  /** A command's wall time; processor time of server and command; peak memory of the server during it. */
  async measured(...args) {
    const { pid } = this.stack.server;
    writeFileSync(`/proc/${pid}/clear_refs`, '5'); // the peak begins anew
    const before = processorTime(pid);
    const log = join(this.stack.home, 'command.log');
    const env = { HOLDFAST_DATA_DIR: this.stack.data, HOLDFAST_URL: undefined, HOLDFAST_TOKEN: undefined };
    const cost = await timed([binary, ...args], { env, log });
    cost.cpu += processorTime(pid) - before;
    cost.peak = peakMemory(pid);
    cost.printed = (await must('tail', ['-n', '1', log])).stdout.trim();
    cost.command = ['holdfast', ...args].join(' ').replace(/chk_\w+/, 'ID');
    return cost;
  }

  get packs() {
    return this.stack.vault('bench');
  }

  stored = () => storedBytes(this.packs);

  async drop() {
    this.place.disowns(this);
    await this.stack.down();
  }
}
