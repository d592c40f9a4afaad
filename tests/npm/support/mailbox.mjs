// The local mailbox, in which the server catches mails instead of sending them.
import assert from 'node:assert/strict';
import { mailboxUrl } from './env.mjs';
import { eventually, RANDOM_45 } from './check.mjs';

/** Mails to this address, newest first: `{id, to, subject, html, text, received_at_millis}`. */
export async function mailsTo(address) {
  const response = await fetch(`${mailboxUrl}/api/messages?to=${encodeURIComponent(address)}`);
  assert.equal(response.status, 200);
  return (await response.json()).items;
}

/** Waits until at least `count` mails to the address arrived and answers the newest. */
export async function newestMailTo(address, { count = 1 } = {}) {
  const mails = await eventually(`mail number ${count} to ${address}`, async () => {
    const items = await mailsTo(address);
    return items.length >= count ? items : null;
  });
  return mails[0];
}

/** The link to `callbackUrl` with a one-time code in the mail, as a URL; the text and the HTML part must agree on it. */
export function linkIn(mail, callbackUrl) {
  const link = (body) => {
    const urls = body.replaceAll('&amp;', '&').match(/https?:\/\/[^\s"'<>]+/g) ?? [];
    return urls.map((url) => new URL(url)).find((url) => `${url.origin}${url.pathname}` === callbackUrl && url.searchParams.has('code'));
  };
  const found = link(mail.text);
  assert.ok(found, `the text part links to ${callbackUrl}:\n${mail.text}`);
  assert.match(found.searchParams.get('code'), RANDOM_45);
  assert.equal(link(mail.html)?.href, found.href, 'the HTML part carries the same link');
  return found;
}

/** The one-time code of that link. */
export const codeIn = (mail, callbackUrl) => linkIn(mail, callbackUrl).searchParams.get('code');
