// A real Chromium against a real server.
import { mkdirSync, readFileSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';

import { chromium } from 'playwright-core';

import { sleep } from './process.mjs';
import { newLink } from './sign-in.mjs';
import { repository } from './stack.mjs';

const axeSource = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

export const launch = () =>
  chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: [
      ...(process.getuid() === 0 ? ['--no-sandbox'] : []),
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
      '--disable-dev-shm-usage',
    ],
  });

/**
 * Collects what the browser complains about on the server's pages: script errors, refused content, failed requests. What
 * it receives is looked through for secrets.
 */
export function watched(page, stack) {
  const problems = [];
  // An identity provider's own pages may say what they like.
  const ours = (url) => url === '' || url.startsWith(stack.url);
  page.on('pageerror', (error) => problems.push(`script: ${error.message}`));
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type()) && ours(message.location().url)) problems.push(`console: ${message.text()}`);
  });
  page.on('response', (response) => {
    if (!ours(response.url())) return;
    if (response.status() >= 500) problems.push(`${response.status()} ${response.url()}`);
    // A stream of events ends with its page.
    if (/html|json|plain/.test(response.headers()['content-type'])) stack.lookLater(response.url(), response.text());
  });
  return problems;
}

/** A signed-in page; `problems` is what the browser complains about. */
export async function signedIn(browser, stack, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 860 }, ...options });
  const page = await context.newPage();
  const problems = watched(page, stack);
  await page.goto(await newLink(stack));
  await page.getByRole('button', { name: /sign in/i }).click();
  await page.waitForURL((url) => !url.pathname.startsWith('/sign-in'));
  return { context, page, problems };
}

/** Opens a page and waits until its scripts are alive. */
export async function open(page, url) {
  await page.goto(url);
  await page.locator('html[data-hydrated]').waitFor();
}

/** Where pictures for the README go, when they are asked for. */
export const pictures = process.env.HOLDFAST_SCREENSHOTS && resolve(repository, process.env.HOLDFAST_SCREENSHOTS);

/** Takes one picture for the README. */
export async function picture(page, name, colorScheme) {
  mkdirSync(pictures, { recursive: true });
  await sleep(300);
  const path = join(pictures, `${name}-${colorScheme}.png`);
  await page.screenshot({ path, animations: 'disabled' });
  const { size } = statSync(path);
  if (size > 200_000) throw new Error(`${path} is ${size} bytes`);
}

/** What axe finds, one line each. */
export async function axe(page) {
  await page.evaluate(axeSource);
  const { violations } = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ['violations'] }));
  return violations.flatMap((found) => found.nodes.map((node) => `${found.id}: ${node.target.join(' ')} (${found.help})`));
}
