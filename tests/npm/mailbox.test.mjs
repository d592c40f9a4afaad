// The mailbox page of local mode in a real browser: how mails arrive, are read, found and deleted, and that they run nothing.
import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';
import { startBrowser } from './support/browser.mjs';
import { CALLBACK_URL, eventually, freshEmail, PASSWORD } from './support/check.mjs';
import { demo, mailboxUrl } from './support/env.mjs';
import { mailsTo, newestMailTo } from './support/mailbox.mjs';
import { freshProject } from './support/project.mjs';
import { rest } from './support/rest.mjs';
import { newestSdk, serverApp } from './support/sdk.mjs';

/** Has two mails sent to a new address, one after the other: to verify it, then to reset the password. */
async function withTwoMails() {
  const email = freshEmail('reader');
  await signUp(email);
  await newestMailTo(email);
  await forgetPassword(email);
  await newestMailTo(email, { count: 2 });
  return email;
}

async function signUp(email) {
  const json = { email, password: PASSWORD, verification_callback_url: CALLBACK_URL };
  const { status, body } = await rest('POST', '/auth/password/sign-up', { project: demo, json });
  assert.equal(status, 200, JSON.stringify(body));
}

async function forgetPassword(email) {
  const json = { email, callback_url: CALLBACK_URL };
  const { status, body } = await rest('POST', '/auth/password/send-reset-code', { project: demo, json });
  assert.equal(status, 200, JSON.stringify(body));
}

