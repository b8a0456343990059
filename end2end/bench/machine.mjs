// What machine this is and what is on it: a figure without that is worth nothing.
import { readFileSync } from 'node:fs';
import { cpus, release, totalmem } from 'node:os';

import { must, run, sleep } from '../tests/lib/process.mjs';
import { postgresBin, repository } from '../tests/lib/stack.mjs';

const first = async (program, ...args) => {
  const { status, stdout } = await run(program, args).catch(() => ({ status: 1 }));
  return status === 0 ? stdout.split('\n')[0].trim() : null;
};

/** The share of all processors that is busy while we do nothing for two seconds: what others do here. */
export async function othersBusy() {
  const ticks = () => readFileSync('/proc/stat', 'utf8').split('\n')[0].split(/\s+/).slice(1, 9).map(Number);
  const before = ticks();
  await sleep(2000);
  const spent = ticks().map((value, at) => value - before[at]);
  const all = spent.reduce((sum, value) => sum + value, 0);
  return 1 - (spent[3] + spent[4]) / all; // idle, and idle while the disk works
}

export async function machine(place) {
  const system = readFileSync('/etc/os-release', 'utf8').match(/^PRETTY_NAME="(.*)"/m)?.[1];
  const mount = async (path) => (await must('findmnt', ['-no', 'FSTYPE,OPTIONS', '-T', path])).stdout.split('\n')[0].trim().replace(/\s+/g, ' ');
  const virtual = await first('systemd-detect-virt', '--vm');
  return [
    `${cpus().length} x ${cpus()[0].model.trim()}${virtual && virtual !== 'none' ? ` (virtual, ${virtual})` : ''}, ${Math.round(totalmem() / 2 ** 30)} GiB of memory`,
    `${system}, Linux ${release()}`,
    `disk: ${await mount(place.disk)}; tmpfs: ${await mount(place.tmpfs)}`,
  ];
}

export async function versions(tools) {
  const commit = await first('git', '-C', repository, 'describe', '--always', '--dirty');
  const lines = [`${tools.map(({ version }) => version).join(', ')}; the checkout is at ${commit}`];
  const others = await Promise.all([
    first('zstd', '--version').then((text) => text?.match(/v[\d.]+/)?.[0].replace('v', 'zstd ')),
    first('tar', '--version').then((text) => text?.replace(/.*\) /, 'GNU tar ')),
    first('find', '--version').then((text) => text?.replace(/.*\) /, 'findutils ')),
    first('cp', '--version').then((text) => text?.replace(/.*\) /, 'coreutils ')),
    first(`${postgresBin()}/pg_dump`, '--version').then((text) => text?.replace('pg_dump (PostgreSQL)', 'PostgreSQL')),
  ]);
  return [...lines, others.filter(Boolean).join(', ')];
}
