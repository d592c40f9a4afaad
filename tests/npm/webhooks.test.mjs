// Outgoing webhooks as a user's backend gets them, verified with the official libraries (svix, standardwebhooks).
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Webhook as StandardWebhook } from 'standardwebhooks';
import { Webhook as SvixWebhook } from 'svix';
import { clientApp, newestSdk, serverApp } from './support/sdk.mjs';
import { CALLBACK_URL, eventually, freshEmail, PASSWORD } from './support/check.mjs';
import { adminHeaders, clientHeaders, graphql, graphqlAnswer, serverHeaders } from './support/graphql.mjs';
import { codeIn, newestMailTo } from './support/mailbox.mjs';
import { freshProject } from './support/project.mjs';
import { startReceiver } from './support/receiver.mjs';

const CREATE = `mutation ($input: CreateWebhookEndpointInput!) {
  createWebhookEndpoint(input: $input) { secret webhookEndpoint { id url description filterTypes disabled } }
}`;
const UPDATE = `mutation ($input: UpdateWebhookEndpointInput!) {
  updateWebhookEndpoint(input: $input) { webhookEndpoint { id disabled } }
}`;
const DELETE = 'mutation ($input: DeleteWebhookEndpointInput!) { deleteWebhookEndpoint(input: $input) { id } }';
const ROTATE = 'mutation ($input: RotateWebhookSecretInput!) { rotateWebhookSecret(input: $input) { secret } }';
const TEST = 'mutation ($input: SendTestWebhookInput!) { sendTestWebhook(input: $input) { messageId deliveryId } }';
const RESEND = 'mutation ($input: ResendWebhookMessageInput!) { resendWebhookMessage(input: $input) { messageId } }';
const MESSAGES = `{ webhookMessages(first: 10) { edges { node { id eventType payload
  deliveries { edges { node { state attemptCount nextAttemptAt } } }
  attempts { edges { node { succeeded responseStatus trigger url } } } } } } }`;