describe('the mailbox page', () => {
  let browser;
  let page;
  before(async () => {
    browser = await startBrowser();
  });
  after(() => browser?.close());
  beforeEach(async () => {
    browser.faults.length = 0;
    page = await browser.context.newPage();
  });
  afterEach(() => page.close());

  const search = () => page.getByRole('searchbox', { name: 'Search messages' });
  const entries = () => page.locator('#messages button');
  const chosen = () => page.locator('#messages button[aria-current="true"]');
  const tab = (name) => page.getByRole('tab', { name, exact: true });
  const inMail = (selector) => page.frameLocator('#frame').locator(selector);
  const reader = () => page.locator('#reader');

  /** Opens the page with only the mails to `email` listed; other suites may have theirs in the same mailbox. */
  async function openFor(email, count) {
    await page.goto(mailboxUrl);
    await search().fill(email);
    await page.waitForFunction((wanted) => document.querySelectorAll('#messages button').length === wanted, count);
    await search().press('Tab');
  }

  /** Does what opens the mail with this subject, and waits until it is there with what its frame shows. */
  async function opening(subject, act) {
    const loaded = page.waitForEvent('requestfinished', (request) => request.url().startsWith(`${mailboxUrl}/messages/`));
    await act();
    await page.locator('#subject', { hasText: subject }).waitFor();
    await loaded;
    await inMail('h1').waitFor({ state: 'attached' });
  }

  /** Waits until exactly these mails are listed, newest first. */
  async function listed(subjects) {
    await eventually(`the list of ${JSON.stringify(subjects)}`, async () => {
      const texts = await entries().locator('.subject').allTextContents();
      return texts.length === subjects.length && texts.every((text, place) => text.includes(subjects[place]));
    });
  }

  /** The name of the view that is shown, the only one. */
  async function view() {
    const selected = await page.locator('[role=tab][aria-selected=true]').allTextContents();
    const panels = await page.locator('[role=tabpanel]:not([hidden])').evaluateAll((all) => all.map(({ id }) => id));
    assert.equal(selected.length, 1);
    assert.deepEqual(panels, [`panel-${selected[0].toLowerCase()}`]);
    return selected[0];
  }

  test('a mail appears by itself, unread, is announced and read', async () => {
    const email = freshEmail('reader');
    await signUp(email);
    await openFor(email, 1);
    await forgetPassword(email);
    await listed(['Reset your password', 'Verify your email']);
    await page.locator('#news', { hasText: /^New message: / }).waitFor({ state: 'attached' });
    assert.match(await page.title(), /^\(\d+\) Mailbox/);
    assert.equal(await page.locator('#messages .unread').count(), 2);

    await opening('Reset your password', () => entries().first().click());
    assert.equal(await page.locator('#to').textContent(), email);
    assert.equal(await page.locator('#messages .unread').count(), 1);
    assert.equal(await chosen().locator('.subject').textContent(), await page.locator('#subject').textContent());
    // The address of the page names the mail: loaded again, it shows the same.
    await opening('Reset your password', () => page.reload());
    browser.assertNoFaults();
  });

  test('a mail is seen as HTML, as text and as source', async () => {
    const email = await withTwoMails();
    const [reset] = await mailsTo(email);
    await openFor(email, 2);
    await opening('Reset your password', () => entries().first().click());
    assert.equal(await view(), 'HTML');
    assert.match(await inMail('a[href*="code="]').first().getAttribute('href'), /^http:\/\/localhost:3000\/.*code=[0-9a-z]{45}/);

    await tab('Text').click();
    assert.equal(await view(), 'Text');
    assert.equal(await page.locator('#text').textContent(), reset.text);
    await tab('Source').click();
    assert.equal(await view(), 'Source');
    assert.equal(await page.locator('#source').textContent(), reset.html);

    // The arrow keys of a tab list, round and round.
    await tab('Source').press('ArrowRight');
    assert.equal(await view(), 'HTML');
    await tab('HTML').press('ArrowLeft');
    assert.equal(await view(), 'Source');
    // The next mail is shown in the same view.
    await opening('Verify your email', () => entries().nth(1).click());
    assert.equal(await view(), 'Source');
    browser.assertNoFaults();
  });

  test('the search finds by address, subject and text, in any order of words', async () => {
    const email = await withTwoMails();
    await openFor(email, 2);
    for (const [words, subjects] of [
      [`PASSWORD ${email}`, ['Reset your password']],
      [`${email} verify`, ['Verify your email']],
      [`${email} "confirm`, []],
      [`${email} please confirm`, ['Verify your email']],
      [`${email} <b>`, []],
    ]) {
      await search().fill(words);
      await listed(subjects);
      assert.equal(await page.locator('#no-hits').isVisible(), subjects.length === 0, words);
    }
    await search().press('Escape');
    assert.equal(await search().inputValue(), '');
    assert.ok((await entries().count()) >= 2);
    browser.assertNoFaults();
  });

  test('everything is done by keyboard', async () => {
    const email = await withTwoMails();
    await openFor(email, 2);
    const press = (key) => page.keyboard.press(key);

    await press('/');
    assert.ok(await search().evaluate((element) => element === document.activeElement));
    // In the search the keys are text: nothing is chosen, nothing deleted.
    await press('End');
    await page.keyboard.type('123/j');
    await press('Delete');
    assert.equal(await search().inputValue(), `${email}123/j`);
    assert.equal(await reader().isVisible(), false);
    await search().fill(email);
    await opening('Reset your password', () => press('ArrowDown'));
    for (const [key, text] of [
      ['ArrowDown', 'Verify your email'],
      ['ArrowDown', 'Verify your email'],
      ['ArrowUp', 'Reset your password'],
      ['ArrowUp', 'Reset your password'],
      ['j', 'Verify your email'],
      ['k', 'Reset your password'],
    ]) {
      await opening(text, () => press(key));
      assert.match(await page.evaluate(() => document.activeElement.textContent), new RegExp(text), 'the focus is on the mail');
    }
    for (const [key, name] of [['2', 'Text'], ['3', 'Source'], ['1', 'HTML']]) {
      await press(key);
      assert.equal(await view(), name);
    }
    await press('Escape');
    await reader().waitFor({ state: 'hidden' });

    await opening('Reset your password', () => press('ArrowDown'));
    await opening('Verify your email', () => press('Delete'));
    await listed(['Verify your email']);
    assert.deepEqual((await mailsTo(email)).map((mail) => mail.subject.slice(0, 6)), ['Verify']);
    browser.assertNoFaults();
  });

  test('deleted mails are gone, and what was shown of them', async () => {
    const email = await withTwoMails();
    await openFor(email, 2);
    await opening('Verify your email', () => entries().nth(1).click());
    const remove = () => page.getByRole('button', { name: 'Delete' }).click();
    await opening('Reset your password', remove);
    await remove();
    await reader().waitFor({ state: 'hidden' });
    await listed([]);
    assert.deepEqual(await mailsTo(email), []);
    assert.equal(new URL(page.url()).hash, '');
    browser.assertNoFaults();
  });

  test('a mail that is deleted elsewhere leaves the page', async () => {
    const email = await withTwoMails();
    const [reset] = await mailsTo(email);
    await openFor(email, 2);
    await opening('Reset your password', () => entries().first().click());
    const { status } = await fetch(`${mailboxUrl}/api/messages/${reset.id}`, { method: 'DELETE' });
    assert.equal(status, 200);
    await reader().waitFor({ state: 'hidden' });
    await listed(['Verify your email']);
    browser.assertNoFaults();
  });

  test('on a phone either the list or a mail is shown', async () => {
    const email = await withTwoMails();
    await page.setViewportSize({ width: 375, height: 700 });
    await openFor(email, 2);
    assert.equal(await page.getByText('Choose a message').isVisible(), false);
    await opening('Reset your password', () => entries().first().click());
    await inMail('h1').waitFor();
    assert.equal(await page.locator('#list').isVisible(), false);
    assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), 'nothing is wider than the screen');
    await page.getByRole('button', { name: 'All messages' }).click();
    await entries().first().waitFor();
    assert.equal(await reader().isVisible(), false);
    browser.assertNoFaults();
  });

  test('names that are markup are shown as they are, in the mail and around it', async () => {
    const name = '<img src=x onerror=top.hit=1><script>top.hit=1</script>';
    const project = await freshProject(newestSdk, { displayName: `Shop ${name}` });
    const email = freshEmail('reader');
    const user = await serverApp(newestSdk, project).createUser({ displayName: `Ada ${name}`, primaryEmail: email });
    const [channel] = await user.listContactChannels();
    await channel.sendVerificationEmail({ callbackUrl: CALLBACK_URL });
    const mail = await newestMailTo(email);
    assert.ok(mail.subject.includes(name) && mail.text.includes(name));

    await openFor(email, 1);
    await opening(name, () => entries().first().click());
    assert.ok((await inMail('body').textContent()).includes(`Ada ${name}`));
    assert.ok((await entries().first().textContent()).includes(name));
    assert.ok((await page.locator('#subject').textContent()).includes(name));
    assert.equal(await inMail('script, img').count(), 0);
    assert.equal(await page.locator('script').count(), 1, 'its own');
    assert.equal(await page.locator('main img').count(), 0);
    assert.equal(await page.evaluate(() => window.hit), undefined);
    browser.assertNoFaults();
  });

  test('the scripts of a mail do not run, neither in the frame nor when it is opened by itself', async () => {
    const email = await withTwoMails();
    const [{ id }] = await mailsTo(email);
    const address = `${mailboxUrl}/messages/${id}`;
    // No mail of the project's own holds a script, so one is put in: the browser keeps the headers that the server sent.
    const touch = `document.getElementById('state').textContent='touched';try{top.hit=1}catch{}`;
    const hostile = `<!doctype html><meta http-equiv="refresh" content="0;url=${mailboxUrl}"><p id="state">untouched</p>
      <script>${touch}</script><svg onload="${touch}"></svg><img src="data:," onerror="${touch}">
      <iframe srcdoc="<script>parent.${touch}</script>"></iframe>
      <form action="${mailboxUrl}"><button>Send</button></form><a href="javascript:${touch}">Follow</a>`;
    await page.route(address, async (route) => {
      const response = await route.fetch();
      await route.fulfill({ response, body: hostile });
    });

    await openFor(email, 2);
    assert.deepEqual(
      await page.locator('#frame').evaluate((frame) => [frame.getAttribute('sandbox'), frame.getAttribute('referrerpolicy')]),
      ['allow-popups allow-popups-to-escape-sandbox', 'no-referrer'],
    );
    const answered = page.waitForResponse(address);
    await entries().first().click();
    const headers = (await answered).headers();
    const policy = new Map(headers['content-security-policy'].split(/;\s*/).map((part) => [part.split(' ')[0], part]));
    assert.equal(policy.get('sandbox'), 'sandbox allow-popups allow-popups-to-escape-sandbox');
    assert.equal(policy.get('default-src'), "default-src 'none'");
    assert.equal(policy.has('script-src'), false);
    assert.equal(policy.get('form-action'), "form-action 'none'");
    assert.equal(policy.get('base-uri'), "base-uri 'none'");
    assert.equal(policy.get('frame-ancestors'), "frame-ancestors 'self'");
    assert.equal(headers['x-content-type-options'], 'nosniff');

    const tryAll = async (mail) => {
      await mail.getByText('untouched').waitFor();
      await mail.getByRole('link', { name: 'Follow' }).click();
      await mail.getByRole('button', { name: 'Send' }).click();
      await page.waitForTimeout(500);
      assert.equal(await mail.locator('#state').textContent(), 'untouched');
    };
    await tryAll(page.frameLocator('#frame'));
    assert.equal(await page.evaluate(() => window.hit), undefined);
    await page.goto(address);
    await tryAll(page);
    assert.equal(page.url(), address);
    // The browser says what it kept from running, and nothing else went wrong.
    const kept = browser.faults.filter((fault) => /sandboxed|Content Security Policy/.test(fault));
    assert.ok(kept.some((fault) => fault.includes('allow-scripts')), JSON.stringify(browser.faults));
    assert.deepEqual(browser.faults.filter((fault) => !kept.includes(fault)), []);
  });
});
