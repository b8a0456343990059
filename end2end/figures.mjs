#!/usr/bin/env node
// Measures Holdfast on this machine, beside stock restic on the same trees in the same run.
//
//   end2end/figures.mjs [--tree-only | --demo-only]
//
// The demo shop at full size: first and repeated checkpoint, drill, restore. Then a tree of about 40,000 files and
// 1 GB, made from this machine's own files: first, repeated and slightly changed, with Holdfast and with each restic.
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';

import { must, run } from './tests/lib/process.mjs';
import { Stack, restics } from './tests/lib/stack.mjs';

const only = process.argv[2];
const rows = [];
const seconds = (ms) => `${(ms / 1000).toFixed(2)} s`;
const megabytes = (bytes) => `${(bytes / 1e6).toFixed(1)} MB`;
const note = (what, ...values) => {
  rows.push([what, ...values]);
  console.log([what.padEnd(46), ...values].join('  '));
};
const peak = (pid) => Number(readFileSync(`/proc/${pid}/status`, 'utf8').match(/^VmHWM:\s+(\d+)/m)[1]) * 1024;
const timed = async (work) => {
  const from = performance.now();
  const value = await work();
  return [performance.now() - from, value];
};
const size = async (path) => Number((await must('du', ['-sb', path])).stdout.split('\t')[0]);

console.log(`${cpus().length} x ${cpus()[0].model.trim()}\n`);

if (only !== '--tree-only') {
  const stack = await Stack.start({ name: 'figures', scale: 100 });
  try {
    await stack.apply();
    const create = async (what, ...more) => {
      const [ms, made] = await timed(() => stack.json('checkpoint', 'create', 'production', ...more));
      const drill = made.drill ? `, of it the drill ${seconds(made.drill.duration_ms)}` : '';
      note(`demo: ${what}`, `${seconds(ms)}${drill}`, `${megabytes(made.size.total)}, stored ${megabytes(made.size.stored)}`, made.proof);
      return made;
    };
    const first = await create('first checkpoint');
    await create('repeated checkpoint');
    await create('repeated, not drilled', '--no-drill');
    const [drilled] = await timed(() => stack.ok('checkpoint', 'drill', first.id));
    note('demo: drill on demand', seconds(drilled));
    await stack.demo('bad-migration');
    const [restored] = await timed(() => stack.ok('checkpoint', 'restore', first.id));
    note('demo: restore with its safety checkpoint', seconds(restored));
    note('demo: peak memory of the server', megabytes(peak(stack.server.pid)));
  } finally {
    await stack.down();
  }
}

if (only !== '--demo-only') {
  const stack = await Stack.start({ name: 'tree', scale: 0 });
  try {
    const tree = join(stack.home, 'tree');
    mkdirSync(tree);
    // Real files of /usr in an order that is the same each time, without what is too large, until there are enough.
    await must('bash', ['-c', `
      set -e
      cd /
      find usr -xdev -type f -readable -size -32M -printf '%s %p\\0' 2>/dev/null |
        sort -z -k 2 | shuf -z --random-source=<(yes) |
        awk 'BEGIN { RS = ORS = "\\0" } { bytes += $1; if (files < 40000 && bytes <= 1.05e9) { files += 1; sub(/^[0-9]+ /, ""); print } else bytes -= $1 }' |
        xargs -0 cp --parents -t ${tree}
    `], { timeout: 600_000 });
    const count = Number((await must('bash', ['-c', `find ${tree} -type f | wc -l`])).stdout);
    note('tree', `${count} files`, megabytes(await size(tree)));
    const yaml = join(stack.home, 'holdfast.yaml');
    writeFileSync(yaml, `project: tree\nenvironment: tree\ncomponents:\n  - {name: files, kind: files, path: ${tree}}\n`);
    await stack.apply(yaml);

    const programs = await restics();
    const repositories = new Map();
    for (const { program, version } of programs) {
      const env = { RESTIC_REPOSITORY: join(stack.home, `restic-${version}`), RESTIC_PASSWORD: 'figures', RESTIC_CACHE_DIR: join(stack.home, `cache-${version}`) };
      await must(program, ['init', '--repository-version', '2'], { env });
      repositories.set(version, env);
    }
    // Each is measured with the tree warm in the page cache, in turn.
    const round = async (what) => {
      await must('bash', ['-c', `find ${tree} -type f -print0 | xargs -0 cat > /dev/null`], { timeout: 600_000 });
      const [ms, made] = await timed(() => stack.json('checkpoint', 'create', 'tree', '--no-drill'));
      note(`tree: ${what}, holdfast`, seconds(ms), `stored ${megabytes(made.size.stored)}`);
      for (const { program, version } of programs) {
        const [restic] = await timed(() => must(program, ['backup', '--quiet', tree], { env: repositories.get(version), timeout: 600_000 }));
        note(`tree: ${what}, restic ${version}`, seconds(restic), `repository ${megabytes(await size(repositories.get(version).RESTIC_REPOSITORY))}`);
      }
      return made;
    };
    await round('first');
    await round('nothing changed');
    await must('bash', ['-c', `find ${tree} -type f | awk 'NR % 100 == 0' | while IFS= read -r f; do chmod u+w "$f"; echo changed >> "$f"; done`]);
    const last = await round('1 % of the files changed');
    const [drilled, status] = await timed(() => stack.cli('checkpoint', 'drill', last.id));
    note('tree: drill', seconds(drilled), `ended with ${status.status}`);
    note('tree: peak memory of the server', megabytes(peak(stack.server.pid)));
    note('tree: the vault', megabytes(await size(stack.vault('tree'))));
  } finally {
    await stack.down();
  }
}
