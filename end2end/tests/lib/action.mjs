// action.yml carried out as GitHub would: its inputs with their defaults become variables, its one step runs in bash, and
// the next step of the job runs only if that succeeds.
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { run } from './process.mjs';
import { repository } from './stack.mjs';

const lines = readFileSync(join(repository, 'action.yml'), 'utf8').split('\n');

/** The lines below the one that is exactly `head`, as long as they are indented deeper, without that indent. */
function block(head) {
  const at = lines.indexOf(head);
  assert.ok(at >= 0 && lines.indexOf(head, at + 1) < 0, `action.yml has the line "${head}" once`);
  const deep = lines[at + 1].match(/^ */)[0].length;
  const rest = lines.slice(at + 1);
  const end = rest.findIndex((line) => line !== '' && line.match(/^ */)[0].length < deep);
  return rest.slice(0, end < 0 ? undefined : end).map((line) => line.slice(deep));
}

/** The step's script. */
export const script = block('      run: |').join('\n');

const inputs = {};
for (const line of block('inputs:')) {
  const name = line.match(/^([a-z-]+):$/)?.[1];
  if (name) inputs[name] = null;
  const given = line.match(/^ {2}default: (.*)$/)?.[1];
  if (given !== undefined) inputs[Object.keys(inputs).at(-1)] = given.replace(/^'(.*)'$/, '$1');
}
const variables = block('      env:').filter((line) => line.includes(':')).map((line) => {
  const [, variable, input] = line.match(/^([A-Z_]+): \$\{\{ inputs\.([a-z-]+) \}\}$/);
  return [variable, input];
});
export const shell = lines.find((line) => line.startsWith('      shell: '))?.split(': ')[1];

/** A GitHub event's commit, in the tags of these tests. */
export const sha = '4f3a9c1e0d5b7a6c8e9f00112233445566778899';

/**
 * A job of two steps: this action, and one that counts how often it ran. Gives the status and the log of the first, what
 * it wrote for the runner, and `next`, how often the second one ran. Options: attempt, during (called while it runs).
 */
export async function job(given, { attempt = 1, during } = {}) {
  assert.equal(shell, 'bash');
  for (const name of Object.keys(given)) assert.ok(name in inputs, `the action has the input ${name}`);
  const folder = mkdtempSync(join(process.env.HOLDFAST_TEST_DIR ?? tmpdir(), 'hf-job-'));
  const file = (name, text = '') => (writeFileSync(join(folder, name), text), join(folder, name));
  const value = (input) => (given[input] ?? inputs[input] ?? '').replaceAll('${{ github.sha }}', sha);
  const env = {
    ...Object.fromEntries(variables.map(([variable, input]) => [variable, value(input)])),
    GITHUB_RUN_ID: '17',
    GITHUB_RUN_ATTEMPT: String(attempt),
    GITHUB_STEP_SUMMARY: file('summary'),
    GITHUB_OUTPUT: file('output'),
    RUNNER_TEMP: folder,
  };
  const steps = file('job.sh', `bash --noprofile --norc -eo pipefail "$1" && echo ran >>"$2"\n`);
  try {
    const running = run('bash', [steps, file('step.sh', script), file('next')], { env, timeout: 600_000 });
    if (during) await during();
    const { status, stdout, stderr, ms } = await running;
    const read = (name) => readFileSync(join(folder, name), 'utf8');
    const output = Object.fromEntries(read('output').split('\n').filter(Boolean).map((line) => line.split(/=(.*)/, 2)));
    return { status, log: stdout + stderr, ms, summary: read('summary'), output, next: read('next').split('ran').length - 1 };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
