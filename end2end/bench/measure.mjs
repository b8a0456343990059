// What one run of a program costs, and how several programs are compared: in turn, round after round.
import { spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync, rmSync } from 'node:fs';

import { environment, must } from '../tests/lib/process.mjs';

/** Thrown by whatever was under way when somebody pressed Ctrl-C. */
export class Stopped extends Error {}

const running = new Set();
let stopped = false;

/** Ends what is being measured, with all its children; nothing new is begun after this. */
export function stop() {
  stopped = true;
  for (const child of running) {
    try {
      process.kill(-child.pid, 'SIGTERM');
    } catch {
      // it has just ended
    }
  }
}

/** A shell command that is not measured: making data, warming, clearing away. */
export async function shell(command, options = {}) {
  if (stopped) throw new Stopped('stopped');
  const result = await must('bash', ['-c', `set -euo pipefail; ${command}`], { timeout: 3_600_000, ...options });
  if (stopped) throw new Stopped('stopped');
  return result.stdout;
}

/**
 * Runs a program under GNU time and gives { seconds (wall), cpu (user and system, with its children, s), peak (bytes,
 * of the largest of its processes) }. What it prints goes to `log`, whose end is shown if it fails; with `silent` its
 * standard output is thrown away.
 */
export async function timed(argv, { env, cwd, log, silent = false }) {
  if (stopped) throw new Stopped('stopped');
  const cost = `${log}.cost`;
  const out = openSync(log, 'w');
  const from = performance.now();
  const child = spawn('/usr/bin/time', ['-q', '-f', '%U %S %M', '-o', cost, ...argv], {
    cwd,
    env: environment(env),
    detached: true, // a group of its own, so that a whole pipeline can be ended
    stdio: ['ignore', silent ? 'ignore' : out, out],
  });
  running.add(child);
  const status = await new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code) => resolve(code ?? 128));
  });
  const seconds = (performance.now() - from) / 1000;
  running.delete(child);
  closeSync(out);
  if (stopped) throw new Stopped('stopped');
  if (status !== 0) {
    throw new Error(`${argv.join(' ')}\nended with ${status}\n${readFileSync(log, 'utf8').slice(-2000)}`);
  }
  const [user, system, peak] = readFileSync(cost, 'utf8').trim().split(/\s+/).map(Number);
  rmSync(cost);
  return { seconds, cpu: user + system, peak: peak * 1024 };
}

/** Processor seconds that a living process and its ended children have used. */
export function processorTime(pid) {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').replace(/^.*\) /s, '').split(' ');
  return fields.slice(11, 15).reduce((sum, ticks) => sum + Number(ticks), 0) / 100;
}

/** The largest resident size of a living process since `forgetPeak`, in bytes. */
export const peakMemory = (pid) => Number(readFileSync(`/proc/${pid}/status`, 'utf8').match(/^VmHWM:\s+(\d+)/m)[1]) * 1024;

export async function storedBytes(path) {
  return Number((await must('du', ['-sb', path], { timeout: 600_000 })).stdout.split('\t')[0]);
}

/** Reads every file below the paths, so that the page cache holds them. */
export const warm = (...paths) => shell(`find ${paths.map((path) => `'${path}'`).join(' ')} -type f -print0 | xargs -0 -r cat > /dev/null`);

export const median = (values) => {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
};

/**
 * Measures contestants in turn: A B C A B C. Round 0 warms and is not counted.
 *
 * A contestant has `name`, `role` (ours, peer, limit), `run(round)` that gives a cost and its `command`, and may have
 * `prepare(round)` and `after(round)`, which are not measured; `after` may give the bytes that are stored.
 * A peer that fails is left out from there on, and `failed` in its result says why; where we fail, the job fails.
 */
export async function compare(job, contestants, { rounds, before = async () => {}, warmUp = true }) {
  const results = contestants.map(({ name, role }) => ({ job, name, role, runs: [] }));
  for (let round = warmUp ? 0 : 1; round <= rounds; round += 1) {
    await before(round);
    for (const [at, contestant] of contestants.entries()) {
      const result = results[at];
      if (result.failed) continue;
      try {
        await contestant.prepare?.(round);
        await shell('sync'); // what others left unwritten is not this one's burden
        const cost = await contestant.run(round);
        const stored = await contestant.after?.(round);
        if (stored !== undefined) cost.stored = stored;
        result.command = cost.command;
        if (round > 0) result.runs.push(cost);
        console.log(line(`${job} ${round === 0 ? 'warm-up' : `round ${round}`}`, contestant.name, cost));
      } catch (error) {
        if (error instanceof Stopped || contestant.role === 'ours') throw error;
        result.failed = error.message;
        console.log(`  ${job}: ${contestant.name} failed and is left out: ${error.message}`);
      }
    }
  }
  return results;
}

export const seconds = (value) => `${value.toFixed(value < 10 ? 2 : 1)} s`;
export const megabytes = (value) => `${(value / 1e6).toFixed(value < 10e6 ? 1 : 0).replace('-0.0', '0.0')} MB`;
export const percent = (share) => `${Math.round(share * 100)} %`;

const line = (what, name, cost) =>
  [
    `  ${what}`.padEnd(28),
    name.padEnd(18),
    seconds(cost.seconds).padStart(8),
    `processor ${seconds(cost.cpu)}`.padEnd(18),
    `memory ${megabytes(cost.peak)}`.padEnd(15),
    cost.stored === undefined ? '' : `stored ${megabytes(cost.stored)}`,
  ].join('  ').trimEnd();
