// Selling through the official client: checkout URLs, grants, subscriptions, cards and invoices, with a Stripe whose objects are read
// by Stripe's own library.
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { assertRecent, assertRejectsKnown, assertRejectsStatus, eventually, UUID } from './support/check.mjs';
import { baseUrl } from './support/env.mjs';
import { mailsTo, newestMailTo } from './support/mailbox.mjs';
import { freshProject, signedInMember } from './support/project.mjs';
import { rest } from './support/rest.mjs';
import { describeEachSdk } from './support/sdk.mjs';
import { CATALOGUE, inline, monthly, openSeller } from './support/seller.mjs';
import { codeOf, openShop, stripe } from './support/stripe.mjs';

const DAY = 24 * 60 * 60 * 1000;
const RETURN_URL = 'http://localhost:3000/thanks?order=7&of=ü';

describeEachSdk('payments', (sdk) => {
  let shop, server, member, owned, quantity, seller, becomes, begin, subscribe, transactionsOf, addCard;
  before(async () => {
    ({ shop, server, member, owned, quantity, seller, becomes, begin, subscribe, transactionsOf, addCard } = await openSeller(sdk));
  });

  test('a user buys at a URL that its own app made', async () => {
    const { created, own, email } = await member('Ada');
    assert.deepEqual(await own.getBilling(), { hasCustomer: false, defaultPaymentMethod: null });
    const url = await own.createCheckoutUrl({ productId: 'pack', returnUrl: RETURN_URL });
    const { origin, searchParams } = new URL(url);
    assert.equal(origin, baseUrl);
    assert.match(codeOf(url), new RegExp(`^${shop.projectId}_[0-9a-hjkmnp-tv-z]{45}$`));
    assert.deepEqual([...searchParams.keys()], ['return_url']);
    assert.equal(new URL(searchParams.get('return_url')).href, new URL(RETURN_URL).href);

    const offer = await rest('POST', '/payments/purchases/validate-code', { json: { full_code: codeOf(url), return_url: RETURN_URL } });
    const { product, ...more } = offer.body;
    assert.deepEqual([product.display_name, product.prices, product.server_metadata], ['Pack of coins', { once: { USD: '4.99', JPY: '700' } }, null]);
    assert.deepEqual(more, {
      stripe_account_id: shop.account, project_id: shop.projectId, project_logo_url: null, already_bought_non_stackable: false,
      conflicting_products: [], test_mode: false, charges_enabled: true,
    });

    const intent = await begin(url, 'once', 3);
    const asked = await stripe.paymentIntents.retrieve(intent, {}, seller());
    assert.deepEqual([asked.object, asked.amount, asked.currency, asked.status], ['payment_intent', 1497, 'usd', 'requires_payment_method']);
    assert.deepEqual([asked.metadata.customerId, asked.metadata.purchaseQuantity], [created.id, '3']);
    assert.deepEqual(await owned(own), [], 'nothing is there before it is paid');
    await shop.at('pay_intent', { id: intent });
    const events = await shop.deliver();
    assert.ok(events.some(({ type }) => type === 'payment_intent.succeeded'));
    await becomes('the coins', () => quantity(own, 'coins'), 30);
    const [pack] = await own.listProducts();
    assert.deepEqual({ ...pack }, {
      id: 'pack', quantity: 3, displayName: 'Pack of coins', customerType: 'user', isServerOnly: false, stackable: true,
      type: 'one_time', subscription: null, switchOptions: undefined,
    });
    assert.match((await newestMailTo(email)).text, /Pack of coins[\s\S]*USD 14\.97/);
    assert.equal((await own.getBilling()).hasCustomer, true);

    const again = { json: { full_code: codeOf(url), price_id: 'once', quantity: 1 } };
    const used = await rest('POST', '/payments/purchases/purchase-session', again);
    assert.deepEqual([used.status, used.body.code], [404, 'VERIFICATION_CODE_NOT_FOUND']);
  });

  test('a payment that fails sells nothing, and is told', async () => {
    const { own, email } = await member('Bea');
    const intent = await begin(await own.createCheckoutUrl({ productId: 'pack' }), 'once');
    await shop.at('fail_intent', { id: intent, reason: 'Your card has insufficient funds.' });
    await shop.deliver();
    assert.match((await newestMailTo(email)).text, /insufficient funds/);
    assert.deepEqual(await owned(own), []);
    // The same payment, with another card.
    await shop.at('pay_intent', { id: intent });
    await shop.deliver();
    await becomes('the products', () => owned(own), [['pack', 1]]);
  });

  test('a backend sells what it made up itself', async () => {
    const { created, own } = await member('Cid');
    const url = await created.createCheckoutUrl({ product: inline(), returnUrl: RETURN_URL });
    const intent = await begin(url, 'once');
    assert.equal((await stripe.paymentIntents.retrieve(intent, {}, seller())).amount, 2550);
    await shop.at('pay_intent', { id: intent });
    await shop.deliver();
    await becomes('the coins', () => quantity(own, 'coins'), 100);
    const [hundred] = await created.listProducts();
    assert.deepEqual([hundred.id, hundred.displayName, hundred.quantity], [null, 'Hundred coins', 1]);
    assert.deepEqual(await owned(own), [], 'what is for servers only is not shown to clients');

    const gift = await created.createCheckoutUrl({ productId: 'gift' });
    await shop.at('pay_intent', { id: await begin(gift, 'once') });
    await shop.deliver();
    await becomes('the coins', () => quantity(own, 'coins'), 103);
  });

  test('what cannot be bought is refused in words that the client knows', async () => {
    const { created, own } = await member('Dot');
    const refused = (options, name, details) => assertRejectsKnown(sdk, own.createCheckoutUrl(options), name, { details });
    await refused({ productId: 'nothing' }, 'ProductDoesNotExist', { product_id: 'nothing', context: null });
    await refused({ productId: 'coins' }, 'ProductDoesNotExist', { product_id: 'coins', context: 'item_exists' });
    await refused({ productId: 'gift' }, 'ProductDoesNotExist', { product_id: 'gift', context: 'server_only' });
    await refused({ productId: 'crew' }, 'ProductCustomerTypeDoesNotMatch', {
      product_id: 'crew', customer_id: created.id, product_customer_type: 'team', actual_customer_type: 'user',
    });
    await refused({ productId: 'pack', returnUrl: 'https://elsewhere.example/' }, 'RedirectUrlNotWhitelisted');
    await created.grantProduct({ productId: 'badge' });
    await refused({ productId: 'badge' }, 'ProductAlreadyGranted', { product_id: 'badge', customer_id: created.id });

    const closed = await openShop(sdk, { ...CATALOGUE, 'payments.blockNewPurchases': true });
    const late = await signedInMember(sdk, closed, 'Late');
    await assertRejectsKnown(sdk, late.own.createCheckoutUrl({ productId: 'pack' }), 'NewPurchasesBlocked');
    await late.created.grantProduct({ productId: 'pack' });
    assert.deepEqual(await owned(late.own), [['pack', 1]], 'servers grant all the same');

    const without = await freshProject(sdk);
    await without.ownedProject.updateConfig(CATALOGUE);
    const early = await signedInMember(sdk, without, 'Early');
    await assertRejectsStatus(early.own.createCheckoutUrl({ productId: 'pack' }), 400);
    assert.deepEqual(await early.own.getBilling(), { hasCustomer: false, defaultPaymentMethod: null });
    assert.deepEqual([...(await early.own.listInvoices())], []);
  });

  test('a team has bought for it what those who administer it want', async () => {
    const [ada, bob] = [await member('Ada'), await member('Bob')];
    const team = await ada.own.createTeam({ displayName: 'Crew' });
    const asServer = await server.getTeam(team.id);
    await asServer.addUser(bob.created.id);
    const asBob = await bob.own.getTeam(team.id);
    const details = { team_id: team.id, user_id: bob.created.id, permission_id: 'team_admin' };
    await assertRejectsKnown(sdk, asBob.createCheckoutUrl({ productId: 'crew' }), 'TeamPermissionRequired', { details });
    await assertRejectsKnown(sdk, asBob.getBilling(), 'TeamPermissionRequired', { details });

    await subscribe(team, 'crew');
    await becomes('the seats', () => quantity(team, 'seats'), 5);
    assert.match((await newestMailTo(ada.email)).text, /Crew[\s\S]*USD 30\.00/);
    assert.deepEqual(await mailsTo(bob.email), []);
    assert.equal((await team.getBilling()).hasCustomer, true);
    const [invoice] = await team.listInvoices();
    assert.deepEqual([invoice.status, invoice.amountTotal], ['paid', 3000]);
    const card = await addCard(team, { last4: '0005' });
    assert.equal(card.last4, '0005');

    await ada.app.cancelSubscription({ productId: 'crew', teamId: team.id });
    assert.equal(await quantity(team, 'seats'), 5, 'until the period is over');
    await assertRejectsKnown(sdk, bob.app.cancelSubscription({ productId: 'crew', teamId: team.id }), 'TeamPermissionRequired');

    // Another one by the backend, for a team of which nobody is asked.
    const other = await server.createTeam({ displayName: 'Other' });
    await subscribe(other, 'crew');
    assert.equal(await quantity(other, 'seats'), 5);
  });

  test('a backend grants configured products and made up ones', async () => {
    const { created, own } = await member('Eve');
    await created.grantProduct({ productId: 'pack', quantity: 2 });
    await created.grantProduct({ productId: 'pack' });
    await created.grantProduct({ productId: 'gift' });
    await created.grantProduct({ productId: 'badge' });
    await created.grantProduct({ product: inline({ server_only: false }), quantity: 1 });
    await created.grantProduct({ product: inline({ display_name: 'Monthly', server_only: false, prices: monthly('5') }) });
    assert.deepEqual(await owned(created), [[null, 2], ['badge', 1], ['gift', 1], ['pack', 3]]);
    assert.deepEqual(await owned(own), [[null, 2], ['badge', 1], ['pack', 3]]);
    assert.equal(await quantity(own, 'coins'), 30 + 3 + 200);
    await assertRejectsKnown(sdk, created.grantProduct({ productId: 'badge' }), 'ProductAlreadyGranted', {
      details: { product_id: 'badge', customer_id: created.id },
    });
    await assertRejectsKnown(sdk, created.grantProduct({ productId: 'nothing' }), 'ProductDoesNotExist');
    await assertRejectsKnown(sdk, created.grantProduct({ productId: 'crew' }), 'ProductCustomerTypeDoesNotMatch');
    await assertRejectsStatus(created.grantProduct({ productId: 'basic', quantity: 2 }), 400);
    const grants = await transactionsOf(created.id);
    assert.equal(grants.length, 6);
    assert.ok(grants.every(({ entries }) => entries.every(({ type }) => type !== 'money_transfer')), 'no money was moved');

    const customCustomerId = `acme eu ${sdk.version}`;
    await server.grantProduct({ customCustomerId, productId: 'calls', quantity: 3 });
    assert.equal((await server.getItem({ itemId: 'calls', customCustomerId })).quantity, 21);
    const [calls] = await server.listProducts({ customCustomerId });
    assert.deepEqual([calls.id, calls.displayName, calls.customerType, calls.quantity], ['calls', 'calls', 'custom', 3]);
    const team = await server.createTeam({ displayName: 'Team' });
    await team.grantProduct({ productId: 'crew' });
    assert.deepEqual(await owned(team), [['crew', 1]]);
  });

  test('products are listed in pages', async () => {
    const { created, own } = await member('Fay');
    for (const productId of ['pack', 'gift', 'basic', 'badge']) await created.grantProduct({ productId });
    await created.grantProduct({ product: inline({ server_only: false }) });
    for (const [customer, ids] of [[created, [null, 'badge', 'basic', 'gift', 'pack']], [own, [null, 'badge', 'basic', 'pack']]]) {
      for (const limit of [1, 2, 3, 4]) {
        const seen = [];
        let cursor;
        do {
          const page = await customer.listProducts({ limit, cursor });
          assert.ok(page.length > 0 && page.length <= limit);
          seen.push(...page.map(({ id }) => id));
          cursor = page.nextCursor ?? undefined;
        } while (cursor);
        assert.deepEqual(seen, ids, `pages of ${limit}`);
      }
      assert.equal((await customer.listProducts()).nextCursor, null);
      await assertRejectsStatus(customer.listProducts({ cursor: 'nothing' }), 400);
    }
  });

  test('a subscription is changed with a card that was set up, renewed and cancelled', async () => {
    const { created, own, app, email } = await member('Gil');
    const id = await subscribe(own, 'basic');
    await becomes('the credits', () => quantity(own, 'credits'), 100);
    const [basic] = await own.listProducts();
    assert.match(basic.subscription.subscriptionId, UUID);
    const length = basic.subscription.currentPeriodEnd.getTime() - Date.now();
    assert.ok(length > 27 * DAY && length < 32 * DAY, `a month is ${length} ms long`);
    assert.deepEqual([basic.type, basic.subscription.cancelAtPeriodEnd, basic.subscription.isCancelable], ['subscription', false, true]);
    assert.deepEqual(basic.switchOptions, [
      { productId: 'pro', displayName: 'Pro', prices: CATALOGUE['payments.products'].pro.prices },
    ]);

    const change = { fromProductId: 'basic', toProductId: 'pro', priceId: 'monthly' };
    const cardless = await member('Guy');
    await cardless.created.grantProduct({ productId: 'basic' });
    await assertRejectsKnown(sdk, cardless.own.switchSubscription(change), 'DefaultPaymentMethodRequired', {
      details: { customer_type: 'user', customer_id: cardless.created.id },
    });
    const card = await addCard(own, { brand: 'mastercard', last4: '4444', exp_month: 11, exp_year: 2031 });
    assert.deepEqual({ ...card, id: undefined }, { id: undefined, brand: 'mastercard', last4: '4444', exp_month: 11, exp_year: 2031 });
    assert.match(card.id, /^pm_/);
    for (const customer of [own, created]) {
      assert.deepEqual(await customer.getBilling(), { hasCustomer: true, defaultPaymentMethod: card });
    }
    for (const wrong of [{ toProductId: 'pack' }, { toProductId: 'basic' }, { priceId: 'weekly' }, { quantity: 2 }]) {
      await assertRejectsStatus(own.switchSubscription({ ...change, ...wrong }), 400);
    }
    await own.switchSubscription(change);
    assert.deepEqual(await owned(own), [['pro', 1]]);
    assert.equal(await quantity(own, 'credits'), 1000);
    const changed = await stripe.subscriptions.retrieve(id, {}, seller());
    assert.deepEqual([changed.status, changed.items.data[0].price.unit_amount], ['active', 1999]);
    await shop.deliver();

    const before = await own.listInvoices();
    for (let month = 0; month < 2; month += 1) await shop.at('renew', { id });
    await shop.deliver();
    // Every invoice but the first is one; the change may have had its own.
    const renewals = async () => (await transactionsOf(created.id, { type: 'subscription-renewal' })).length;
    await becomes('the renewals', renewals, before.length - 1 + 2);
    const invoices = await own.listInvoices();
    assert.equal(invoices.length, before.length + 2);
    assert.equal(invoices.nextCursor, null);
    for (const invoice of invoices) {
      assert.equal(invoice.status, 'paid');
      assert.match(invoice.hostedInvoiceUrl, /^https:\/\//);
      assertRecent(invoice.createdAt);
    }
    assert.deepEqual([invoices[0].amountTotal, invoices.at(-1).amountTotal], [1999, 900]);
    const seen = [];
    let cursor;
    do {
      const page = await own.listInvoices({ limit: 1, cursor });
      seen.push(...page.map(({ amountTotal }) => amountTotal));
      cursor = page.nextCursor ?? undefined;
    } while (cursor);
    assert.deepEqual(seen, invoices.map(({ amountTotal }) => amountTotal));
    await assertRejectsStatus(own.listInvoices({ cursor: 'nothing' }), 400);
    assert.match((await newestMailTo(email, { count: 3 })).text, /USD 19\.99/);

    await app.cancelSubscription({ productId: 'pro' });
    assert.equal((await stripe.subscriptions.retrieve(id, {}, seller())).status, 'canceled');
    assert.deepEqual(await owned(own), [['pro', 1]], 'until the period that was paid is over');
    await shop.deliver();
    await assertRejectsStatus(app.cancelSubscription({ productId: 'pro' }), 400);
    await assertRejectsStatus(app.cancelSubscription({ productId: 'basic' }), 400);
    assert.deepEqual(await owned(own), [['pro', 1]]);
  });

  test('of two subscriptions one is cancelled by its own id', async () => {
    const { created, own, app } = await member('Hal');
    const crate = inline({ display_name: 'Crate', server_only: false, prices: monthly('5') });
    await created.grantProduct({ product: crate });
    const [{ subscription }] = await own.listProducts();
    await created.grantProduct({ product: crate });
    await created.grantProduct({ productId: 'basic' });
    await app.cancelSubscription({ productId: '_inline', subscriptionId: subscription.subscriptionId });
    assert.deepEqual(await owned(own), [[null, 2], ['basic', 1]]);
    // One is left that goes on, and the plan.
    await app.cancelSubscription({ productId: '_inline' });
    await assertRejectsStatus(app.cancelSubscription({ productId: '_inline' }), 400);
    await app.cancelSubscription({ productId: 'basic' });
    const someone = await member('Ida');
    await assertRejectsStatus(someone.app.cancelSubscription({ productId: 'basic' }), 400);
  });

  test('one plan of a line takes the place of another', async () => {
    const { created, own } = await member('Jan');
    const ends = (subscription) =>
      eventually('the end at Stripe', async () => (await stripe.subscriptions.retrieve(subscription, {}, seller())).status === 'canceled');
    const id = await subscribe(own, 'basic');
    // Stripe tells its times in whole seconds, and what was bought last is what counts.
    await new Promise((resolve) => setTimeout(resolve, 1_100));
    const url = await own.createCheckoutUrl({ productId: 'pro' });
    const offer = await rest('POST', '/payments/purchases/validate-code', { json: { full_code: codeOf(url) } });
    assert.deepEqual(offer.body.conflicting_products, [{ product_id: 'basic', display_name: 'Basic' }]);
    await begin(url, 'monthly');
    const { id: dearer } = (await shop.at('subscriptions')).at(-1);
    assert.notEqual(dearer, id);
    await shop.deliver();
    assert.deepEqual(await owned(own), [['basic', 1]], 'nothing is there before it is paid, and nothing is lost');
    await shop.at('pay_subscription', { id: dearer });
    await shop.deliver();
    await becomes('the products', () => owned(own), [['pro', 1]]);
    await ends(id);
    await created.grantProduct({ productId: 'basic' });
    assert.deepEqual(await owned(own), [['basic', 1]]);
    await ends(dearer);
  });
});
