// The data that everybody is measured on: the same bytes in the same order, each time on the same machine.
import { createCipheriv } from 'node:crypto';
import { closeSync, mkdirSync, openSync, writeSync } from 'node:fs';

import { shell } from './measure.mjs';

const MIB = 1 << 20;

/** Real files of /usr in a repeatable order, none above 27 MiB: at 100 % 45,000 files, not above 1.2 GB. Gives their number. */
export async function makeTree(tree, scale) {
  mkdirSync(tree);
  await shell(`
    cd /
    { find usr -xdev -type f -readable -size -28M -printf '%s %p\\0' 2>/dev/null || true; } |
      sort -z -k 2 | shuf -z --random-source=<(yes) |
      awk 'BEGIN { RS = ORS = "\\0" }
        { bytes += $1
          if (files < ${450 * scale} && bytes <= ${12e6 * scale}) { files += 1; sub(/^[0-9]+ /, ""); print } else bytes -= $1 }' |
      xargs -0 cp --parents -t '${tree}'`);
  return Number(await shell(`find '${tree}' -type f | wc -l`));
}

/** Appends a line to every hundredth file, to others in each round. */
export const changeOnePercent = (tree, round) =>
  shell(`find '${tree}' -type f | sort | awk 'NR % 100 == ${(round * 7) % 100}' |
    while IFS= read -r file; do chmod u+w "$file"; echo 'changed in round ${round}' >> "$file"; done`);

/** A file whose mebibytes are in turn noise and text of random words; nothing in it occurs twice. */
export function makeBigFile(path, bytes) {
  const noise = createCipheriv('aes-256-ctr', Buffer.alloc(32, 'holdfast'), Buffer.alloc(16));
  const zeros = Buffer.alloc(MIB);
  const pairs = twoWords();
  const text = Buffer.alloc(MIB + 64);
  const file = openSync(path, 'wx');
  for (let at = 0; at < bytes; at += MIB) {
    let block = noise.update(zeros);
    if ((at / MIB) % 2 === 1) {
      const picks = new Uint16Array(block.buffer, block.byteOffset, MIB / 2);
      for (let filled = 0, pick = 0; filled < MIB; pick += 1) {
        text.set(pairs[picks[pick]], filled);
        filled += pairs[picks[pick]].length;
      }
      block = text.subarray(0, MIB);
    }
    writeSync(file, block, 0, Math.min(MIB, bytes - at));
  }
  closeSync(file);
}

/** Each of 65,536 numbers as two of 256 words. */
function twoWords() {
  const heads = ['an', 'ber', 'con', 'da', 'e', 'for', 'ge', 'har', 'in', 'ju', 'ke', 'lo', 'mar', 'no', 'o', 'pre'];
  const tails = ['bor ', 'ch ', 'd ', 'ending ', 'ft ', 'gration, ', 'l ', 'mer ', 'n ', 'old ', 'p ', 'r ', 'st ', 'tion. ', 've ', 'x ']; // prettier-ignore
  const words = heads.flatMap((head) => tails.map((tail) => head + tail));
  return Array.from({ length: 65_536 }, (_, pick) => Buffer.from(words[pick >> 8] + words[pick & 255]));
}
