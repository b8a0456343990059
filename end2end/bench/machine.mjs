// What machine this is and what is on it: a figure without that is worth nothing.
import { readFileSync } from 'node:fs';
import { cpus, loadavg, release, totalmem } from 'node:os';

import { must, run } from '../tests/lib/process.mjs';
import { postgresBin, repository } from '../tests/lib/stack.mjs';

const first = async (program, ...args) => {
  const { status, stdout } = await run(program, args).catch(() => ({ status: 1 }));
  return status === 0 ? stdout.split('\n')[0].trim() : null;
};

export const load = () => loadavg().slice(0, 2).map((value) => value.toFixed(2)).join(', ');

export async function machine(place) {
  const system = readFileSync('/etc/os-release', 'utf8').match(/^PRETTY_NAME="(.*)"/m)?.[1];
  const mount = async (path) => (await must('findmnt', ['-no', 'FSTYPE,OPTIONS', '-T', path])).stdout.trim().replace(/\s+/g, ' ');
  const virtual = await first('systemd-detect-virt');
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
