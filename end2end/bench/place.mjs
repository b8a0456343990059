// Where everything lies while it is measured, and who has to be stopped at the end, however it comes.
import { mkdtempSync, rmSync, statfsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export class Place {
  constructor() {
    this.disk = mkdtempSync(join(process.env.HOLDFAST_TEST_DIR ?? tmpdir(), 'hf-bench-'));
    this.tmpfs = mkdtempSync(join(process.env.HOLDFAST_BENCH_TMPFS ?? '/dev/shm', 'hf-bench-'));
    this.owned = new Set();
    this.count = 0;
  }

  /** Fails early, and says so, rather than on a full disk an hour later. */
  needs(diskBytes, tmpfsBytes) {
    for (const [path, bytes] of [[this.disk, diskBytes], [this.tmpfs, tmpfsBytes]]) {
      const { bavail, bsize } = statfsSync(path);
      if (bavail * bsize < bytes) {
        throw new Error(`${path} has ${(bavail * bsize / 1e9).toFixed(1)} GB left and ${(bytes / 1e9).toFixed(1)} GB are needed; choose another by HOLDFAST_TEST_DIR or HOLDFAST_BENCH_TMPFS, or a smaller SCALE`);
      }
    }
  }

  /** A name for a repository, never given twice. */
  next(what) {
    this.count += 1;
    const place = this;
    const name = `${what}-${this.count}`;
    return {
      name,
      folder: join(this.disk, name),
      owns: (repository) => place.owned.add(repository),
      disowns: (repository) => place.owned.delete(repository),
    };
  }

  /** A command as it is printed: without this run's folders. */
  shown = (command) => command?.replaceAll(this.disk, '$DISK').replaceAll(this.tmpfs, '$TMPFS');

  async clear() {
    for (const repository of [...this.owned]) await repository.drop().catch((error) => console.error(error.message));
    for (const folder of [this.disk, this.tmpfs]) rmSync(folder, { recursive: true, force: true });
  }
}
