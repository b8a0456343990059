// Databases of applications that other people wrote, each owned by a role that is no superuser: checkpointed and proven.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';

import { environment, must, until } from './lib/process.mjs';
import { Stack, freePort, repository } from './lib/stack.mjs';

const tools = join(repository, 'target/tools');
const python = (name, program) => join(tools, 'python', name, 'bin', program);

/** Each makes its tables and some data of its own in a fresh database, by its own means. */
const applications = {
  buildbot: {
    program: python('buildbot', 'buildbot'),
    async fill({ url, folder, program }) {
      const { hostname, port, username, password, pathname } = new URL(url);
      const db = `postgresql+psycopg2://${username}:${password}@${hostname}:${port}${pathname}`;
      await must(program, ['create-master', `--db=${db}`, folder], { timeout: 300_000 });
    },
  },
  wagtail: {
    program: python('wagtail', 'wagtail'),
    async fill({ url, folder, program }) {
      mkdirSync(folder);
      await must(program, ['start', 'site1', folder]);
      const { hostname, port, username, password, pathname } = new URL(url);
      const manage = (args, input) =>
        must(python('wagtail', 'python'), ['manage.py', ...args], {
          cwd: folder,
          input,
          timeout: 300_000,
          env: { DJANGO_SETTINGS_MODULE: 'site1.settings.shop', DJANGO_SUPERUSER_PASSWORD: 'only-for-the-test' },
        });
      writeFileSync(
        join(folder, 'site1/settings/shop.py'),
        `from .dev import *\nDATABASES = {"default": {"ENGINE": "django.db.backends.postgresql", "NAME": "${pathname.slice(1)}", "HOST": "${hostname}", "PORT": "${port}", "USER": "${username}", "PASSWORD": "${password}"}}\n`,
      );
      await manage(['migrate', '--no-input', '-v', '0']);
      await manage(['createsuperuser', '--no-input', '--username', 'robin', '--email', 'robin@example.org']);
      await manage(['update_index', '-v', '0']);
    },
  },
  miniflux: {
    program: join(tools, 'bin/miniflux-2.2.13'),
    async fill({ url, program }) {
      const address = `127.0.0.1:${await freePort()}`;
      const env = environment({
        DATABASE_URL: `${url}?sslmode=disable`,
        LISTEN_ADDR: address,
        RUN_MIGRATIONS: '1',
        CREATE_ADMIN: '1',
        ADMIN_USERNAME: 'robin',
        ADMIN_PASSWORD: 'only-for-the-test',
      });
      const server = spawn(program, [], { env, stdio: 'ignore' });
      try {
        await until('miniflux answers', async () => (await fetch(`http://${address}/healthcheck`)).ok);
        const authorization = `Basic ${Buffer.from('robin:only-for-the-test').toString('base64')}`;
        for (let number = 1; number <= 50; number += 1) {
          const made = await fetch(`http://${address}/v1/categories`, {
            method: 'POST',
            headers: { authorization, 'content-type': 'application/json' },
            body: JSON.stringify({ title: `Category ${number}` }),
          });
          assert.equal(made.status, 201);
        }
      } finally {
        server.kill();
        await new Promise((done) => server.once('exit', done));
      }
    },
  },
};

describe("other people's applications", () => {
  let stack;
  before(async () => (stack = await Stack.start({ name: 'apps', scale: 1 })));
  after(() => stack?.down());

  test('at least two of them are here', () => {
    assert.ok(Object.values(applications).filter(({ program }) => existsSync(program)).length >= 2);
  });

  for (const [name, application] of Object.entries(applications)) {
    test(`${name} is proven, and again after a restore`, { skip: !existsSync(application.program) && 'not installed here' }, async (t) => {
      const password = `pw-${name}-0123456789`;
      await stack.superuser(`create role ${name} login createdb password '${password}'`);
      await stack.superuser(`create database ${name} owner ${name}`);
      const url = `postgres://${name}:${password}@127.0.0.1:${stack.databaseEnv().PGPORT}/${name}`;
      await application.fill({ url, folder: join(stack.home, name), program: application.program });
      const file = join(stack.home, `${name}.yaml`);
      writeFileSync(file, `project: ${name}\nenvironment: ${name}\ncomponents:\n  - {name: postgres, kind: postgres, url: "${url}"}\n`, { mode: 0o600 });
      await stack.apply(file);
      const first = await stack.json('checkpoint', 'create', name);
      assert.equal(first.proof, 'proven');
      const tables = Object.entries(first.ledger.postgres);
      t.diagnostic(`${tables.length} tables, ${tables.reduce((sum, [, facts]) => sum + facts.rows, 0)} rows, drill ${first.drill.duration_ms} ms`);
      assert.ok(tables.length > 10);
      await stack.ok('checkpoint', 'restore', first.id, '--no-backup', '--yes');
      const second = await stack.json('checkpoint', 'create', name);
      assert.equal(second.proof, 'proven');
      assert.deepEqual(second.ledger.postgres, first.ledger.postgres);
    });
  }
});
