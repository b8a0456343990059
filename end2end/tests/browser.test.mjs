// The dashboard in a real Chromium: *Back up now*, live and without scripts; accessibility; the README's pictures.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { request } from 'node:http';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';

import { axe, launch, open, picture, pictures, signedIn } from './lib/browser.mjs';
import { until } from './lib/process.mjs';
import { newLink, signIn } from './lib/sign-in.mjs';
import { Stack } from './lib/stack.mjs';

describe('the dashboard', () => {
  let stack;
  let browser;
  let environment;
  before(async () => {
    stack = await Stack.start({ name: 'browser', scale: pictures ? 60 : 10 });
    await stack.apply();
    await stack.ok('checkpoint', 'create', 'production', '--name', 'before-migration', '--tags', 'release', '--quiet');
    browser = await launch();
    environment = `${stack.url}/projects/shop/production`;
  });
  after(async () => {
    await browser?.close();
    await stack?.down();
  });

  const panel = (page) => page.locator('section.run').first();
  const steps = (page) => panel(page).locator('ol.steps .title').allInnerTexts();
  const backUp = (page) => page.getByRole('button', { name: 'Back up now' });
  const idle = () => until('nothing runs', async () => (await stack.runs()).every((run) => run.ended_at !== null), { timeout: 120_000 });
  const newest = () => stack.json('checkpoint', 'show', 'production@latest');

  test('a link signs one browser in, once; a preview does not use it up', async () => {
    const { link } = await signIn(stack);
    const again = await fetch(`${stack.url}/sign-in`, {
      method: 'POST',
      redirect: 'manual',
      headers: { 'content-type': 'application/x-www-form-urlencoded', origin: stack.url, 'sec-fetch-site': 'same-origin' },
      body: new URLSearchParams({ token: new URL(link).searchParams.get('token') }),
    });
    assert.equal(again.status, 403);
    const unknown = await fetch(`${stack.url}/`, { redirect: 'manual' });
    assert.ok([302, 303, 307].includes(unknown.status), 'whoever is not signed in is sent to the sign-in page');
  });

  test('another site cannot press its buttons', async () => {
    const { cookie } = await signIn(stack);
    const headers = { cookie, 'content-type': 'application/x-www-form-urlencoded', origin: 'http://evil.example', 'sec-fetch-site': 'cross-site' };
    const { status } = await fetch(`${stack.url}/ui/back-up`, { method: 'POST', headers, redirect: 'manual', body: 'environment=production' });
    assert.equal(status, 403);
  });

  test('the first sight is drawn by the server, and the wasm is small', async (t) => {
    const { cookie } = await signIn(stack);
    const html = await (await fetch(environment, { headers: { cookie } })).text();
    for (const text of ['production', 'Back up now', 'before-migration', 'uploads', 'postgres']) assert.ok(html.includes(text), text);
    const wasm = html.match(/\/pkg\/[^"]+\.wasm/)[0];
    const size = await new Promise((done, fail) => {
      request(`${stack.url}${wasm}`, { headers: { 'accept-encoding': 'br' } }, (response) => {
        let bytes = 0;
        assert.equal(response.headers['content-encoding'], 'br');
        assert.match(response.headers['cache-control'], /immutable/);
        response.on('data', (part) => (bytes += part.length)).on('end', () => done(bytes));
      })
        .once('error', fail)
        .end();
    });
    t.diagnostic(`wasm: ${size} bytes in brotli`);
    assert.ok(size < 250_000);
  });

  test('Back up now shows the run as it goes and ends proven; nothing is complained about', async () => {
    const { context, page, problems } = await signedIn(browser, stack);
    await open(page, environment);
    const before = (await newest()).id;
    await backUp(page).click();
    await panel(page).waitFor();
    await panel(page).getByText('Succeeded').first().waitFor({ timeout: 120_000 });
    assert.ok((await steps(page)).length > 5);
    await page.getByText(/checks equal/).first().waitFor();
    const made = await newest();
    assert.notEqual(made.id, before);
    assert.equal(made.proof, 'proven');
    assert.equal(made.trigger, 'button');
    await panel(page).getByRole('link', { name: 'Open the checkpoint' }).click();
    await page.waitForURL(`**/checkpoints/${made.id}`);
    await page.getByText('orders').first().waitFor();
    assert.deepEqual(problems, []);
    await context.close();
  });

  test('from the click to the first event of the run in under 100 ms', async (t) => {
    const { context, page } = await signedIn(browser, stack);
    await page.addInitScript(() => {
      addEventListener('click', () => (globalThis.clicked = performance.now()), { capture: true });
      const Real = globalThis.EventSource;
      globalThis.EventSource = class extends Real {
        constructor(...args) {
          super(...args);
          this.addEventListener('message', () => (globalThis.firstEvent ??= performance.now()));
        }
      };
    });
    const times = [];
    for (let attempt = 0; attempt < 5 && !(Math.min(...times) < 100); attempt += 1) {
      await idle();
      await open(page, environment);
      await backUp(page).click();
      await page.waitForFunction(() => globalThis.firstEvent !== undefined, undefined, { timeout: 10_000 });
      times.push(await page.evaluate(() => Math.round(globalThis.firstEvent - globalThis.clicked)));
      await panel(page).getByText('Succeeded').first().waitFor({ timeout: 120_000 });
    }
    t.diagnostic(`click to first event: ${times.join(', ')} ms`);
    assert.ok(Math.min(...times) < 100, `${times.join(', ')} ms`);
    await context.close();
  });

  test('a reload in the middle loses nothing', async () => {
    const { context, page } = await signedIn(browser, stack);
    const done = () => panel(page).locator('ol.steps li.good').count();
    await idle();
    await open(page, environment);
    await backUp(page).click();
    await until('some steps are done', async () => (await done()) >= 2, { every: 10 });
    const [shown, ready] = [(await steps(page)).length, await done()];
    await page.reload();
    await panel(page).waitFor();
    assert.ok((await steps(page)).length >= shown && (await done()) >= ready, 'the server draws at once what was there');
    await page.locator('html[data-hydrated]').waitFor();
    await panel(page).getByText('Succeeded').first().waitFor({ timeout: 120_000 });
    const [run] = await stack.runs();
    assert.equal(await panel(page).locator('ol.steps li.live, ol.steps li.pending, ol.steps li.bad').count(), 0);
    assert.ok((await done()) >= 12, `${await done()} steps`);
    assert.equal((await stack.api('GET', `/v1/runs/${run.id}`)).body.last_event, run.last_event);
    await context.close();
  });

  test('cancel ends the run and publishes nothing', async () => {
    const { context, page } = await signedIn(browser, stack);
    await idle();
    const before = (await newest()).id;
    await open(page, environment);
    await backUp(page).click();
    await panel(page).getByRole('button', { name: 'Cancel' }).click();
    await panel(page).getByText('Cancelled').first().waitFor({ timeout: 60_000 });
    assert.equal((await newest()).id, before);
    await context.close();
  });

  test('everything works as plain forms, without any script', async () => {
    const { context, page } = await signedIn(browser, stack, { javaScriptEnabled: false });
    const before = (await newest()).id;
    await page.goto(environment);
    await page.locator('summary', { hasText: 'Name, tags' }).click();
    await page.getByLabel('Name', { exact: true }).fill('without-scripts');
    await page.getByLabel('Tags').fill('plain, forms');
    await backUp(page).click();
    await page.waitForLoadState();
    assert.ok(page.url().startsWith(stack.url));
    await until(
      'the checkpoint is there',
      async () => (await newest()).id !== before,
      { timeout: 120_000, every: 300 },
    );
    const made = await newest();
    assert.equal(made.name, 'without-scripts');
    assert.deepEqual(made.tags.toSorted(), ['forms', 'plain']);
    await page.goto(environment);
    await page.getByText('without-scripts').first().waitFor();
    await page.goto(`${stack.url}/checkpoints/${made.id}`);
    await page.getByRole('button', { name: /drill/i }).first().click();
    await page.waitForLoadState();
    const drilled = (run) => run.kind === 'drill' && run.checkpoint === made.id && run.state === 'succeeded';
    await until('the drill has run', async () => (await stack.runs()).some(drilled), { timeout: 120_000 });
    await page.goto(`${stack.url}/checkpoints/${made.id}`);
    const [download] = await Promise.all([page.waitForEvent('download'), page.getByRole('link', { name: 'Download the report' }).click()]);
    assert.equal(download.suggestedFilename(), `${made.id}-drill.json`);
    const evidence = JSON.parse(await readFile(await download.path(), 'utf8'));
    assert.equal(evidence.checkpoint, made.id);
    assert.equal(evidence.drill.verdict, 'proven');
    assert.ok(evidence.drill.components.every((component) => component.checks.length > 0));
    await context.close();
  });

  for (const colorScheme of ['light', 'dark']) {
    for (const width of [360, 1440]) {
      test(`axe finds nothing, ${colorScheme}, ${width} pixels wide; nothing overflows`, async () => {
        const { context, page } = await signedIn(browser, stack, { colorScheme, viewport: { width, height: 900 }, bypassCSP: true });
        const { id } = await newest();
        for (const path of ['/', '/projects/shop/production', `/checkpoints/${id}`, `/checkpoints/${id}/restore`, '/projects/shop', '/activity']) {
          await open(page, stack.url + path);
          assert.deepEqual(await axe(page), [], path);
          const overflow = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
          assert.ok(overflow <= 0, `${path} is ${overflow} px too wide`);
        }
        await page.goto(await newLink(stack));
        assert.deepEqual(await axe(page), [], 'the sign-in page');
        await context.close();
      });
    }
  }

  test('pictures for the README', { skip: !pictures && 'only on demand: make screenshots' }, async () => {
    for (const colorScheme of ['light', 'dark']) {
      const { context, page } = await signedIn(browser, stack, { colorScheme, viewport: { width: 1200, height: 800 } });
      const take = (name) => picture(page, name, colorScheme);
      await open(page, `${stack.url}/`);
      await take('overview');
      await open(page, `${stack.url}/checkpoints/${(await newest()).id}`);
      await take('checkpoint');
      await open(page, environment);
      await backUp(page).click();
      await panel(page).waitFor();
      await until('it drills', async () => (await steps(page)).some((step) => /drill|restor/i.test(step)) && (await steps(page)).length > 8, { every: 20 });
      await take('environment');
      await panel(page).getByText('Succeeded').first().waitFor({ timeout: 120_000 });
      await context.close();
    }
  });
});
