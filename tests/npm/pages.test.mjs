// The pages behind the links of mails where an application has none of its own: in a real browser that runs no scripts.
import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';
import { startBrowser } from './support/browser.mjs';
import { assertKnownError, freshEmail, PASSWORD } from './support/check.mjs';
import { baseUrl } from './support/env.mjs';
import { clientHeaders, graphql } from './support/graphql.mjs';
import { barriers, faintTexts } from './support/looks.mjs';
import { linkIn, newestMailTo } from './support/mailbox.mjs';
import { freshProject, signedInMember } from './support/project.mjs';
import { clientApp, newestSdk } from './support/sdk.mjs';
import { userOfToken } from './support/sign_in.mjs';

const SIGN_IN_PAGE = `${baseUrl}/verify/sign-in`;
const PASSWORD_PAGE = `${baseUrl}/verify/password`;
const HOSTILE = `<img src=x onerror=top.hit=1><script>top.hit=1</script>"'&amp;`;
const NEW_PASSWORD = 'staple battery horse correct';
/** For a browser eight characters, for people four. */
const SHORT_PASSWORD = '🐎🔋🐎🔋';
const UNKNOWN_CODE = '0'.repeat(45);

describe('the pages behind the links of mails', () => {
  let browser;
  let page;
  let project;
  before(async () => {
    browser = await startBrowser({ javaScriptEnabled: false });
    project = await freshProject(newestSdk, { displayName: `Shop ${HOSTILE}` });
    await project.ownedProject.updateConfig({ 'auth.otp.allowSignIn': true });
  });
  after(() => browser?.close());
  beforeEach(async () => {
    browser.faults.length = 0;
    page = await browser.context.newPage();
    page.setDefaultTimeout(15_000);
  });
  afterEach(() => page.close());

  const title = () => page.locator('h1').textContent();
  const opened = async (address) => [(await page.goto(String(address))).status(), await title()];
  const password = () => page.getByLabel('New password');
  const changeButton = () => page.getByRole('button', { name: 'Change my password' });
  const hasFocus = (locator) => locator.evaluate((element) => element === document.activeElement && element.matches(':focus-visible'));
  const signIn = (email, secret) => clientApp(newestSdk, project).signInWithCredential({ email, password: secret, noRedirect: true });

  /** Nothing went wrong but answers of these statuses. */
  function onlyAnswers(...statuses) {
    const expected = new RegExp(`^((${statuses.join('|')}): |console: .* a status of (${statuses.join('|')}) )`);
    assert.deepEqual(browser.faults.filter((fault) => !expected.test(fault)), []);
  }

  /** Asks for a link to sign in, as only GraphQL lets an application without pages of its own. */
  async function signInLink(email = freshEmail()) {
    const mutation = 'mutation ($email: String!) { sendMagicLink(input: { email: $email }) { nonce } }';
    const { nonce } = (await graphql(clientHeaders(project), mutation, { email })).sendMagicLink;
    const mail = await newestMailTo(email);
    return { email, nonce, mail, link: linkIn(mail, SIGN_IN_PAGE) };
  }

  /** Asks for a link to choose a new password. */
  async function passwordLink(email) {
    const mutation = 'mutation ($email: String!) { sendPasswordReset(input: { email: $email }) { success } }';
    assert.deepEqual((await graphql(clientHeaders(project), mutation, { email })).sendPasswordReset, { success: true });
    return linkIn(await newestMailTo(email), PASSWORD_PAGE);
  }

  const member = () => signedInMember(newestSdk, project, 'Ada', { primaryEmailVerified: true });

  test('the link of a sign-in mail shows the code, to be typed where it was asked for', async () => {
    const { email, nonce, mail, link } = await signInLink();
    const code = link.searchParams.get('code').slice(0, 6).toUpperCase();
    assert.ok(mail.subject.includes(code));
    // Opened again, or by a program that looks for harm in mails, it uses nothing up.
    for (let times = 0; times < 3; times += 1) assert.deepEqual(await opened(link), [200, `Your code is ${code}`]);
    assert.equal(await page.title(), `Your code is ${code} · Shop ${HOSTILE}`);
    assert.equal(await page.getByRole('button').count(), 0);
    await page.getByText('type it there').waitFor();
    browser.assertNoFaults();

    const app = clientApp(newestSdk, project);
    assert.equal((await app.signInWithMagicLink(code + nonce, { noRedirect: true })).status, 'ok');
    assert.equal((await app.getUser({ or: 'throw' })).primaryEmail, email);
    assert.deepEqual(await opened(link), [409, 'This link was used already']);
    onlyAnswers(409);
  });

  test('a new password is chosen by keyboard, and ends all sessions', async () => {
    const { app, email, created } = await member();
    const { refreshToken } = await app.getAuthJson();
    const link = await passwordLink(email);
    assert.deepEqual(await opened(link), [200, 'Choose a new password']);
    assert.ok(await hasFocus(password()));
    assert.equal(await password().getAttribute('autocomplete'), 'new-password');
    await page.keyboard.type(NEW_PASSWORD);
    await page.keyboard.press('Tab');
    assert.ok(await hasFocus(changeButton()));
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: 'Your password is changed' }).waitFor();
    assert.equal(page.url(), PASSWORD_PAGE, 'the code is in the address no more');
    browser.assertNoFaults();

    assert.equal(await userOfToken(newestSdk, project, refreshToken), null);
    assertKnownError(newestSdk, (await signIn(email, PASSWORD)).error, 'EmailPasswordMismatch');
    const again = clientApp(newestSdk, project);
    assert.equal((await again.signInWithCredential({ email, password: NEW_PASSWORD, noRedirect: true })).status, 'ok');
    assert.equal((await again.getUser({ or: 'throw' })).id, created.id);
    assert.deepEqual(await opened(link), [409, 'This link was used already']);
    onlyAnswers(409);
  });

  test('a short password is not taken, and the link stays good', async () => {
    const { email } = await member();
    const link = await passwordLink(email);
    await page.goto(link.href);
    await page.keyboard.type('1234567');
    await page.keyboard.press('Enter');
    assert.ok(await password().evaluate((input) => input.matches(':user-invalid')), 'the browser says so at once');
    assert.equal(page.url(), link.href);

    // Browsers count otherwise than people do, so the server says so as well.
    await password().fill(SHORT_PASSWORD);
    await changeButton().click();
    const alert = page.getByRole('alert');
    await alert.waitFor();
    assert.match(await alert.textContent(), /8 characters/);
    assert.equal(await password().getAttribute('aria-invalid'), 'true');
    assert.equal(await password().inputValue(), '', 'a password is not sent back');
    assert.ok(await hasFocus(password()));
    await assertLooksGood(page);
    assert.equal((await signIn(email, PASSWORD)).status, 'ok', 'nothing is changed');

    assert.deepEqual(await opened(link), [200, 'Choose a new password']);
    await password().fill(SHORT_PASSWORD);
    await page.keyboard.press('Enter');
    await alert.waitFor();
    await password().fill(NEW_PASSWORD);
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: 'Your password is changed' }).waitFor();
    assert.equal((await signIn(email, NEW_PASSWORD)).status, 'ok');
    onlyAnswers(400);
  });

  test('a link that does not work says why', async () => {
    const { link: forSignIn } = await signInLink();
    const reset = await passwordLink((await member()).email);
    for (const [path, good, other] of [[SIGN_IN_PAGE, forSignIn, reset], [PASSWORD_PAGE, reset, forSignIn]]) {
      const parts = Object.fromEntries(good.searchParams);
      const changed = (change) => `${path}?${new URLSearchParams({ ...parts, ...change })}`;
      const without = (part) => `${path}?${new URLSearchParams(Object.entries(parts).filter(([name]) => name !== part))}`;
      assert.deepEqual(await opened(changed({ code: UNKNOWN_CODE })), [404, 'This link does not work'], path);
      assert.deepEqual(await opened(changed({ code: 'cut-off' })), [400, 'This link does not work'], path);
      assert.deepEqual(await opened(changed({ code: other.searchParams.get('code') })), [404, 'This link does not work'], path);
      await page.getByText('Please ask for a new').waitFor();
      assert.deepEqual(await opened(without('code')), [400, 'This link is not complete'], path);
      assert.deepEqual(await opened(without('project_id')), [400, 'This link is not complete'], path);
      assert.deepEqual(await opened(changed({ project_id: 'nonsense' })), [400, 'This link is not complete'], path);
      // Programs that check mails open links by themselves, as often as they like; who guesses at the rest of a code may not.
      for (let count = 0; count < 25; count += 1) await (await fetch(good)).text();
      assert.deepEqual((await opened(good))[0], 200, path);
      const guess = changed({ code: `000000${good.searchParams.get('code').slice(6)}` });
      for (let count = 0; count < 21; count += 1) await (await fetch(new URL(guess, good))).text();
      assert.deepEqual(await opened(good), [400, 'This link was tried too often'], path);
      await assertLooksGood(page);
    }
    onlyAnswers(400, 404);
  });

  test('where passwords or codes are off, the links lead nowhere', async () => {
    const { email } = await member();
    const link = await passwordLink(email);
    const { link: forSignIn } = await signInLink();
    await page.goto(link.href);
    await project.ownedProject.updateConfig({ 'auth.password.allowSignIn': false, 'auth.otp.allowSignIn': false });
    try {
      await password().fill(NEW_PASSWORD);
      await changeButton().click();
      await page.getByText('This application has no passwords any more.').waitFor();
      assert.deepEqual(await opened(forSignIn), [403, 'This link does not work']);
    } finally {
      await project.ownedProject.updateConfig({ 'auth.password.allowSignIn': true, 'auth.otp.allowSignIn': true });
    }
    onlyAnswers(400, 403);
  });

  test('names that are markup are shown as they are, nothing runs and nobody is told', async () => {
    const { link } = await signInLink();
    const { email } = await member();
    for (const address of [link, await passwordLink(email)]) {
      const answer = await page.goto(address.href);
      assert.equal(await page.locator('.project').textContent(), `Shop ${HOSTILE}`);
      assert.equal(await page.locator('script, img, iframe, link, [onload], [onerror]').count(), 0);
      const headers = answer.headers();
      const policy = new Map(headers['content-security-policy'].split(/;\s*/).map((part) => [part.split(' ')[0], part]));
      assert.equal(policy.get('default-src'), "default-src 'none'");
      assert.equal(policy.has('script-src'), false);
      assert.match(policy.get('style-src'), /^style-src 'nonce-[^' ]+'$/);
      assert.equal(policy.get('form-action'), "form-action 'self'");
      assert.equal(policy.get('base-uri'), "base-uri 'none'");
      assert.equal(policy.get('frame-ancestors'), "frame-ancestors 'none'");
      assert.equal(headers['x-content-type-options'], 'nosniff');
      assert.equal(headers['referrer-policy'], 'no-referrer');
      assert.match(headers['cache-control'], /no-store/);
      assert.equal(headers['set-cookie'], undefined);
    }
    browser.assertNoFaults();
  });

  test('they are readable in light and dark, on a phone and on a desk, by eye and by ear', async () => {
    const { link } = await signInLink();
    const { email } = await member();
    const reset = await passwordLink(email);
    const unknown = `${SIGN_IN_PAGE}?project_id=${project.projectId}&code=${UNKNOWN_CODE}`;
    for (const address of [link, reset, unknown, `${PASSWORD_PAGE}?code=x`]) {
      await page.goto(String(address));
      await assertLooksGood(page);
    }
    await page.goto(reset.href);
    await password().fill(NEW_PASSWORD);
    await changeButton().click();
    await page.getByRole('heading', { name: 'Your password is changed' }).waitFor();
    await assertLooksGood(page);
    onlyAnswers(400, 404);
  });
});

/** Measures the page at several widths and in both colour schemes. */
async function assertLooksGood(page) {
  const title = await page.title();
  for (const [width, height] of [[375, 700], [320, 600], [1280, 900]]) {
    await page.setViewportSize({ width, height });
    assert.deepEqual(await barriers(page), [], `${title} at ${width}`);
  }
  const grounds = [];
  for (const colorScheme of ['light', 'dark']) {
    await page.emulateMedia({ colorScheme });
    assert.deepEqual(await faintTexts(page), [], `${title} in ${colorScheme}`);
    grounds.push(await page.evaluate(() => getComputedStyle(document.body).backgroundColor));
  }
  assert.notEqual(grounds[0], grounds[1], 'light and dark differ');
}
