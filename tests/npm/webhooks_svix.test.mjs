// Webhooks managed with the official client of Svix and an application token, as an owner's page or script does; deliveries
// verified with every official library and, for asymmetric signatures, with node:crypto.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createPublicKey, verify as verifySignature } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Webhook as StandardWebhook } from 'standardwebhooks';
import { ApiException, Svix, Webhook as SvixWebhook } from 'svix';
import { newestSdk, serverApp } from './support/sdk.mjs';
import { assertRecent, eventually } from './support/check.mjs';
import { baseUrl } from './support/env.mjs';
import { adminHeaders, graphql } from './support/graphql.mjs';
import { freshProject } from './support/project.mjs';
import { startReceiver } from './support/receiver.mjs';
import { rest } from './support/rest.mjs';

const CREATE_ED25519 = `mutation ($url: String!) {
  createWebhookEndpoint(input: { url: $url, signature: ED25519 }) { secret webhookEndpoint { id } }
}`;
const python = process.env.POSTERN_TEST_PYTHON;

describe('the client of Svix', () => {
  let project;
  let app;
  let svix;
  const receivers = [];

  async function receiver(answer) {
    const started = await startReceiver(answer);
    receivers.push(started);
    return started;
  }

  /** A client with a fresh token. Its own repetitions would hide faults. */
  async function client(of = project) {
    const { status, body } = await rest('POST', '/webhooks/svix-token', { project: of, accessType: 'admin', json: {} });
    assert.deepEqual([status, Object.keys(body)], [201, ['token']]);
    return new Svix(body.token, { serverUrl: baseUrl, retryScheduleInMs: [] });
  }

  /** A project of its own with a client and a server, for tests that look at everything that is sent. */
  async function scene() {
    const own = await freshProject();
    return { own, id: own.projectId, svix: await client(own), server: serverApp(newestSdk, own) };
  }

  async function refusedWith(promise, code, check = () => {}) {
    await assert.rejects(promise, (error) => {
      assert.ok(error instanceof ApiException, error);
      assert.equal(error.code, code, JSON.stringify(error.body));
      check(error.body);
      return true;
    });
  }

  before(async () => {
    project = await freshProject();
    app = project.projectId;
    svix = await client();
  });
  after(() => receivers.forEach((one) => one.close()));

  test('endpoints are made, listed, read, replaced, patched and deleted', async () => {
    const made = await svix.endpoint.create(app, {
      url: 'https://example.com/hook',
      description: 'Billing',
      filterTypes: ['user.created', 'team.created'],
      channels: ['user:1'],
      throttleRate: 9,
    });
    assert.match(made.id, /^ep_[0-9a-f]{32}$/);
    assertRecent(made.createdAt);
    const { createdAt, updatedAt, id, ...told } = made;
    assert.deepEqual(told, {
      url: 'https://example.com/hook',
      description: 'Billing',
      filterTypes: ['user.created', 'team.created'],
      channels: ['user:1'],
      disabled: false,
      metadata: {},
      rateLimit: 9,
      throttleRate: 9,
      uid: null,
      version: 1,
    });
    assert.deepEqual(createdAt, updatedAt);
    assert.deepEqual(await svix.endpoint.get(app, id), made);
    const { data, done } = await svix.endpoint.list(app, { limit: 100 });
    assert.deepEqual([data, done], [[made], true]);

    const patched = await svix.endpoint.patch(app, id, { description: 'Accounts', channels: null, disabled: true });
    assert.deepEqual([patched.description, patched.channels, patched.disabled], ['Accounts', null, true]);
    assert.deepEqual(patched.filterTypes, ['user.created', 'team.created']);
    const updated = await svix.endpoint.update(app, id, { url: 'https://example.com/two' });
    assert.deepEqual([updated.url, updated.description, updated.filterTypes, updated.disabled], ['https://example.com/two', '', null, false]);

    assert.equal(await svix.endpoint.delete(app, id), undefined);
    await refusedWith(svix.endpoint.get(app, id), 404, (body) => assert.equal(body.code, 'not_found'));
    assert.deepEqual((await svix.endpoint.list(app)).data, []);
  });

  test('lists go on where the iterator says', async () => {
    const { svix: own, id } = await scene();
    const made = [];
    for (let i = 0; i < 7; i++) made.push((await own.endpoint.create(id, { url: `https://example.com/${i}` })).id);
    const seen = [];
    for (let iterator; ; ) {
      const page = await own.endpoint.list(id, { limit: 3, iterator });
      seen.push(...page.data.map((endpoint) => endpoint.id));
      iterator = page.iterator;
      if (page.done) break;
      assert.equal(page.data.length, 3);
    }
    assert.deepEqual(seen.sort(), made.sort());
  });

  test('what the server refuses has the form that the client knows', async () => {
    await refusedWith(svix.endpoint.create(app, { url: 'https://example.com/', filterTypes: ['user.exploded'] }), 422, ({ detail }) => {
      assert.deepEqual(detail[0].loc, ['body', 'filterTypes']);
      assert.match(detail[0].msg, /user\.exploded/);
      assert.equal(detail[0].type, 'value_error');
    });
    await refusedWith(new Svix('nonsense', { serverUrl: baseUrl, retryScheduleInMs: [] }).endpoint.list(app), 401, (body) =>
      assert.equal(body.code, 'authentication_failed'),
    );
    const other = await freshProject();
    await refusedWith(svix.endpoint.list(other.projectId), 404, (body) => assert.equal(body.code, 'not_found'));
    await refusedWith(svix.message.create(app, { eventType: 'user.created', payload: {} }), 403);
  });

  test('a request with an idempotency key is done once', async () => {
    const { svix: own, id } = await scene();
    const options = { idempotencyKey: 'just-once' };
    const first = await own.endpoint.create(id, { url: 'https://example.com/' }, options);
    assert.deepEqual(await own.endpoint.create(id, { url: 'https://example.com/' }, options), first);
    assert.equal((await own.endpoint.list(id)).data.length, 1);
  });

  test('secrets are read and rotated, and all libraries verify what is sent', async () => {
    const { svix: own, id, server } = await scene();
    const hook = await receiver();
    const endpoint = await own.endpoint.create(id, { url: hook.url });
    const first = (await own.endpoint.getSecret(id, endpoint.id)).key;
    assert.match(first, /^whsec_/);
    await own.endpoint.rotateSecret(id, endpoint.id, {});
    const second = (await own.endpoint.getSecret(id, endpoint.id)).key;
    assert.notEqual(second, first);
    const user = await server.createUser({ displayName: 'Ada' });
    const [delivery] = await hook.received(1);
    for (const secret of [first, second]) {
      const payload = new SvixWebhook(secret).verify(delivery.body, delivery.headers);
      assert.deepEqual([payload.type, payload.data.id], ['user.created', user.id]);
      assert.deepEqual(new StandardWebhook(secret).verify(delivery.body, delivery.headers), payload);
    }
    const chosen = 'whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD';
    await own.endpoint.rotateSecret(id, endpoint.id, { key: chosen, gracePeriodSeconds: 0 });
    assert.equal((await own.endpoint.getSecret(id, endpoint.id)).key, chosen);
    await user.delete();
    const [, next] = await hook.received(2);
    assert.equal(new SvixWebhook(chosen).verify(next.body, next.headers).type, 'user.deleted');
    assert.throws(() => new SvixWebhook(second).verify(next.body, next.headers), /signature/i);
  });

  test('Python verifies what is sent', { skip: !python && 'POSTERN_TEST_PYTHON is not set' }, async () => {
    const { svix: own, id, server } = await scene();
    const hook = await receiver();
    const endpoint = await own.endpoint.create(id, { url: hook.url });
    const { key } = await own.endpoint.getSecret(id, endpoint.id);
    await server.createUser({ displayName: 'Zoë' });
    const [{ headers, body }] = await hook.received(1);
    const script = fileURLToPath(new URL('../python/verify_webhook.py', import.meta.url));
    const verified = (given) => spawnSync(python, [script], { input: JSON.stringify(given), encoding: 'utf8' });
    const good = verified({ secret: key, headers, body });
    assert.equal(good.status, 0, good.stderr);
    assert.deepEqual(JSON.parse(good.stdout), JSON.parse(body));
    for (const bad of [
      { secret: 'whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD', headers, body },
      { secret: key, headers, body: `${body} ` },
    ]) {
      const refused = verified(bad);
      assert.notEqual(refused.status, 0);
      assert.match(refused.stderr, /No matching signature/);
    }
  });

  test('an asymmetric signature verifies with the public key alone', async () => {
    const { own, svix: manager, id, server } = await scene();
    const hook = await receiver();
    const { createWebhookEndpoint } = await graphql(adminHeaders(own), CREATE_ED25519, { url: hook.url });
    assert.match(createWebhookEndpoint.secret, /^whpk_/);
    const { data } = await manager.endpoint.list(id);
    assert.equal((await manager.endpoint.getSecret(id, data[0].id)).key, createWebhookEndpoint.secret);
    await server.createUser({});
    const [{ headers, body }] = await hook.received(1);
    const raw = Buffer.from(createWebhookEndpoint.secret.slice('whpk_'.length), 'base64');
    assert.equal(raw.length, 32);
    const key = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x: raw.toString('base64url') }, format: 'jwk' });
    const signed = (text) => Buffer.from(`${headers['svix-id']}.${headers['svix-timestamp']}.${text}`);
    const [version, signature] = headers['svix-signature'].split(',');
    assert.equal(version, 'v1a');
    assert.equal(headers['webhook-signature'], headers['svix-signature']);
    assert.ok(verifySignature(null, signed(body), key, Buffer.from(signature, 'base64')));
    assert.ok(!verifySignature(null, signed(`${body} `), key, Buffer.from(signature, 'base64')));
  });

  test('headers are read and changed, and sent along; sensitive ones are not shown', async () => {
    const { svix: own, id, server } = await scene();
    const hook = await receiver();
    const endpoint = await own.endpoint.create(id, { url: hook.url });
    await own.endpoint.updateHeaders(id, endpoint.id, { headers: { 'X-One': '1', Authorization: 'Bearer hidden' } });
    assert.deepEqual(await own.endpoint.getHeaders(id, endpoint.id), { headers: { 'x-one': '1' }, sensitive: ['authorization'] });
    await own.endpoint.patchHeaders(id, endpoint.id, { headers: { 'x-two': '2' }, deleteHeaders: ['x-one'] });
    assert.deepEqual(await own.endpoint.getHeaders(id, endpoint.id), { headers: { 'x-two': '2' }, sensitive: ['authorization'] });
    await refusedWith(own.endpoint.updateHeaders(id, endpoint.id, { headers: { 'svix-id': 'x' } }), 422);
    await server.createUser({});
    const [{ headers }] = await hook.received(1);
    assert.deepEqual([headers['x-one'], headers['x-two'], headers.authorization], [undefined, '2', 'Bearer hidden']);
  });

  test('attempts and messages are listed and read, and a message is sent again', async () => {
    const { svix: own, id, server } = await scene();
    const hook = await receiver((delivery, number) => (number === 1 ? 500 : 200));
    const endpoint = await own.endpoint.create(id, { url: hook.url });
    await server.createUser({ displayName: 'Ada' });
    const [attempt] = await eventually('the attempt', async () => {
      const { data } = await own.messageAttempt.listByEndpoint(id, endpoint.id, { withMsg: true });
      return data.length > 0 && data;
    });
    assert.match(attempt.id, /^atmpt_[0-9a-f]{32}$/);
    assertRecent(attempt.timestamp);
    assert.deepEqual(
      [attempt.endpointId, attempt.url, attempt.responseStatusCode, attempt.status, attempt.statusText, attempt.triggerType],
      [endpoint.id, hook.url, 500, 3, 'sending', 0],
    );
    const message = await own.message.get(id, attempt.msgId);
    assert.deepEqual(attempt.msg, message);
    assert.equal(message.eventType, 'user.created');
    assert.deepEqual(message.payload, JSON.parse(hook.deliveries[0].body));
    assert.equal(hook.deliveries[0].headers['svix-id'], message.id);
    assert.deepEqual((await own.message.list(id, { eventTypes: ['user.created', 'user.deleted'] })).data, [message]);
    assert.deepEqual((await own.message.list(id, { eventTypes: ['user.deleted'] })).data, []);
    assert.deepEqual((await own.message.list(id, { after: new Date(Date.now() + 60_000) })).data, []);
    assert.deepEqual((await own.messageAttempt.listByEndpoint(id, endpoint.id, { status: 0 })).data, []);

    await own.messageAttempt.resend(id, message.id, endpoint.id);
    const both = await eventually('the second attempt', async () => {
      const { data } = await own.messageAttempt.listByMsg(id, message.id);
      return data.length === 2 && data;
    });
    assert.deepEqual(both.map(({ status, triggerType }) => [status, triggerType]), [[0, 1], [3, 0]]);
    assert.equal(hook.deliveries[1].headers['svix-id'], message.id);
    const [sent] = (await own.messageAttempt.listAttemptedMessages(id, endpoint.id)).data;
    assert.deepEqual([sent.id, sent.statusText, sent.nextAttempt], [message.id, 'success', null]);
    const [destination] = (await own.messageAttempt.listAttemptedDestinations(id, message.id)).data;
    assert.deepEqual([destination.id, destination.status], [endpoint.id, 0]);
    const { success, fail, sending, pending } = await own.endpoint.getStats(id, endpoint.id);
    assert.deepEqual([success, fail, sending, pending], [1, 0, 0, 0]);
    await own.messageAttempt.expungeContent(id, message.id, attempt.id);
    assert.equal((await own.messageAttempt.get(id, message.id, attempt.id)).response, '');
  });

  test('examples are sent; what never came is replayed, and recovering begins', async () => {
    const { svix: own, id, server } = await scene();
    // Messages are kept where anybody could get them.
    await own.endpoint.create(id, { url: (await receiver()).url });
    const user = await server.createUser({ displayName: 'Early' });
    const since = new Date(Date.now() - 60_000);
    await eventually('the message', async () => (await own.message.list(id)).data.length === 1);
    const hook = await receiver();
    const endpoint = await own.endpoint.create(id, { url: hook.url, filterTypes: ['user.created'] });
    const example = await own.endpoint.sendExample(id, endpoint.id, { eventType: 'team.created' });
    const [delivery] = await hook.received(1);
    assert.deepEqual([delivery.headers['svix-id'], JSON.parse(delivery.body)], [example.id, example.payload]);
    const replay = await own.endpoint.replayMissing(id, endpoint.id, { since });
    assert.deepEqual([replay.status, replay.task], ['running', 'endpoint.replay']);
    const [, early] = await hook.received(2);
    assert.equal(JSON.parse(early.body).data.id, user.id);
    const recovery = await own.endpoint.recover(id, endpoint.id, { since, until: new Date() });
    assert.deepEqual([recovery.status, recovery.task], ['running', 'endpoint.recover']);
    assertRecent(recovery.updatedAt);
    await refusedWith(own.endpoint.recover(id, endpoint.id, { since: new Date(0) }), 422);
    await refusedWith(own.endpoint.sendExample(id, endpoint.id, { eventType: 'svix.ping' }), 422);
  });

  test('types of events are listed', async () => {
    const { data } = await svix.eventType.list({ withContent: true, limit: 250 });
    const names = data.map((kind) => kind.name);
    for (const name of ['user.created', 'team_membership.deleted', 'project_permission.created']) assert.ok(names.includes(name), name);
    assert.ok(data.every((kind) => kind.description && !kind.archived && kind.schemas['1'].examples[0].type === kind.name));
    assert.equal((await svix.eventType.get('user.deleted')).name, 'user.deleted');
  });

  test('the test call tells whether its message arrived', async () => {
    const hook = await receiver((delivery, number) => (number === 1 ? 200 : 418));
    const endpoint = await svix.endpoint.create(app, { url: hook.url, filterTypes: ['user.deleted'] });
    const tried = async (endpointId) => {
      const json = { endpoint_id: endpointId };
      const { status, body } = await rest('POST', '/internal/send-test-webhook', { project, accessType: 'admin', json });
      assert.equal(status, 200);
      return body;
    };
    assert.deepEqual(await tried(endpoint.id), { success: true });
    assert.equal(JSON.parse(hook.deliveries[0].body).type, 'stack.test');
    const failed = await tried(endpoint.id);
    assert.deepEqual([failed.success, /418/.test(failed.error_message)], [false, true]);
    assert.equal((await tried('ep_0')).success, false);
  });
});
