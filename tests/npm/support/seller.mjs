// A shop of the suites of payments: what it sells, and what its customers and administrators do there.
import assert from 'node:assert/strict';
import { assertRejectsStatus, eventually } from './check.mjs';
import { signedInMember } from './project.mjs';
import { rest } from './rest.mjs';
import { serverApp } from './sdk.mjs';
import { codeOf, openShop } from './stripe.mjs';

export const monthly = (USD) => ({ monthly: { USD, interval: [1, 'month'] } });
const credits = (quantity) => ({ credits: { quantity, repeat: [1, 'month'], expires: 'when-repeated' } });
const plan = (displayName, prices, included) => ({
  displayName, customerType: 'user', productLineId: 'plans', prices, includedItems: credits(included),
});

export const CATALOGUE = {
  'payments.testMode': false,
  'payments.items': {
    credits: { displayName: 'Credits', customerType: 'user' },
    coins: { displayName: 'Coins', customerType: 'user' },
    seats: { displayName: 'Seats', customerType: 'team' },
    calls: { customerType: 'custom' },
  },
  'payments.productLines': { plans: { displayName: 'Plans', customerType: 'user' } },
  'payments.products': {
    basic: plan('Basic', monthly('9'), 100),
    pro: plan('Pro', { ...monthly('19.99'), yearly: { USD: '199', interval: [1, 'year'] } }, 1000),
    pack: {
      displayName: 'Pack of coins', customerType: 'user', stackable: true, prices: { once: { USD: '4.99', JPY: '700' } },
      includedItems: { coins: { quantity: 10, expires: 'never' } },
    },
    badge: { displayName: 'Badge', customerType: 'user', prices: { once: { USD: '1' } } },
    gift: {
      customerType: 'user', serverOnly: true, prices: { once: { USD: '1' } },
      includedItems: { coins: { quantity: 3, expires: 'never' } },
    },
    crew: {
      displayName: 'Crew', customerType: 'team', prices: monthly('30'),
      includedItems: { seats: { quantity: 5, expires: 'when-purchase-expires' } },
    },
    calls: { customerType: 'custom', stackable: true, prices: { once: { USD: '1' } }, includedItems: { calls: { quantity: 7 } } },
  },
};

/** A product that comes with the request. */
export const inline = (more) => ({
  display_name: 'Hundred coins', customer_type: 'user', server_only: true, stackable: false,
  prices: { once: { USD: '25.50' } }, included_items: { coins: { quantity: 100, expires: 'never' } }, ...more,
});

/** Opens the shop; answers it, and what is done in it. */
export async function openSeller(sdk) {
  const shop = await openShop(sdk, CATALOGUE, { config: { clientTeamCreationEnabled: true } });
  const server = serverApp(sdk, shop);

  const member = (displayName) => signedInMember(sdk, shop, displayName, { primaryEmailVerified: true });
  const owned = async (customer, options) => (await customer.listProducts(options)).map(({ id, quantity }) => [id, quantity]);
  const quantity = async (customer, itemId) => (await customer.getItem(itemId)).quantity;
  const seller = () => ({ stripeAccount: shop.account });

  /** Waits until the worker has done what an event asks for. */
  const becomes = (what, probe, expected) =>
    eventually(`${what} to be ${JSON.stringify(expected)}`, async () => JSON.stringify(await probe()) === JSON.stringify(expected));

  /** Begins a payment as an application's own page does; answers the id of what is to be paid. */
  async function begin(url, price_id, pieces = 1) {
    const json = { full_code: codeOf(url), price_id, quantity: pieces };
    const { status, body } = await rest('POST', '/payments/purchases/purchase-session', { json });
    assert.equal(status, 200, JSON.stringify(body));
    const [id, secret] = body.client_secret.split('_secret_');
    assert.ok(id.startsWith('pi_') && secret, body.client_secret);
    return id;
  }

  /** Buys once and pays; the event is posted, but perhaps not worked off. */
  async function buy(customer, productId, pieces = 1) {
    const intent = await begin(await customer.createCheckoutUrl({ productId }), 'once', pieces);
    await shop.at('pay_intent', { id: intent });
    await shop.deliver();
    return intent;
  }

  /** Subscribes and pays; answers Stripe's id of the subscription. */
  async function subscribe(customer, productId) {
    await begin(await customer.createCheckoutUrl({ productId }), 'monthly');
    const { id } = (await shop.at('subscriptions')).at(-1);
    await shop.at('pay_subscription', { id });
    await shop.deliver();
    await becomes('the products', () => owned(customer), [[productId, 1]]);
    return id;
  }

  /** Transactions of a customer, newest first. */
  async function transactionsOf(customerId, options = {}) {
    const all = [];
    let cursor;
    do {
      const page = await shop.admin.listTransactions({ ...options, cursor, limit: 20 });
      all.push(...page.transactions);
      cursor = page.nextCursor ?? undefined;
    } while (cursor);
    return all.filter(({ entries }) => entries.some((entry) => entry.customer_id === customerId));
  }

  /** Pays back; answers the code of the refusal, if it is one. The newest client asks in other words than the contract's. */
  async function refund(type, id, pieces, amountUsd) {
    if (sdk.version === '2.8.77') {
      const refundEntries = [{ entryIndex: 0, quantity: pieces, amountUsd }];
      return shop.admin.refundTransaction({ type, id, refundEntries }).then(() => undefined, (error) => error.errorCode ?? error);
    }
    const json = { type, id, refund_entries: [{ entry_index: 0, quantity: pieces, amount_usd: amountUsd }] };
    const { status, body } = await rest('POST', '/internal/payments/transactions/refund', { project: shop, accessType: 'admin', json });
    if (status === 200) assert.deepEqual(body, { success: true });
    return body.code;
  }

  /** A card for later, as somebody types it in on a page of the application. */
  async function addCard(customer, card) {
    const { clientSecret, stripeAccountId } = await customer.createPaymentMethodSetupIntent();
    assert.equal(stripeAccountId, shop.account);
    const id = clientSecret.split('_secret_')[0];
    assert.ok(id.startsWith('seti_'), clientSecret);
    await assertRejectsStatus(customer.setDefaultPaymentMethodFromSetupIntent(id), 400);
    await shop.at('confirm_setup_intent', { id, card });
    return customer.setDefaultPaymentMethodFromSetupIntent(id);
  }

  return { shop, server, member, owned, quantity, seller, becomes, begin, buy, subscribe, transactionsOf, refund, addCard };
}
