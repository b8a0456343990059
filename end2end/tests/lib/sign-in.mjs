// Signs in by a one-time link the way a browser without scripts does: opens it, presses the button.
import assert from 'node:assert/strict';

export async function newLink(stack) {
  const { body } = await stack.api('POST', '/v1/sign-in-links');
  return body.url;
}

/** Gives the session cookie. */
export async function signIn(stack) {
  const link = await newLink(stack);
  const page = await fetch(link, { redirect: 'manual' });
  assert.equal(page.status, 200, 'opening the link shows a page with a button and does not use it up');
  const used = await fetch(`${stack.url}/sign-in`, {
    method: 'POST',
    redirect: 'manual',
    headers: { 'content-type': 'application/x-www-form-urlencoded', origin: stack.url, 'sec-fetch-site': 'same-origin' },
    body: new URLSearchParams({ token: new URL(link).searchParams.get('token') }),
  });
  assert.equal(used.status, 303, await used.text());
  return { cookie: used.headers.getSetCookie().map((line) => line.split(';')[0]).join('; '), link };
}
