// The purchase page in a real browser: from a checkout URL of the official client to Stripe's page and back.
import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';
import { startBrowser } from './support/browser.mjs';
import { eventually } from './support/check.mjs';
import { baseUrl } from './support/env.mjs';
import { barriers, faintTexts } from './support/looks.mjs';
import { signedInMember } from './support/project.mjs';
import { startReceiver } from './support/receiver.mjs';
import { newestSdk } from './support/sdk.mjs';
import { codeOf, control, openShop } from './support/stripe.mjs';

const HOSTILE = `<img src=x onerror=top.hit=1><script>top.hit=1</script>"'&amp;`;

const coins = (quantity) => ({ coins: { quantity, expires: 'never' } });
const plan = (displayName, USD) => ({ displayName, customerType: 'user', productLineId: 'plans', prices: { monthly: { USD, interval: [1, 'month'] } } });
const CATALOGUE = {
  'payments.testMode': false,
  'payments.items': { coins: { displayName: 'Coins', customerType: 'user' }, hostile: { displayName: HOSTILE, customerType: 'user' } },
  'payments.productLines': { plans: { customerType: 'user' } },
  'payments.products': {
    pack: {
      displayName: 'Pack of coins', customerType: 'user', stackable: true, includedItems: coins(10),
      prices: {
        a_once: { USD: '4.99', EUR: '4.49' },
        b_monthly: { USD: '3', interval: [1, 'month'] },
        c_quarterly: { USD: '8.50', interval: [3, 'month'], freeTrial: [14, 'day'] },
        euros: { EUR: '1' },
      },
    },
    badge: { displayName: 'Badge', customerType: 'user', prices: { once: { USD: '1200' } }, includedItems: coins(1) },
    hostile: {
      displayName: HOSTILE, customerType: 'user', prices: { once: { USD: '1' } }, includedItems: { hostile: { quantity: 2, expires: 'never' } },
    },
    long: { displayName: 'Donaudampfschifffahrtselektrizitätenhauptbetriebswerk'.repeat(4), customerType: 'user', prices: { once: { USD: '1' } } },
    basic: plan('Basic', '9'),
    pro: plan('Pro', '19.99'),
    nothing: { displayName: 'For euros only', customerType: 'user', prices: { once: { EUR: '1' } } },
  },
};

