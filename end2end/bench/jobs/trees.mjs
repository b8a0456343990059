// A system tree: backed up for the first time, unchanged, with 1 % of its files changed, and restored.
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';

import { changeOnePercent, makeTree } from '../data.mjs';
import { Stopped, compare, megabytes, shell, storedBytes, warm } from '../measure.mjs';
import { empty, limit } from '../peers.mjs';

/** The tree, and one repository of each tool that already holds it. */
export class Trees {
  constructor({ place, tools, scale, rounds, about }) {
    Object.assign(this, { place, tools, scale, rounds, about });
    this.tree = join(place.disk, 'tree');
    this.kept = new Map();
  }

  async data() {
    if (existsSync(this.tree)) return;
    const files = await makeTree(this.tree, this.scale);
    const size = megabytes(await storedBytes(this.tree));
    this.about(`the tree: ${files.toLocaleString('en')} files of this machine's /usr, ${size} with their folders`);
  }

  /** Each time into a new repository, which is made beforehand; the last one is kept for the other jobs. */
  async first() {
    await this.data();
    const contestants = this.tools.map((tool) => ({
      name: tool.name,
      role: tool.role,
      prepare: async () => {
        await this.kept.get(tool)?.drop();
        this.kept.delete(tool);
        await this.begin(tool);
        await warm(this.tree);
      },
      run: () => this.kept.get(tool).backup(this.tree),
      after: () => this.kept.get(tool).stored(),
    }));
    const archive = join(this.place.disk, 'tree.tar.zst');
    const log = join(this.place.disk, 'limit.log');
    contestants.push(
      limit('tar | zstd', `cd ${this.tree}; tar c . | zstd -q -3 -T0 -o ${archive}`, log, {
        prepare: () => warm(this.tree),
        after: async () => {
          const bytes = await storedBytes(archive);
          await shell(`rm '${archive}'`);
          return bytes;
        },
      }),
    );
    return compare('first', contestants, { rounds: this.rounds });
  }

  async unchanged() {
    const contestants = await this.again();
    contestants.push(
      limit('find -printf', `find ${this.tree} -printf '%p %s %T@ %i\\n'`, join(this.place.disk, 'limit.log')),
    );
    return compare('unchanged', contestants, { rounds: this.rounds + 2 });
  }

  async changed() {
    const contestants = await this.again();
    const before = async (round) => {
      await changeOnePercent(this.tree, round + 1);
      await warm(this.tree);
    };
    return compare('changed', contestants, { rounds: this.rounds, before });
  }

  restoreTmpfs = () => this.restore('restore-tmpfs', join(this.place.tmpfs, 'back-tmpfs'));
  restoreDisk = () => this.restore('restore-disk', join(this.place.disk, 'back-disk'));

  async restore(job, target) {
    await this.data();
    mkdirSync(target);
    const contestants = [];
    for (const tool of this.tools) {
      const repository = await this.holding(tool);
      if (!repository) continue;
      await repository.prepareRestore(this.tree, target);
      contestants.push({
        name: tool.name,
        role: tool.role,
        prepare: async () => {
          await empty(target);
          await warm(repository.packs);
        },
        run: () => repository.restore(this.tree, target),
        // The warm-up's result is compared, byte for byte.
        after: async (round) => {
          if (round === 0) await shell(`diff -rq --no-dereference '${this.tree}' '${repository.restored(this.tree, target)}' >&2`);
          await empty(target);
        },
      });
    }
    contestants.push(
      limit('cp -a', `cp -a ${this.tree}/. ${target}`, join(this.place.disk, 'limit.log'), {
        prepare: async () => {
          await empty(target);
          await warm(this.tree);
        },
        after: async () => void (await empty(target)),
      }),
    );
    try {
      return await compare(job, contestants, { rounds: this.rounds });
    } finally {
      await shell(`rm -rf '${target}'`).catch(() => {});
    }
  }

  async again() {
    await this.data();
    const contestants = [];
    for (const tool of this.tools) {
      const repository = await this.holding(tool);
      if (!repository) continue;
      let stored = await repository.stored();
      contestants.push({
        name: tool.name,
        role: tool.role,
        run: () => repository.backup(this.tree),
        after: async () => {
          const more = (await repository.stored()) - stored;
          stored += more;
          return more;
        },
      });
    }
    return contestants;
  }

  async begin(tool) {
    const repository = tool.repository(this.place.next(tool.name));
    this.kept.set(tool, repository);
    await repository.init();
    return repository;
  }

  /** A repository that holds the tree, from the job `first` or made now; nothing where a peer cannot make one. */
  async holding(tool) {
    if (this.kept.has(tool)) return this.kept.get(tool);
    try {
      const repository = await this.begin(tool);
      await repository.backup(this.tree);
      return repository;
    } catch (error) {
      if (error instanceof Stopped || tool.role === 'ours') throw error;
      console.log(`  ${tool.name} failed and is left out: ${error.message}`);
      await this.kept.get(tool)?.drop();
      this.kept.delete(tool);
      return null;
    }
  }

  async drop() {
    for (const repository of this.kept.values()) await repository.drop();
    this.kept.clear();
    await shell(`rm -rf '${this.tree}'`);
  }
}
