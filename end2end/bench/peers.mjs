// The other backup programs, each used as its own documentation says: encrypted, compressed with zstd where it has the choice.
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { run } from '../tests/lib/process.mjs';
import { repository, restics } from '../tests/lib/stack.mjs';
import { shell, storedBytes, timed } from './measure.mjs';

const PASSWORD = 'bench';

/** The newest NAME-VERSION that .ci/install has built, or NAME from the path. */
const program = (name) => {
  const tools = join(repository, 'target/tools/bin');
  const built = readdirSync(tools).filter((file) => file.startsWith(`${name}-`));
  const newest = built.sort((a, b) => a.localeCompare(b, undefined, { numeric: true })).at(-1);
  return newest ? join(tools, newest) : name;
};

/** One repository of one peer. A subclass gives its commands; none of them touches anything outside its folder. */
class Repository {
  constructor(place, tool) {
    this.place = place;
    this.program = tool;
    this.packs = join(place.folder, 'repository');
    this.home = join(place.folder, 'home');
    this.log = join(place.folder, 'log');
  }

  env = () => ({ HOME: this.home, XDG_CACHE_HOME: undefined, XDG_CONFIG_HOME: undefined });

  async init() {
    mkdirSync(this.home, { recursive: true });
    this.place.owns(this);
    for (const args of this.initCommands()) await this.measured(args);
  }

  backup = (path) => this.measured(this.backupCommand(path));
  restore = (path, target) => this.measured(this.restoreCommand(path, target), target);
  prepareRestore = async () => {};
  restored = (_path, target) => target;
  stored = () => storedBytes(this.packs);

  async measured(args, cwd = this.place.folder) {
    const cost = await timed([this.program, ...args], { env: this.env(), cwd, log: this.log });
    const from = cwd === this.place.folder ? '' : 'cd TARGET; ';
    return { ...cost, command: from + [this.program.replace(/^.*\//, ''), ...args].join(' ') };
  }

  async drop() {
    this.place.disowns(this);
    rmSync(this.place.folder, { recursive: true, force: true });
  }
}

class Restic extends Repository {
  env = () => ({
    HOME: this.home,
    RESTIC_REPOSITORY: this.packs,
    RESTIC_PASSWORD: PASSWORD,
    RESTIC_CACHE_DIR: join(this.home, 'cache'),
  });
  initCommands = () => [['init', '--repository-version', '2']];
  backupCommand = (path) => ['backup', '--quiet', path];
  restoreCommand = (_path, target) => ['restore', 'latest', '--quiet', '--target', target];
  restored = (path, target) => join(target, path);
}

class Kopia extends Repository {
  env = () => ({ HOME: this.home, KOPIA_PASSWORD: PASSWORD, KOPIA_CHECK_FOR_UPDATES: 'false' });
  #with = (...args) => [...args, `--config-file=${join(this.home, 'kopia.config')}`];
  initCommands = () => [
    this.#with('repository', 'create', 'filesystem', `--path=${this.packs}`, `--cache-directory=${join(this.home, 'cache')}`),
    this.#with('policy', 'set', '--global', '--compression=zstd'),
  ];
  backupCommand = (path) => this.#with('snapshot', 'create', '--no-progress', path);
  restoreCommand = (path, target) => this.#with('snapshot', 'restore', '--no-progress', path, target, '--snapshot-time=latest');
}

class Borg extends Repository {
  archives = 0;
  env = () => ({ HOME: this.home, BORG_BASE_DIR: this.home, BORG_REPO: this.packs, BORG_PASSPHRASE: PASSWORD });
  initCommands = () => [['init', '--encryption=repokey-blake2']];
  backupCommand = (path) => ['create', '--compression=zstd,3', `::${(this.archives += 1)}`, path];
  restoreCommand = () => ['extract', `::${this.archives}`];
  restored = (path, target) => join(target, path);
}

class Rustic extends Repository {
  env = () => ({
    HOME: this.home,
    RUSTIC_REPOSITORY: this.packs,
    RUSTIC_PASSWORD: PASSWORD,
    RUSTIC_CACHE_DIR: join(this.home, 'cache'),
    RUSTIC_NO_PROGRESS: 'true',
  });
  initCommands = () => [['init']];
  backupCommand = (path) => ['backup', path];
  restoreCommand = (path, target) => ['restore', `latest:${path}`, target];
}

class Vykar extends Repository {
  env = () => ({ HOME: this.home, VYKAR_CONFIG: join(this.home, 'vykar.yaml'), VYKAR_PASSPHRASE: PASSWORD });
  initCommands = () => {
    const config = {
      repositories: [{ label: 'bench', url: this.packs }],
      encryption: { mode: 'auto' },
      compression: { algorithm: 'zstd', zstd_level: 3 },
    };
    writeFileSync(join(this.home, 'vykar.yaml'), JSON.stringify(config)); // JSON is YAML
    return [['init', '-R', 'bench']];
  };
  backupCommand = (path) => ['backup', '-R', 'bench', '-l', 'bench', path];
  restoreCommand = (_path, target) => ['restore', '-R', 'bench', 'latest', target];
}

const peer = (name, Kind, versionArgs, how) => ({
  name,
  role: 'peer',
  how,
  async installed() {
    this.program = name === 'restic' ? await newestRestic() : program(name);
    const { status, stdout, stderr } = await run(this.program, versionArgs).catch(() => ({ status: 1 }));
    if (status !== 0) return null;
    const named = this.program.match(/-(\d[\d.]*)$/)?.[1];
    return named ? `${name} ${named}` : (stdout + stderr).trim().split('\n')[0];
  },
  repository(place) {
    return new Kind(place, this.program);
  },
});

async function newestRestic() {
  const found = await restics();
  found.sort((a, b) => a.version.localeCompare(b.version, undefined, { numeric: true }));
  return found.at(-1)?.program ?? 'restic';
}

/** Every peer, with what to do where it is missing. */
export const peers = [
  peer('restic', Restic, ['version'], '`.ci/install bench`: the newest where Go is 1.24 or newer, else by apt'),
  peer('kopia', Kopia, ['--version'], '`.ci/install bench` where Go is 1.24 or newer'),
  peer('borg', Borg, ['--version'], '`.ci/install bench`, or apt-get install borgbackup'),
  peer('rustic', Rustic, ['--version'], '`.ci/install bench`, or cargo install rustic-rs'),
  peer('vykar', Vykar, ['--version'], 'clone github.com/borgbase/vykar, cargo build --release -p vykar-cli, and put `vykar` into the path'),
];

/** What is no backup program but says what the machine can do: gives a contestant for `compare`. */
export function limit(name, command, log, more = {}) {
  return {
    name,
    role: 'limit',
    run: async () => ({ ...(await timed(['bash', '-c', `set -o pipefail; ${command}`], { log, silent: true })), command }),
    ...more,
  };
}

/** Empties a folder but keeps it. */
export const empty = (folder) => shell(`mkdir -p '${folder}'; find '${folder}' -mindepth 1 -delete`);
