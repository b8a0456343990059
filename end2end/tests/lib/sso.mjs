// A server behind a real Keycloak, and people who sign in with it in a real browser: for one test file.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { launch, watched } from './browser.mjs';
import { Keycloak, password } from './keycloak.mjs';
import { down, freePort, Stack } from './stack.mjs';

export class Sso {
  /**
   * Options: name (of the folder); settings, which makes the text of holdfast.toml of a Keycloak and a stack that is not
   * yet served.
   */
  static async start({ name, settings = (keycloak) => keycloak.toml() }) {
    const sso = new Sso();
    try {
      const port = await freePort();
      sso.keycloak = await Keycloak.start({ holdfast: `http://127.0.0.1:${port}` });
      sso.stack = await Stack.start({ name, scale: 0, serve: false });
      sso.stack.port = port;
      mkdirSync(sso.stack.data, { mode: 0o700 });
      writeFileSync(join(sso.stack.data, 'holdfast.toml'), settings(sso.keycloak, sso.stack));
      sso.stack.guard('the client secret', sso.keycloak.secret);
      sso.stack.guard("a pipeline's client secret", sso.keycloak.ciSecret);
      await sso.stack.serve();
      sso.browser = await launch();
    } catch (error) {
      await sso.down();
      throw error;
    }
    return sso;
  }

  /** Whether an address is one of the server's own, but not on the way in. */
  ours = (url) => url.origin === this.stack.url && !url.pathname.startsWith('/sign-in');

  /** Fills in Keycloak's form, which knows the name already at a repetition. */
  async give(page, name, word = password(name)) {
    this.stack.guard(`the password of ${name}`, word);
    await page.locator('#password').waitFor();
    if (await page.locator('#username').isVisible()) await page.locator('#username').fill(name);
    await page.locator('#password').fill(word);
    await page.locator('[name=login]').click();
  }

  /** A browser of its own, at Keycloak's page; `problems` is what it complains about. */
  async atKeycloak(options = {}, path = '/') {
    const context = await this.browser.newContext({ viewport: { width: 1280, height: 860 }, ...options });
    const page = await context.newPage();
    const problems = watched(page, this.stack);
    await page.goto(`${this.stack.url}${path}`);
    await this.onwards(page);
    return { context, page, problems };
  }

  /** From the sign-in page to Keycloak's. */
  async onwards(page) {
    await page.getByRole('button', { name: 'Sign in with keycloak' }).click();
    await page.waitForURL(`${this.keycloak.url}/**`);
  }

  /** A browser of its own, signed in. */
  async signIn(name, options, path) {
    const at = await this.atKeycloak(options, path);
    await this.give(at.page, name);
    await at.page.waitForURL(this.ours);
    return at;
  }

  async down() {
    await this.browser?.close();
    await down(this.stack, this.keycloak);
  }
}
