// The shop's web process: says how the shop is doing, from its database and its uploads.
// GET /healthz answers 200 only if the queries that the shop lives on work.
import { execFile } from 'node:child_process';
import { readFileSync, readdirSync } from 'node:fs';
import { createServer } from 'node:http';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const home = dirname(fileURLToPath(import.meta.url));
const settings = Object.fromEntries(
  readFileSync(join(home, '.env'), 'utf8')
    .split('\n')
    .filter((line) => /^\w+=/.test(line))
    .map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1).replace(/^"|"$/g, '')]),
);

// The password goes by the environment: arguments can be seen by every user of the machine.
const url = new URL(settings.DATABASE_URL);
const database = {
  PATH: process.env.PATH,
  PGHOST: url.hostname,
  PGPORT: url.port,
  PGUSER: url.username,
  PGPASSWORD: decodeURIComponent(url.password),
  PGDATABASE: url.pathname.slice(1),
  PGCONNECT_TIMEOUT: '3',
};

const ask = (sql) =>
  new Promise((resolve, reject) => {
    execFile('psql', ['-XAtqc', sql], { env: database, timeout: 10_000 }, (error, stdout, stderr) =>
      error ? reject(new Error(stderr.trim() || error.message)) : resolve(stdout.trim()),
    );
  });

createServer(async (request, response) => {
  try {
    const [orders, reachable] = (
      await ask('select (select count(*) from orders), (select count(email) from customers)')
    ).split('|');
    const uploads = readdirSync(join(home, 'uploads'), { recursive: true }).length;
    response.writeHead(200, { 'content-type': 'text/plain' });
    response.end(`${orders} orders, ${reachable} customers who can be written to, ${uploads} uploads\n`);
  } catch (error) {
    response.writeHead(500, { 'content-type': 'text/plain' });
    response.end(`${error.message}\n`);
  }
}).listen(Number(settings.PORT), '127.0.0.1');
