// A PostgreSQL database of one table: dumped into the vault, then again after 1 % of its rows have changed in one place,
// then after another 1 % all over it. What counts is what the second and third copy add.

import { postgresBin } from '../../tests/lib/stack.mjs';
import { Vault } from '../holdfast.mjs';
import { compare, megabytes, shell, timed } from '../measure.mjs';

/** About 180 bytes a row in a dump, 1 GB at full size; half of them compress. */
const TABLE = (rows) => `
  create table parcels (id bigint primary key, customer int not null, sent timestamptz not null, state text not null,
    amount numeric(10, 2) not null, note text not null) with (autovacuum_enabled = off);
  insert into parcels select i, i % 77777, timestamptz '2026-01-01' + i * interval '7 seconds',
    (array['new', 'paid', 'packed', 'sent'])[1 + i % 4], (i % 9973) / 7.0,
    md5(i::text) || ' shipped with care to ' || md5((i * 7)::text) || ' and on to ' || md5((i % 5003)::text)
    from generate_series(1, ${rows}) i;
  analyze parcels;`;

export async function dump({ place, tools, scale, about }) {
  const rows = 55_000 * scale;
  // The vault's server and the cluster share one stack; the cluster is the tests' own, with a database more.
  const ours = new Vault('dump', place.next('dump'), { scale: 1 });
  const restic = tools.find((tool) => tool.name === 'restic');
  let theirs;
  try {
    await ours.init();
    const { stack } = ours;
    await stack.superuser('create database bench owner shop');
    await stack.sql(TABLE(rows), 'bench');
    const login = stack.databaseEnv('bench');
    const url = `postgres://${login.PGUSER}:${login.PGPASSWORD}@${login.PGHOST}:${login.PGPORT}/${login.PGDATABASE}`;
    await ours.apply('database', `{name: postgres, kind: postgres, url: "${url}"}`);
    const dumped = Number(await shell(`${postgresBin()}/pg_dump -Fc -Z0 | wc -c`, { env: login }));
    about(`the database: one table of ${rows.toLocaleString('en')} rows, ${megabytes(dumped)} as a dump; scattered is every hundredth row`);
    const contestants = [grows('holdfast', 'ours', ours, () => ours.create('database'))];
    if (restic) {
      theirs = restic.repository(place.next('restic'));
      await theirs.init();
      const command = `${postgresBin()}/pg_dump -Fc -Z0 | ${theirs.program} backup --quiet --stdin --stdin-filename dump.pgc`;
      const env = { ...theirs.env(), ...login };
      const run = async () => ({
        ...(await timed(['bash', '-c', `set -o pipefail; ${command}`], { env, log: theirs.log })),
        command: command.replaceAll(/\/\S*\//g, ''),
      });
      contestants.push(grows('restic', 'peer', theirs, run));
    }
    // Stored bytes are the same each time: one round, no warm-up.
    const once = { rounds: 1, warmUp: false };
    const results = await compare('dump', contestants, once);
    const change = (where) => stack.sql(`update parcels set state = 'returned', amount = amount + 1 where ${where}`, 'bench');
    await change(`id > ${rows / 2} and id <= ${rows / 2 + rows / 100}`);
    results.push(...(await compare('dump-one-place', contestants, once)));
    await change('id % 100 = 37');
    results.push(...(await compare('dump-scattered', contestants, once)));
    return results;
  } finally {
    await theirs?.drop();
    await ours.drop();
  }
}

/** A contestant whose stored bytes are what its repository has grown by. */
function grows(name, role, repository, run) {
  let before = 0;
  return {
    name,
    role,
    prepare: async () => (before = await repository.stored()),
    run,
    after: async () => (await repository.stored()) - before,
  };
}
