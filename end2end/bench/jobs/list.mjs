// A repository with 10,000 snapshots is opened and they are listed, by the vault's example program and by restic.
import { existsSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';

import { must } from '../../tests/lib/process.mjs';
import { repository as checkout } from '../../tests/lib/stack.mjs';
import { compare, timed } from '../measure.mjs';

export const example = process.env.HOLDFAST_VAULT_EXAMPLE ?? join(checkout, 'target/release/examples/vault');

export async function list({ place, tools, scale, rounds, about }) {
  if (!existsSync(example)) {
    throw new Error(`${example} is missing; cargo build --release --locked -p holdfast-vault --example vault`);
  }
  const count = 100 * scale;
  about(`the list: ${count.toLocaleString('en')} snapshots of one empty tree`);
  const fast = join(place.tmpfs, 'many'); // made where a flush costs nothing, then moved
  const folder = join(place.disk, 'many');
  mkdirSync(folder);
  const vault = join(folder, 'vault');
  const env = { RESTIC_PASSWORD: 'bench', RESTIC_CACHE_DIR: join(folder, 'cache'), HOME: folder };
  try {
    await must(example, ['init', fast], { env });
    await must(example, ['fill', fast, String(count)], { env, timeout: 1_800_000 });
    await must('cp', ['-r', fast, vault], { timeout: 600_000 });
    rmSync(fast, { recursive: true });
    const log = join(folder, 'log');
    const contestants = [
      {
        name: 'holdfast',
        role: 'ours',
        run: async () => ({ ...(await timed([example, 'snapshots', vault], { env, log })), command: `examples/vault snapshots ${vault}` }),
      },
    ];
    const restic = tools.find((tool) => tool.name === 'restic');
    if (restic) {
      const theirs = (name, role, ...more) => ({
        name,
        role,
        run: async () => ({
          ...(await timed([restic.program, 'snapshots', '--repo', vault, ...more], { env, log })),
          command: ['restic', 'snapshots', '--repo', vault, ...more].join(' '),
        }),
      });
      // restic keeps a copy of each snapshot's file in its cache; a machine that never saw the repository has none.
      contestants.push(theirs('restic', 'peer'), theirs('restic --no-cache', 'limit', '--no-cache'));
    }
    return await compare('list', contestants, { rounds: rounds + 2 });
  } finally {
    for (const path of [fast, folder]) rmSync(path, { recursive: true, force: true });
  }
}
