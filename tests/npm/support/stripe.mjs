// Stripe, as the server under test has it: a fake that speaks Stripe's wire format and is told over HTTP what customers and banks
// do (`tests/stripe`). Stripe's own library signs its events, as Stripe does, and reads what it has.
import assert from 'node:assert/strict';
import Stripe from 'stripe';
import { baseUrl, required } from './env.mjs';
import { freshProject } from './project.mjs';
import { adminApp } from './sdk.mjs';

const controlUrl = new URL(required('POSTERN_STRIPE_CONTROL_URL'));
const webhookSecret = required('POSTERN_STRIPE_WEBHOOK_SECRET');

/** Stripe's library, calling the fake. */
export const stripe = new Stripe('sk_test_fake', {
  protocol: controlUrl.protocol.replace(':', ''),
  host: controlUrl.hostname,
  port: Number(controlUrl.port),
  telemetry: false,
  maxNetworkRetries: 0,
});

/** Has the fake do something by its name: `pay_intent`, `renew`, …; answers what that answers. */
export async function control(name, json = {}) {
  const response = await fetch(new URL(`/_control/${name}`, controlUrl), { method: 'POST', body: JSON.stringify(json) });
  const body = await response.json();
  assert.equal(response.status, 200, `${name}: ${JSON.stringify(body)}`);
  return body;
}

/** The header `stripe-signature` of a payload, made by Stripe's library. */
export function signatureOf(payload, { secret = webhookSecret, timestamp } = {}) {
  return stripe.webhooks.generateTestHeaderString({ payload, secret, timestamp });
}

/** Posts a payload to the server with this signature; answers `{status, body}`. */
export async function postPayload(payload, signature = signatureOf(payload)) {
  const response = await fetch(`${baseUrl}/api/v1/integrations/stripe/webhooks`, {
    method: 'POST',
    headers: { 'content-type': 'application/json; charset=utf-8', ...(signature && { 'stripe-signature': signature }) },
    body: payload,
  });
  return { status: response.status, body: await response.text() };
}

/** Posts an event as Stripe does, with the very bytes and header that Stripe's library takes for an event of Stripe's. */
export async function postEvent(event) {
  const payload = JSON.stringify(event);
  const signature = signatureOf(payload);
  const read = stripe.webhooks.constructEvent(payload, signature, webhookSecret);
  assert.deepEqual(read, event);
  assert.equal(read.object, 'event');
  assert.ok(read.id.startsWith('evt_') && read.account.startsWith('acct_') && read.data.object.object, payload);
  assert.deepEqual(await postPayload(payload, signature), { status: 200, body: '{"received":true}' }, read.type);
}

/** The path segment of a purchase URL: what the calls of the contract name `full_code`. */
export function codeOf(url) {
  return new URL(url).pathname.match(/^\/purchase\/([^/]+)$/)[1];
}

/**
 * A project that sells: `freshProject` with this config and an account at the fake that can take payments. Besides that:
 * `account`, `admin` (an app), `deliver()`, which posts the events of the account that were not posted yet and answers them, and
 * `at(name, arguments)`, the control of the fake for this account.
 */
export async function openShop(sdk, config, options) {
  const project = await freshProject(sdk, options);
  await project.ownedProject.updateConfig(config);
  const admin = adminApp(sdk, project);
  await admin.setupPayments();
  const account = (await admin.getStripeAccountInfo()).account_id;
  const at = (name, json) => control(name, { account, ...json });
  await at('enable_charges');
  let posted = 0;
  // Not taken from all events that nobody has taken yet: other suites have accounts at the same fake.
  async function deliver() {
    const fresh = (await at('events')).slice(posted);
    posted += fresh.length;
    for (const event of fresh) await postEvent(event);
    return fresh;
  }
  await deliver();
  return { ...project, account, admin, at, deliver };
}
