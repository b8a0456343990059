// One big file, half of it compressible, into an empty repository.
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';

import { makeBigFile } from '../data.mjs';
import { compare, megabytes, storedBytes, warm } from '../measure.mjs';

export async function big({ place, tools, scale, rounds, about }) {
  const folder = join(place.disk, 'big');
  const file = join(folder, 'image');
  mkdirSync(folder);
  makeBigFile(file, Math.round((4e9 * scale) / 100));
  about(`the big file: ${megabytes(await storedBytes(file))}, its mebibytes in turn noise and text of random words`);
  const contestants = tools.map((tool) => {
    let repository;
    return {
      name: tool.name,
      role: tool.role,
      prepare: async () => {
        repository = tool.repository(place.next(tool.name));
        await repository.init();
        await warm(folder);
      },
      run: () => repository.backup(folder),
      after: async () => {
        const bytes = await repository.stored();
        await repository.drop();
        return bytes;
      },
    };
  });
  try {
    return await compare('big', contestants, { rounds });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
