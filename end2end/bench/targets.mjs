// What is to be reached, and whether it was.
import { median, megabytes, seconds } from './measure.mjs';

const FASTEST = 'the fastest peer';
/** Ours in relation to theirs, in wall time unless `of` names another figure. */
const TARGETS = [
  { job: 'first', against: 'restic', most: 0.4 },
  { job: 'first', against: FASTEST, most: 0.75 },
  { job: 'first', against: 'tar | zstd', most: 1.15 },
  { job: 'unchanged', against: 'restic', most: 0.5 },
  { job: 'unchanged', against: 'find -printf', most: 2 },
  { job: 'changed', against: 'restic', most: 0.5 },
  { job: 'big', against: 'restic', most: 0.5 },
  { job: 'restore-tmpfs', against: 'restic', most: 0.6 },
  { job: 'restore-disk', against: 'cp -a', most: 1 },
  { job: 'restore-disk', against: FASTEST, most: 1 },
  { job: 'link', against: 'holdfast without delay', most: 1.2 },
  { job: 'link', against: 'restic' },
  { job: 'list', against: 'restic', most: 0.3 },
  { job: 'dump-one-place', against: 'our own first dump', of: 'stored', most: 0.03 },
  { job: 'dump-scattered', against: 'our own first dump', of: 'stored' },
  { job: 'dump-scattered', against: 'restic', of: 'stored' },
];
export const MEMORY = 256e6;

export const figure = (result, of = 'seconds') => median(result.runs.map((run) => run[of]));
export const peak = (result) => Math.max(...result.runs.map((run) => run.peak));

/** Each target whose job was run: { job, against, ours, theirs, ratio, most, met }, as text where it is for people. */
export function verdicts(results) {
  const ran = new Set(results.map((result) => result.job));
  return TARGETS.filter(({ job }) => ran.has(job)).map((target) => {
    const of = target.of ?? 'seconds';
    const show = of === 'stored' ? megabytes : seconds;
    const ours = results.find((result) => result.job === target.job && result.role === 'ours');
    const theirs = opponent(results, target);
    const row = { job: target.job, against: target.against, most: target.most, ours: ours ? show(figure(ours, of)) : '' };
    if (!ours || !theirs) return { ...row, theirs: 'not measured', met: undefined };
    const ratio = figure(ours, of) / figure(theirs, of);
    if (target.against === FASTEST) row.against = `${FASTEST} (${theirs.name})`;
    if (of === 'stored') row.against += ', stored bytes';
    return { ...row, theirs: show(figure(theirs, of)), ratio, met: target.most === undefined ? undefined : ratio <= target.most };
  });
}

function opponent(results, { job, against }) {
  if (against === 'our own first dump') return results.find((result) => result.job === 'dump' && result.role === 'ours');
  const there = results.filter((result) => result.job === job);
  if (against !== FASTEST) return there.find((result) => result.name === against);
  return there.filter((result) => result.role === 'peer').sort((a, b) => figure(a) - figure(b))[0];
}

/** The largest peak of ours over all jobs. */
export function memory(results) {
  const ours = results.filter((result) => result.role === 'ours' && result.job !== 'list');
  if (ours.length === 0) return null;
  const worst = ours.sort((a, b) => peak(b) - peak(a))[0];
  return { job: worst.job, bytes: peak(worst), met: peak(worst) <= MEMORY };
}
