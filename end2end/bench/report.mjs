// The figures as a page: server/vault/BENCHMARKS.md, or what would stand there.
import { megabytes, percent, seconds } from './measure.mjs';
import { MEMORY, figure, memory, peak, verdicts } from './targets.mjs';

const JOBS = {
  first: 'First backup of the tree into an empty repository',
  unchanged: 'The same again, nothing changed',
  changed: 'The same again, 1 % of the files changed',
  big: 'One big file, half compressible, into an empty repository',
  'restore-tmpfs': 'The tree restored onto tmpfs',
  'restore-disk': 'The tree restored onto the disk',
  link: 'First backup into a bucket behind a link of 20 ms',
  list: 'Open a repository and list its snapshots',
  dump: 'Database dump, first',
  'dump-one-place': 'Database dump, again after 1 % of the rows changed in one place',
  'dump-scattered': 'Database dump, again after another 1 % of the rows changed all over the table',
};
export const jobNames = Object.keys(JOBS);

/** What stands below this line is written by people and kept from one writing to the next. */
const NOTES = '## Reading these figures';

const table = (head, rows) => [head, head.map((_, at) => (at === 0 ? '---' : '--:')), ...rows].map((row) => `| ${row.join(' | ')} |`).join('\n');
const cell = (text) => text.replaceAll('|', '\\|');
const word = (met) => (met === undefined ? '' : met ? 'met' : '**not met**');

/** Facts: { date, machine: [line…], versions: [line…], data: [line…], skipped: [line…], busy (a share by job), scale, rounds, shown }. */
export function page(results, facts, before = '') {
  const parts = [
    '# The vault, measured\n',
    `Written by \`make bench\` on ${facts.date}${facts.scale === 100 ? '' : `, at ${facts.scale} % of the size`}. Every tool worked on the same data in the same run, in turn and ${facts.rounds} or more times after one run that was not counted; what is shown are medians. Before each run all was written out (\`sync\`) and what is read was put into the page cache. All tools encrypt, and compress with zstd.\n`,
    disturbed(facts.busy),
    '## Targets\n',
    targets(results),
    '',
    facts.skipped.length ? `Not in this run:\n\n${facts.skipped.map((line) => `- ${line}`).join('\n')}\n` : '',
    '## Machine and versions\n',
    [...facts.machine, ...facts.versions, ...facts.data].map((line) => `- ${line}`).join('\n'),
    '',
    '## All figures\n',
    'Wall time is the median, with the quickest and the slowest run. Our time is that of the command `holdfast`, which ends when the server has sealed or put back; our processor time is that of server and command together, our memory the peak of the server (`VmHWM`, set back before each run). The others are measured by GNU time: a pipeline\'s memory is that of its largest process. Stored is what the repository has grown by.\n',
  ];
  for (const job of jobNames) {
    const ran = results.filter((result) => result.job === job);
    if (ran.length === 0) continue;
    parts.push(`### ${JOBS[job]}\n`, figures(ran), '');
    parts.push('```sh', ...ran.map((result) => facts.shown(result.command)), '```\n');
  }
  const notes = before.indexOf(`\n${NOTES}`);
  parts.push(notes < 0 ? `${NOTES}\n\n${reading}` : before.slice(notes + 1).trimEnd());
  return `${parts.join('\n').replaceAll(/\n{3,}/g, '\n\n').trimEnd()}\n`;
}

/** A measurement beside other work is no measurement: it is said at the top. */
function disturbed(busy) {
  const jobs = Object.entries(busy).filter(([, share]) => share > 0.1);
  if (jobs.length === 0) return '';
  const worst = percent(Math.max(...jobs.map(([, share]) => share)));
  return `**The machine was not quiet**: before ${jobs.map(([job]) => `\`${job}\``).join(', ')} other work kept up to ${worst} of its processors busy. Wall times are worth little; compare the processor times.\n`;
}

function targets(results) {
  const rows = verdicts(results).map((row) => [
    JOBS[row.job],
    cell(row.against),
    row.ours,
    row.theirs,
    row.ratio?.toFixed(row.ratio < 0.1 ? 3 : 2) ?? '',
    row.most === undefined ? '' : `≤ ${row.most}`,
    word(row.met),
  ]);
  const most = memory(results);
  if (most) {
    const ratio = (most.bytes / MEMORY).toFixed(2);
    rows.push(['Memory of the server, the worst of all jobs', `${megabytes(MEMORY)} (${JOBS[most.job]})`, megabytes(most.bytes), megabytes(MEMORY), ratio, '≤ 1', word(most.met)]);
  }
  return table(['job', 'against', 'ours', 'theirs', 'ours / theirs', 'target', ''], rows);
}

function figures(ran) {
  const rows = ran.map((result) => {
    const wall = result.runs.map((run) => run.seconds);
    const stored = result.runs.some((run) => run.stored !== undefined) ? megabytes(figure(result, 'stored')) : '';
    const spread = wall.length > 1 ? `${seconds(Math.min(...wall))} – ${seconds(Math.max(...wall))}` : '';
    return [cell(result.name), seconds(figure(result)), spread, seconds(figure(result, 'cpu')), megabytes(peak(result)), stored];
  });
  return table(['', 'wall', 'range', 'user + system', 'peak memory', 'stored'], rows);
}

const reading = `What is below this heading is kept when the file is written again.

- **Restore.** Holdfast puts an environment back in place. For these rows the environment's folder lies on tmpfs or on the
  disk; it was emptied before each run, and the restore takes no safety checkpoint. The first run of each tool is compared
  with the tree, byte for byte.
- **Listing.** The server lists checkpoints from its catalogue and never needs this. What is measured is the vault's example
  program on a repository with that many snapshots, and stock restic on the same one.
- **Database.** Our run holds, besides the dump, the counting and hashing of every row for the ledger.`;
