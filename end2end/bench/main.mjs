#!/usr/bin/env node
// Measures the vault beside other backup programs, on the same data in the same run.
//
//   end2end/bench/main.mjs [--scale=100] [--rounds=3] [JOB…]
//
// Jobs: first unchanged changed restore-tmpfs restore-disk big link list dump; all of them without an argument. A run of all jobs
// at full size writes server/vault/BENCHMARKS.md, any other run only target/bench/BENCHMARKS.md.
//
//   HOLDFAST               the binary (target/release/holdfast)
//   HOLDFAST_TEST_DIR      a folder on the disk to be measured (the system's folder for temporary files)
//   HOLDFAST_BENCH_TMPFS   a folder on a tmpfs (/dev/shm)
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

import { repository } from '../tests/lib/stack.mjs';
import { holdfast } from './holdfast.mjs';
import { big } from './jobs/big.mjs';
import { dump } from './jobs/dump.mjs';
import { link } from './jobs/link.mjs';
import { list } from './jobs/list.mjs';
import { Trees } from './jobs/trees.mjs';
import { machine, othersBusy, versions } from './machine.mjs';
import { Stopped, percent, stop } from './measure.mjs';
import { peers } from './peers.mjs';
import { Place } from './place.mjs';
import { page } from './report.mjs';

const TREE_JOBS = ['first', 'unchanged', 'changed', 'restore-tmpfs', 'restore-disk'];
const JOBS = [...TREE_JOBS, 'big', 'link', 'list', 'dump'];

function options() {
  const { values, positionals } = parseArgs({
    options: { scale: { type: 'string', default: '100' }, rounds: { type: 'string', default: '3' } },
    allowPositionals: true,
  });
  const [scale, rounds] = [Number(values.scale), Number(values.rounds)];
  const means = (word, job) => job === word || job.startsWith(`${word}-`); // `restore` means both
  const unknown = positionals.find((word) => !JOBS.some((job) => means(word, job)));
  if (unknown) throw new Error(`no job is called ${unknown}; there are ${JOBS.join(', ')}`);
  if (!(scale >= 1 && scale <= 100) || !(rounds >= 1)) throw new Error('--scale is 1 to 100 per cent, --rounds at least 1');
  const chosen = positionals.length ? JOBS.filter((job) => positionals.some((word) => means(word, job))) : JOBS;
  return { scale, rounds, chosen };
}

/** Ourselves and every peer that is here; what is missing is said, with how to get it. */
async function present() {
  const [tools, skipped] = [[], []];
  for (const tool of [holdfast, ...peers]) {
    const version = await tool.installed();
    if (version) tools.push(Object.assign(tool, { version }));
    else skipped.push(`${tool.name} is not installed and was skipped; to get it: ${tool.how}`);
  }
  for (const line of skipped) console.log(line);
  return { tools, skipped };
}

async function measure(place, { scale, rounds, chosen }) {
  const { tools, skipped } = await present();
  place.needs(1e9 + (15e9 * scale) / 100, (1.6e9 * scale) / 100);
  const facts = {
    date: new Date().toISOString().slice(0, 10),
    machine: await machine(place),
    versions: await versions(tools),
    data: [],
    busy: {},
    skipped,
    scale,
    rounds,
    shown: place.shown,
  };
  for (const line of [...facts.machine, ...facts.versions]) console.log(line);

  const given = { place, tools, scale, rounds, about: (line) => facts.data.push(line) };
  const trees = new Trees(given);
  const work = {
    first: () => trees.first(),
    unchanged: () => trees.unchanged(),
    changed: () => trees.changed(),
    'restore-tmpfs': () => trees.restoreTmpfs(),
    'restore-disk': () => trees.restoreDisk(),
    big: () => big(given),
    link: () => link(given),
    list: () => list(given),
    dump: () => dump(given),
  };
  const [results, failed] = [[], []];
  for (const job of chosen) {
    if (!TREE_JOBS.includes(job)) await trees.drop();
    facts.busy[job] = await othersBusy();
    console.log(`\n${job} (others keep ${percent(facts.busy[job])} of the processors busy)`);
    try {
      for (const result of await work[job]()) {
        if (result.failed) skipped.push(`${result.name} failed in ${result.job} and was left out: ${result.failed.split('\n').slice(0, 3).join(' ')}`);
        else results.push(result);
      }
    } catch (error) {
      if (error instanceof Stopped) throw error;
      console.error(`  ${job} failed: ${error.stack}`);
      failed.push(job);
    }
  }
  return { results, facts, failed };
}

function write({ results, facts, failed }, { scale, chosen }) {
  const full = scale === 100 && chosen.length === JOBS.length && failed.length === 0;
  const kept = join(repository, 'server/vault/BENCHMARKS.md');
  const text = page(results, facts, existsSync(kept) ? readFileSync(kept, 'utf8') : '');
  const folder = join(repository, 'target/bench');
  mkdirSync(folder, { recursive: true });
  const file = full ? kept : join(folder, 'BENCHMARKS.md');
  writeFileSync(file, text);
  writeFileSync(join(folder, 'results.json'), JSON.stringify(results, null, 1));
  console.log(`\n${text.slice(text.indexOf('## Targets'), text.indexOf('## Machine'))}written to ${file}`);
  if (failed.length) console.error(`failed: ${failed.join(', ')}`);
  return failed.length === 0;
}

function usage() {
  try {
    return options();
  } catch (error) {
    console.error(`end2end/bench: ${error.message}`);
    process.exit(2);
  }
}

const chosen = usage();
const place = new Place();
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, stop);
try {
  const done = await measure(place, chosen);
  if (!write(done, chosen)) process.exitCode = 1;
} catch (error) {
  process.exitCode = error instanceof Stopped ? 130 : 1;
  console.error(error instanceof Stopped ? '\nstopped; clearing away' : error.stack);
} finally {
  await place.clear();
}