describe('webhooks', () => {
  let project;
  let app;
  const receivers = [];

  async function receiver(answer) {
    const started = await startReceiver(answer);
    receivers.push(started);
    return started;
  }

  async function register(url, input = {}, of = project) {
    const { createWebhookEndpoint } = await graphql(adminHeaders(of), CREATE, { input: { url, ...input } });
    return { ...createWebhookEndpoint.webhookEndpoint, secret: createWebhookEndpoint.secret };
  }

  /** Both libraries must accept the delivery; answers the payload. */
  function verified(delivery, secret) {
    const payload = new SvixWebhook(secret).verify(delivery.body, delivery.headers);
    assert.deepEqual(new StandardWebhook(secret).verify(delivery.body, delivery.headers), payload);
    return payload;
  }

  // Every test has a project of its own: an endpoint gets everything that happens in its project.
  before(async () => {
    project = await freshProject();
    app = serverApp(newestSdk, project);
  });
  after(() => receivers.forEach((one) => one.close()));

  test('a registered endpoint answers its settings and its secret', async () => {
    const endpoint = await register('http://127.0.0.1:9/never', { description: 'Billing', filterTypes: ['user.deleted'], disabled: true });
    assert.match(endpoint.secret, /^whsec_[A-Za-z0-9+/]{32,}={0,2}$/);
    assert.ok(endpoint.id);
    delete endpoint.secret;
    assert.deepEqual(endpoint, {
      id: endpoint.id,
      url: 'http://127.0.0.1:9/never',
      description: 'Billing',
      filterTypes: ['user.deleted'],
      disabled: true,
    });
  });

  test('a user’s life arrives signed, under both header families, with the server’s view', async () => {
    const own = await freshProject();
    const server = serverApp(newestSdk, own);
    const hook = await receiver();
    const { secret } = await register(hook.url, {}, own);

    const email = freshEmail();
    const user = await server.createUser({ primaryEmail: email, displayName: 'Ada', serverMetadata: { plan: 'gold' } });
    await hook.received(1);
    const created = (await server.getUser(user.id)).toClientJson();
    await user.update({ displayName: 'Ada Lovelace' });
    await hook.received(2);
    const updated = (await server.getUser(user.id)).toClientJson();
    await user.delete();
    const deliveries = await hook.received(3);

    assert.deepEqual(deliveries.map((delivery) => verified(delivery, secret)), [
      { type: 'user.created', data: created },
      { type: 'user.updated', data: updated },
      { type: 'user.deleted', data: { id: user.id, teams: [] } },
    ]);
    for (const { method, path, headers } of deliveries) {
      assert.deepEqual([method, path, headers['content-type']], ['POST', '/hook', 'application/json']);
      assert.match(headers['svix-id'], /^msg_/);
      assert.match(headers['svix-signature'], /^v1,[A-Za-z0-9+/]+={0,2}$/);
      for (const part of ['id', 'timestamp', 'signature']) assert.equal(headers[`webhook-${part}`], headers[`svix-${part}`]);
      assert.ok(Math.abs(Number(headers['svix-timestamp']) - Date.now() / 1000) < 60);
    }
    assert.equal(new Set(deliveries.map((delivery) => delivery.headers['svix-id'])).size, 3, 'every message its own id');
  });

  test('another secret, a changed body or an old time does not verify', async () => {
    const hook = await receiver();
    const endpoint = await register(hook.url, { filterTypes: ['user.created'] });
    await app.createUser({});
    const [delivery] = await hook.received(1);
    verified(delivery, endpoint.secret);
    const other = await register('http://127.0.0.1:9/never', { disabled: true });
    assert.throws(() => verified(delivery, other.secret), /signature/i);
    const webhook = new SvixWebhook(endpoint.secret);
    assert.throws(() => webhook.verify(delivery.body.replace('user.created', 'user.deleted'), delivery.headers), /signature/i);
    const late = { ...delivery.headers, 'svix-timestamp': String(Number(delivery.headers['svix-timestamp']) - 600) };
    assert.throws(() => webhook.verify(delivery.body, late), /timestamp/i);
  });

  test('a sign-up and a verified address: created is told, verifying is not', async () => {
    const own = await freshProject();
    const hook = await receiver();
    const { secret } = await register(hook.url, {}, own);
    const browser = clientApp(newestSdk, own);
    const email = freshEmail();
    await browser.signUpWithCredential({ email, password: PASSWORD, verificationCallbackUrl: CALLBACK_URL, noRedirect: true });
    assert.equal((await browser.verifyEmail(codeIn(await newestMailTo(email), CALLBACK_URL))).status, 'ok');
    await (await browser.getUser({ or: 'throw' })).update({ displayName: 'Grace' });
    const payloads = (await hook.received(2)).map((delivery) => verified(delivery, secret));
    assert.deepEqual(payloads.map(({ type, data }) => [type, data.primary_email_verified, data.display_name]), [
      ['user.created', false, null],
      ['user.updated', true, 'Grace'],
    ]);
  });

  test('an endpoint gets the types it asked for, of its own project', async () => {
    const hook = await receiver();
    const { secret } = await register(hook.url, { filterTypes: ['user.deleted'] });
    const elsewhere = serverApp(newestSdk, await freshProject());
    await (await elsewhere.createUser({})).delete();
    const user = await app.createUser({});
    await user.update({ displayName: 'x' });
    await user.delete();
    const [delivery] = await hook.received(1);
    assert.deepEqual(verified(delivery, secret), { type: 'user.deleted', data: { id: user.id, teams: [] } });
    assert.equal(hook.deliveries.length, 1);
  });

  test('every endpoint gets its copy of one message, signed with its own secret', async () => {
    const own = await freshProject();
    const hooks = [await receiver(), await receiver()];
    const endpoints = [await register(hooks[0].url, {}, own), await register(hooks[1].url, {}, own)];
    const user = await serverApp(newestSdk, own).createUser({ displayName: 'Both' });
    const deliveries = await Promise.all(hooks.map(async (hook) => (await hook.received(1))[0]));
    deliveries.forEach((delivery, i) => assert.equal(verified(delivery, endpoints[i].secret).data.id, user.id));
    assert.equal(deliveries[0].headers['svix-id'], deliveries[1].headers['svix-id']);
    assert.equal(deliveries[0].body, deliveries[1].body);
    assert.throws(() => verified(deliveries[0], endpoints[1].secret), /signature/i);
  });

  test('a failed delivery is tried again under the same id with a new time', async () => {
    const hook = await receiver((delivery, number) => (number === 1 ? 500 : 204));
    const { secret } = await register(hook.url, { filterTypes: ['user.created'] });
    const user = await app.createUser({ displayName: 'Again' });
    const [first, second] = await hook.received(2, { deadlineMillis: 30_000 });
    assert.equal(verified(first, secret).data.id, user.id);
    verified(second, secret);
    assert.equal(second.headers['svix-id'], first.headers['svix-id']);
    assert.equal(second.body, first.body);
    assert.ok(Number(second.headers['svix-timestamp']) > Number(first.headers['svix-timestamp']));
    const wait = second.receivedAt - first.receivedAt;
    assert.ok(wait >= 3_900 && wait < 15_000, `5 s with jitter, not ${wait} ms`);
  });

  test('a redirect is a failure and is not followed; the log tells it', async () => {
    const own = await freshProject();
    const hook = await receiver(() => 302);
    await register(hook.url, {}, own);
    await serverApp(newestSdk, own).createUser({});
    await hook.received(1);
    const message = await eventually('the attempt in the log', async () => {
      const { webhookMessages } = await graphql(adminHeaders(own), MESSAGES);
      const node = webhookMessages.edges[0]?.node;
      return node?.attempts.edges.length > 0 ? node : null;
    });
    assert.equal(message.eventType, 'user.created');
    assert.equal(message.payload, hook.deliveries[0].body, 'the very bytes');
    assert.deepEqual(message.attempts.edges[0].node, { succeeded: false, responseStatus: 302, trigger: 'SCHEDULED', url: hook.url });
    const [{ node: delivery }] = message.deliveries.edges;
    assert.deepEqual([delivery.state, delivery.attemptCount], ['SENDING', 1]);
    assert.ok(Date.parse(delivery.nextAttemptAt) > Date.now() - 5_000);
    assert.deepEqual(hook.deliveries.map((one) => one.path), ['/hook']);
  });

  test('a message is sent again on demand', async () => {
    const own = await freshProject();
    const hook = await receiver();
    const { id, secret } = await register(hook.url, {}, own);
    await serverApp(newestSdk, own).createUser({});
    const [first] = await hook.received(1);
    const message = await eventually('the message in the log', async () => {
      const { webhookMessages } = await graphql(adminHeaders(own), MESSAGES);
      const node = webhookMessages.edges[0]?.node;
      return node?.deliveries.edges[0]?.node.state === 'SUCCEEDED' ? node : null;
    });
    await graphql(adminHeaders(own), RESEND, { input: { messageId: message.id, endpointId: id } });
    const [, second] = await hook.received(2);
    assert.equal(second.headers['svix-id'], first.headers['svix-id']);
    verified(second, secret);
  });

  test('a rotated secret signs besides the former one, or alone', async () => {
    const own = await freshProject();
    const server = serverApp(newestSdk, own);
    const hook = await receiver();
    const endpoint = await register(hook.url, {}, own);
    const { rotateWebhookSecret: second } = await graphql(adminHeaders(own), ROTATE, { input: { id: endpoint.id } });
    assert.notEqual(second.secret, endpoint.secret);
    await server.createUser({});
    const [both] = await hook.received(1);
    assert.equal(both.headers['svix-signature'].split(' ').length, 2);
    verified(both, endpoint.secret);
    verified(both, second.secret);

    const { rotateWebhookSecret: third } = await graphql(adminHeaders(own), ROTATE, { input: { id: endpoint.id, gracePeriodSeconds: 0 } });
    await server.createUser({});
    const [, next] = await hook.received(2);
    verified(next, third.secret);
    assert.throws(() => verified(next, second.secret), /signature/i);
  });

  test('the test message goes to its endpoint alone', async () => {
    const own = await freshProject();
    const [hook, other] = [await receiver(), await receiver()];
    const endpoint = await register(hook.url, { filterTypes: ['user.deleted'] }, own);
    await register(other.url, {}, own);
    await graphql(adminHeaders(own), TEST, { input: { endpointId: endpoint.id } });
    const [delivery] = await hook.received(1);
    const payload = verified(delivery, endpoint.secret);
    assert.equal(payload.type, 'stack.test');
    assert.equal(payload.data.endpointUrl, hook.url);
    // Later messages arrive, so this one would have arrived as well.
    await serverApp(newestSdk, own).createUser({});
    await other.received(1);
    assert.deepEqual(other.deliveries.map((one) => JSON.parse(one.body).type), ['user.created']);
  });

  test('a disabled or deleted endpoint gets nothing more', async () => {
    const own = await freshProject();
    const server = serverApp(newestSdk, own);
    const [disabled, deleted, witness] = [await receiver(), await receiver(), await receiver()];
    const one = await register(disabled.url, {}, own);
    const two = await register(deleted.url, {}, own);
    await register(witness.url, {}, own);
    await graphql(adminHeaders(own), UPDATE, { input: { id: one.id, disabled: true } });
    await graphql(adminHeaders(own), DELETE, { input: { id: two.id } });
    await server.createUser({});
    await witness.received(1);
    await graphql(adminHeaders(own), UPDATE, { input: { id: one.id, disabled: false } });
    const later = await server.createUser({});
    const [delivery] = await disabled.received(1);
    assert.equal(JSON.parse(delivery.body).data.id, later.id);
    assert.equal(deleted.deliveries.length, 0);
  });

  test('only an administrator registers endpoints', async () => {
    for (const headers of [serverHeaders(project), clientHeaders(project), {}]) {
      const answer = await graphqlAnswer(headers, CREATE, { input: { url: 'http://127.0.0.1:9/x' } });
      assert.ok(answer.errors?.length > 0, JSON.stringify(answer));
      assert.ok(answer.data === undefined || answer.data === null || answer.data.createWebhookEndpoint === null);
    }
  });

  test('what is no URL for webhooks is refused', async () => {
    for (const url of ['ftp://example.com/x', 'not a url', 'http://user:password@example.com/', '']) {
      const answer = await graphqlAnswer(adminHeaders(project), CREATE, { input: { url } });
      assert.ok(answer.errors?.[0]?.extensions?.code, `${url}: ${JSON.stringify(answer)}`);
    }
  });
});
