// Child processes: run to the end, or kept running and stopped again.
import { spawn } from 'node:child_process';

/**
 * Runs a program and gives { status, stdout, stderr, ms }; a program that a signal ended has status 128.
 * Options: env (added to ours; undefined removes), input, cwd, timeout in ms (120000), uid, gid.
 */
export function run(program, args = [], options = {}) {
  const from = performance.now();
  const child = spawn(program, args, {
    cwd: options.cwd,
    env: environment(options.env),
    uid: options.uid,
    gid: options.gid,
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  const kill = setTimeout(() => child.kill('SIGKILL'), options.timeout ?? 120_000);
  const out = [];
  const err = [];
  child.stdout.on('data', (part) => out.push(part));
  child.stderr.on('data', (part) => err.push(part));
  child.stdin.on('error', () => {}); // a program may end without reading all
  child.stdin.end(options.input ?? '');
  return new Promise((resolve, reject) => {
    child.once('error', (error) => {
      clearTimeout(kill);
      reject(error);
    });
    child.once('close', (code) => {
      clearTimeout(kill);
      resolve({
        status: code ?? 128,
        bytes: Buffer.concat(out),
        stdout: Buffer.concat(out).toString(),
        stderr: Buffer.concat(err).toString(),
        ms: performance.now() - from,
      });
    });
  });
}

/** Like `run`, but anything else than status 0 is an error that shows what was printed. */
export async function must(program, args, options) {
  const result = await run(program, args, options);
  if (result.status !== 0) {
    throw new Error(`${program} ${args.join(' ')}\nended with ${result.status}\n${result.stdout}\n${result.stderr}`);
  }
  return result;
}

export function environment(extra = {}) {
  const merged = { ...process.env, ...extra };
  for (const [name, value] of Object.entries(merged)) if (value === undefined) delete merged[name];
  return merged;
}

export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** What is awaited, or undefined after so many ms; no timer is left that would keep this process alive. */
export async function within(ms, awaited) {
  let timer;
  const over = new Promise((done) => (timer = setTimeout(done, ms)));
  try {
    return await Promise.race([awaited, over]);
  } finally {
    clearTimeout(timer);
  }
}

/** Asks again and again until the answer is true (gives it) or the time is over (an error that names `what`). */
export async function until(what, question, { timeout = 30_000, every = 100 } = {}) {
  const end = Date.now() + timeout;
  let last;
  for (;;) {
    try {
      const answer = await question();
      if (answer) return answer;
    } catch (error) {
      last = error;
    }
    if (Date.now() > end) throw new Error(`${what}: not within ${timeout} ms${last ? ` (${last.message})` : ''}`);
    await sleep(every);
  }
}