describe('the purchase page', () => {
  let browser;
  let shop;
  let testShop;
  let application;
  let page;
  before(async () => {
    browser = await startBrowser();
    application = await startReceiver(() => 200);
    shop = await openShop(newestSdk, CATALOGUE, { displayName: 'Shop' });
    testShop = await openShop(newestSdk, { ...CATALOGUE, 'payments.testMode': true }, { displayName: `Shop ${HOSTILE}` });
  });
  after(async () => {
    await browser?.close();
    application?.close();
  });
  beforeEach(async () => {
    browser.faults.length = 0;
    page = await browser.context.newPage();
    page.setDefaultTimeout(15_000);
  });
  afterEach(() => page.close());

  /** A page of an application, where the browser is to come back to. */
  const applicationPage = () => `${application.url.replace('127.0.0.1', 'localhost')}?order=7&of=%C3%BC`;
  const member = (of = shop) => signedInMember(newestSdk, of, 'Ada', { primaryEmailVerified: true });
  const sessions = (of = shop) => of.at('objects', { kind: 'checkout.session' });
  const price = (name) => page.getByRole('radio', { name });
  const quantity = () => page.getByRole('spinbutton', { name: 'Quantity' });
  const payButton = () => page.getByRole('button', { name: 'Continue to payment' });
  const tryButton = () => page.getByRole('button', { name: 'Try it out without paying' });
  const title = () => page.locator('h1').textContent();
  const hasFocus = (locator) => locator.evaluate((element) => element === document.activeElement && element.matches(':focus-visible'));
  const coinsOf = async (user) => (await user.getItem('coins')).quantity;

  /** Nothing went wrong but what is expected to. */
  function onlyFaults(...expected) {
    const others = browser.faults.filter((fault) => !expected.some((pattern) => pattern.test(fault)));
    assert.deepEqual(others, []);
  }

  /**
   * The fake serves no pages. Whoever is sent to one gets this in its place, at the address that the browser really went to: it
   * is put in behind all checks of the browser's, as an answer from the network. Answers the requests that came.
   */
  async function standInForStripe() {
    const session = await browser.context.newCDPSession(page);
    const visits = [];
    session.on('Fetch.requestPaused', async ({ requestId, request }) => {
      visits.push(request);
      const body = Buffer.from('<!doctype html><link rel="icon" href="data:,"><title>Stripe</title><h1>Pay</h1>').toString('base64');
      const responseHeaders = [{ name: 'content-type', value: 'text/html' }];
      await session.send('Fetch.fulfillRequest', { requestId, responseCode: 200, responseHeaders, body });
    });
    await session.send('Fetch.enable', { patterns: [{ urlPattern: 'https://stripe.invalid/*' }] });
    return visits;
  }

  test('price and quantity are chosen by keyboard, Stripe is paid, and the URL is used up', async () => {
    const { own } = await member();
    const url = await own.createCheckoutUrl({ productId: 'pack' });
    const visits = await standInForStripe();
    await page.goto(url);
    assert.equal(await title(), 'Pack of coins');
    assert.equal(await page.title(), 'Pack of coins · Shop');
    assert.deepEqual(await page.getByRole('listitem').allTextContents(), ['10 × Coins']);
    const choices = (await page.locator('label.choice').allTextContents()).map((text) => text.replace(/\s+/g, ' ').trim());
    assert.deepEqual(choices, ['USD 4.99 once', 'USD 3.00 every month', 'USD 8.50 every 3 months · first 14 days free']);
    assert.deepEqual([await price('USD 4.99').isChecked(), await quantity().inputValue()], [true, '1']);
    assert.equal(await tryButton().count(), 0);

    await page.keyboard.press('Tab');
    assert.ok(await hasFocus(price('USD 4.99')));
    await page.keyboard.press('ArrowDown');
    assert.ok((await hasFocus(price('USD 3.00'))) && (await price('USD 3.00').isChecked()));
    await page.keyboard.press('ArrowUp');
    assert.ok(await price('USD 4.99').isChecked());
    await page.keyboard.press('Tab');
    assert.ok(await hasFocus(quantity()));
    await page.keyboard.press('ArrowUp');
    await page.keyboard.press('ArrowUp');
    assert.equal(await quantity().inputValue(), '3');
    await page.keyboard.press('Tab');
    assert.ok(await hasFocus(payButton()));
    const posted = page.waitForResponse((response) => response.request().method() === 'POST');
    await page.keyboard.press('Enter');
    assert.equal((await posted).status(), 303);
    await page.waitForURL('https://stripe.invalid/**');
    assert.equal(await title(), 'Pay');

    const session = (await sessions()).at(-1);
    assert.equal(page.url(), session.url);
    assert.deepEqual([session.mode, session.amount_total, session.currency], ['payment', 1497, 'usd']);
    assert.deepEqual([session.success_url, session.cancel_url], [`${baseUrl}/purchase/done`, url]);
    assert.deepEqual(visits.map(({ method, headers }) => [method, headers.Referer]), [['GET', undefined]], 'Stripe is not told of the code');

    // Whoever turns back can choose again: nothing is bought yet.
    await page.goBack();
    assert.equal(await title(), 'Pack of coins');
    assert.equal(await coinsOf(own), 0);
    await shop.at('complete_checkout', { id: session.id });
    await page.goto(session.success_url);
    assert.equal(await title(), 'Thank you');
    await shop.deliver();
    await eventually('the coins', async () => (await coinsOf(own)) === 30);
    const used = await page.goto(url);
    assert.equal(used.status(), 404);
    assert.equal(await title(), 'This link does not work');
    onlyFaults(/^a request to elsewhere: https:\/\/stripe\.invalid\/c\/pay\//, /404/);
  });

  test('a subscription is begun and leads back to the application', async () => {
    const { own } = await member();
    const returnUrl = applicationPage();
    const url = await own.createCheckoutUrl({ productId: 'pack', returnUrl });
    await standInForStripe();
    await page.goto(url);
    await price('USD 3.00').check();
    await quantity().fill('2');
    await payButton().click();
    await page.waitForURL('https://stripe.invalid/**');
    const session = (await sessions()).at(-1);
    assert.deepEqual([session.mode, session.amount_total, session.success_url], ['subscription', 600, returnUrl]);
    await page.goto(session.cancel_url);
    assert.equal(await title(), 'Pack of coins');
    await shop.at('complete_checkout', { id: session.id });
    await shop.deliver();
    await eventually('the coins', async () => (await coinsOf(own)) === 20);
    const [{ subscription, quantity: pieces }] = await own.listProducts();
    assert.ok(subscription.isCancelable);
    assert.equal(pieces, 2);
    onlyFaults(/^a request to elsewhere: https:\/\/stripe\.invalid\/c\/pay\//);
  });

  test('in test mode it is bought without paying, and the browser comes back to the application', async () => {
    const { own } = await member(testShop);
    const returnUrl = applicationPage();
    await page.goto(await own.createCheckoutUrl({ productId: 'pack', returnUrl }));
    await quantity().fill('4');
    await tryButton().click();
    await page.waitForURL(returnUrl);
    assert.equal(await coinsOf(own), 40);
    assert.equal(application.deliveries[0].headers.referer, undefined);

    const url = await own.createCheckoutUrl({ productId: 'badge' });
    await page.goto(url);
    assert.ok(await payButton().isVisible(), 'it can be paid as well');
    await tryButton().focus();
    await page.keyboard.press('Enter');
    await page.waitForURL(`${baseUrl}/purchase/done`);
    assert.equal(await title(), 'Thank you');
    assert.equal(await coinsOf(own), 41);
    await page.goto(url);
    assert.equal(await title(), 'This link does not work');
    assert.deepEqual(await sessions(testShop), []);
    onlyFaults(/^a request to elsewhere: http:\/\/localhost:\d+\/(hook|favicon)/, /404/);
  });

  test('what does not fit is said, next to what was chosen', async () => {
    const { own } = await member();
    await page.goto(await own.createCheckoutUrl({ productId: 'pack' }));
    await price('USD 8.50').check();
    await quantity().fill('0');
    await payButton().click();
    assert.ok(await quantity().evaluate((input) => input.matches(':user-invalid')), 'the browser says so at once');
    // And the server, should a browser let it pass.
    await page.locator('form').evaluate((form) => (form.noValidate = true));
    await payButton().click();
    await page.getByRole('alert').waitFor();
    assert.ok(await price('USD 8.50').isChecked());
    assert.equal(await quantity().inputValue(), '0');
    assert.equal(await quantity().getAttribute('aria-invalid'), 'true');
    assert.ok(await quantity().evaluate((element) => element === document.activeElement));
    assert.deepEqual(await barriers(page), []);

    const send = (body) => fetch(page.url(), { method: 'POST', redirect: 'manual', body: new URLSearchParams(body) });
    for (const [body, words] of [
      [{ quantity: '1' }, 'Please choose a price.'],
      [{ price_id: 'a_once', quantity: '1.5' }, 'The quantity must be a whole number'],
      [{ price_id: 'nothing', quantity: '1' }, 'role="alert"'],
      [{ price_id: 'euros', quantity: '1' }, 'role="alert"'],
    ]) {
      const answer = await send(body);
      assert.equal(answer.status, 400);
      assert.ok((await answer.text()).includes(words), words);
    }
    assert.equal((await send({ price_id: 'a_once', quantity: '1', action: 'test' })).status, 403, 'not in test mode');
    onlyFaults(/400/);
  });

  test('a link that cannot be used says why', async () => {
    const { created, own } = await member();
    const url = await own.createCheckoutUrl({ productId: 'badge' });
    const opened = async (address) => [(await page.goto(address)).status(), await title()];
    assert.deepEqual(await opened(`${url}?return_url=https://elsewhere.example/`), [400, 'This link cannot be trusted']);
    assert.deepEqual(await opened(url.slice(0, -1)), [404, 'This link does not work']);
    assert.deepEqual(await opened(`${baseUrl}/purchase/nonsense`), [404, 'This link does not work']);
    // Previews that only ask for headers use no attempt up.
    for (let count = 0; count < 25; count += 1) assert.equal((await fetch(url, { method: 'HEAD' })).status, 200);
    assert.deepEqual(await opened(url), [200, 'Badge']);

    await control('fail_next', { method: 'POST', path: '/v1/checkout/sessions', fault: 'status', status: 500 });
    await payButton().click();
    await page.getByRole('heading', { name: 'Payment is not possible right now' }).waitFor();
    await page.goBack();
    await created.grantProduct({ productId: 'badge' });
    assert.deepEqual(await opened(url), [200, 'Badge']);
    await page.getByText('You have this already').waitFor();
    assert.equal(await page.getByRole('button').count(), 0);
    const nothing = await own.createCheckoutUrl({ productId: 'nothing' });
    await page.goto(nothing);
    await page.getByText('It has no price that can be paid here').waitFor();
    assert.equal(await page.getByRole('button').count(), 0);

    await created.grantProduct({ productId: 'basic' });
    await page.goto(await own.createCheckoutUrl({ productId: 'pro' }));
    await page.getByText('This replaces your present Basic.').waitFor();
    onlyFaults(/400/, /404/, /503/);
  });

  test('it is readable in light and dark, on a phone and on a desk, by eye and by ear', async () => {
    const { created, own } = await member(testShop);
    const owned = await own.createCheckoutUrl({ productId: 'badge' });
    await created.grantProduct({ productId: 'badge' });
    await created.grantProduct({ productId: 'basic' });
    const addresses = [
      owned,
      `${baseUrl}/purchase/done`,
      `${baseUrl}/purchase/set-up`,
      `${baseUrl}/purchase/nonsense`,
    ];
    for (const productId of ['pack', 'hostile', 'long', 'pro', 'nothing']) addresses.push(await own.createCheckoutUrl({ productId }));
    for (const address of addresses) {
      await page.goto(address);
      for (const [width, height] of [[375, 700], [320, 600], [1280, 900]]) {
        await page.setViewportSize({ width, height });
        assert.deepEqual(await barriers(page), [], `${await title()} at ${width}`);
      }
      const grounds = [];
      for (const colorScheme of ['light', 'dark']) {
        await page.emulateMedia({ colorScheme });
        assert.deepEqual(await faintTexts(page), [], `${await title()} in ${colorScheme}`);
        grounds.push(await page.evaluate(() => getComputedStyle(document.body).backgroundColor));
      }
      assert.notEqual(grounds[0], grounds[1], 'light and dark differ');
      assert.equal(await page.locator('script, [onclick], [onload], [onerror], iframe, link').count(), 0);
    }
    onlyFaults(/404/);
  });

  test('an alert and what is chosen are readable as well', async () => {
    const { own } = await member(testShop);
    await page.goto(await own.createCheckoutUrl({ productId: 'pack' }));
    await page.locator('form').evaluate((form) => (form.noValidate = true));
    await quantity().fill('0');
    await tryButton().click();
    await page.getByRole('alert').waitFor();
    await page.setViewportSize({ width: 375, height: 700 });
    assert.deepEqual(await barriers(page), []);
    for (const colorScheme of ['light', 'dark']) {
      await page.emulateMedia({ colorScheme });
      assert.deepEqual(await faintTexts(page), [], colorScheme);
    }
    onlyFaults(/400/);
  });

  test('names that are markup are shown as they are, and nothing runs', async () => {
    const { own } = await member(testShop);
    const url = await own.createCheckoutUrl({ productId: 'hostile' });
    const answer = await page.goto(url);
    assert.equal(await title(), HOSTILE);
    assert.equal(await page.title(), `${HOSTILE} · Shop ${HOSTILE}`);
    assert.equal(await page.locator('.project').textContent(), `Shop ${HOSTILE}`);
    assert.deepEqual(await page.getByRole('listitem').allTextContents(), [`2 × ${HOSTILE}`]);
    assert.equal(await page.locator('script, img').count(), 0);
    assert.equal(await page.evaluate(() => window.hit), undefined);

    const headers = answer.headers();
    const policy = new Map(headers['content-security-policy'].split(/;\s*/).map((part) => [part.split(' ')[0], part]));
    assert.equal(policy.get('default-src'), "default-src 'none'");
    assert.equal(policy.has('script-src'), false);
    assert.match(policy.get('style-src'), /^style-src 'nonce-[^' ]+'$/);
    assert.match(policy.get('form-action'), /^form-action 'self' https:/);
    assert.equal(policy.get('base-uri'), "base-uri 'none'");
    assert.equal(policy.get('frame-ancestors'), "frame-ancestors 'none'");
    assert.equal(headers['x-content-type-options'], 'nosniff');
    assert.equal(headers['referrer-policy'], 'no-referrer');
    assert.match(headers['cache-control'], /no-store/);
    assert.equal(headers['set-cookie'], undefined);
    assert.ok(codeOf(url).startsWith(testShop.projectId));
    browser.assertNoFaults();
  });
});
