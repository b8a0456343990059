// A first backup into a bucket that lies behind a link of 20 ms: the delay must hide behind the work.
import { spawn } from 'node:child_process';
import { randomFillSync } from 'node:crypto';
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { Bucket } from '../../tests/lib/bucket.mjs';
import { repository as checkout } from '../../tests/lib/stack.mjs';
import { compare, megabytes, storedBytes, warm } from '../measure.mjs';

const program = process.env.HOLDFAST_LINK_EXAMPLE ?? join(checkout, 'target/release/examples/link');
const DELAY = 20; // ms, before each answer

export async function link({ place, tools, scale, rounds, about }) {
  if (!existsSync(program)) throw new Error(`${program} is missing; cargo build --release --locked -p holdfast-vault --example link`);
  const folder = join(place.disk, 'noise');
  makeNoise(folder, Math.max(1, Math.round((40 * scale) / 100)));
  about(`the link: ${megabytes(await storedBytes(folder))} that do not compress into a SeaweedFS of this machine, each answer of which comes ${DELAY} ms late`);
  const bucket = await Bucket.start('holdfast-bench');
  const links = [];
  try {
    const far = await start(links, bucket, DELAY);
    const near = await start(links, bucket, 0);
    const [holdfast, restic] = ['holdfast', 'restic'].map((name) => tools.find((tool) => tool.name === name));
    const through = (endpoint) => (name) => holdfast.repository(name, { bucket, endpoint });
    const contestants = [
      contestant('holdfast', 'ours', through(far)),
      contestant('holdfast without delay', 'limit', through(near)),
    ];
    if (restic) contestants.push(contestant('restic', 'peer', (name) => resticIn(restic, name, bucket, far)));
    return await compare('link', contestants, { rounds });
  } finally {
    for (const child of links) child.kill();
    await bucket.down();
    rmSync(folder, { recursive: true, force: true });
  }

  function contestant(name, role, make) {
    let repository;
    return {
      name,
      role,
      prepare: async () => {
        repository = make(place.next(name.replaceAll(' ', '-')));
        await repository.init();
        await warm(folder);
      },
      run: () => repository.backup(folder),
      after: () => repository.drop(),
    };
  }
}

function makeNoise(folder, count) {
  mkdirSync(folder);
  const bytes = Buffer.alloc(10 << 20);
  for (let at = 0; at < count; at += 1) writeFileSync(join(folder, String(at)), randomFillSync(bytes));
}

/** A way to the bucket's store on which each answer takes `delay` ms more; gives its address. */
async function start(links, bucket, delay) {
  const child = spawn(program, [new URL(bucket.endpoint).port, String(delay)], { stdio: ['ignore', 'pipe', 'inherit'] });
  links.push(child);
  const port = await new Promise((resolve, reject) => {
    child.once('error', reject);
    child.stdout.once('data', (line) => resolve(String(line).trim()));
  });
  return `http://127.0.0.1:${port}`;
}

function resticIn(restic, place, bucket, endpoint) {
  const repository = restic.repository(place);
  repository.packs = `s3:${endpoint}/${bucket.name}/${place.name}`;
  const env = repository.env;
  repository.env = () => ({ ...env(), ...bucket.env });
  return repository;
}
