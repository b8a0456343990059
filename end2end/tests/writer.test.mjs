// While the shop's database keeps changing, every checkpoint is one moment of it, and proven.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { after, before, describe, test } from 'node:test';

import { environment } from './lib/process.mjs';
import { Stack } from './lib/stack.mjs';

const wanted = Number(process.env.HOLDFAST_TEST_CHECKPOINTS ?? 50);

describe('under writers', () => {
  let stack;
  before(async () => {
    stack = await Stack.start({ name: 'writer', scale: 5 });
    await stack.apply();
  });
  after(() => stack?.down());

  test(`${wanted} checkpoints in a row are proven`, async (t) => {
    const stop = stack.writer();
    const orders = new Set();
    const before = await stack.sql('select max(id) from orders');
    for (let number = 1; number <= wanted; number += 1) {
      const made = await stack.cli('checkpoint', 'create', 'production', '--json');
      assert.equal(made.status, 0, `checkpoint ${number}\n${made.stderr}`);
      const shown = JSON.parse(made.stdout);
      assert.equal(shown.proof, 'proven', `checkpoint ${number}`);
      orders.add(shown.ledger.postgres['public.orders'].hash);
    }
    const after = await stack.sql('select max(id) from orders');
    await stop();
    t.diagnostic(`${after - before} orders were placed meanwhile`);
    assert.ok(orders.size > wanted / 2, 'the orders changed between the checkpoints');
  });

  test('a table that is emptied and filled again all the time is never sealed empty', async (t) => {
    await stack.sql('create table flicker (n integer primary key, filler text)');
    await stack.sql("insert into flicker select n, 'x' from generate_series(1, 1000) n");
    // At every committed moment the table has exactly 1000 rows; an older snapshot that meets the truncate sees none.
    const flicker = spawn(
      'bash',
      ['-c', `while :; do echo "begin; truncate flicker; insert into flicker select n, md5(n::text) from generate_series(1, 1000) n; commit;
         begin; alter table flicker alter filler type varchar(99); commit; begin; alter table flicker alter filler type text using filler || ''; commit;"; sleep 0.3; done | psql -Xq`],
      { env: environment(stack.databaseEnv()), stdio: 'ignore', detached: true },
    );
    try {
      let sealed = 0;
      for (let number = 0; number < 10; number += 1) {
        const made = await stack.cli('checkpoint', 'create', 'production', '--components', 'postgres', '--json');
        if (made.status === 1) {
          // It may give up on a table that is never quiet, but must not lie.
          t.diagnostic(made.stderr.split('\n').find((line) => line.startsWith('error')) ?? made.stderr);
          continue;
        }
        const shown = JSON.parse(made.stdout);
        sealed += 1;
        if (shown.proof === 'proven') assert.equal(shown.ledger.postgres['public.flicker'].rows, 1000);
      }
      t.diagnostic(`${sealed} of 10 were sealed`);
      assert.ok(sealed > 0);
    } finally {
      process.kill(-flicker.pid, 'SIGKILL');
    }
  });
});
