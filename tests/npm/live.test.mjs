// Subscriptions through the clients that people use: graphql-ws and graphql-sse.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { demo } from './support/env.mjs';
import { clientApp, newestSdk, serverApp } from './support/sdk.mjs';
import { assertRecent, eventually, freshEmail, PASSWORD } from './support/check.mjs';
import { clientHeaders, follow, graphql, serverHeaders, socketClient, sseClient } from './support/graphql.mjs';
import { freshProject } from './support/project.mjs';

const EVENTS = `subscription ($types: [String!], $after: String) {
  events(types: $types, after: $after) { cursor type createdAt userId payload }
}`;
const MY_EVENTS = 'subscription { myEvents { cursor type user { id displayName } } }';


for (const [name, open] of [
  ['graphql-ws', socketClient],
  ['graphql-sse', sseClient],
]) {
  describe(`events through ${name}`, () => {
    let project;
    let app;
    const clients = [];
    const connect = (headers, ...more) => {
      const client = open(headers, ...more);
      clients.push(client);
      return client;
    };
    before(async () => {
      project = await freshProject();
      app = serverApp(newestSdk, project);
    });
    after(() => clients.forEach((client) => client.dispose()));

    test('a backend hears of a user’s life in order, with the server’s view', async () => {
      // Starts at a cursor, so that nothing depends on when the subscription came into force.
      const first = await app.createUser({ displayName: 'First' });
      const events = follow(connect(serverHeaders(project)), EVENTS, { after: await cursorOf(project, first.id) });
      const email = freshEmail();
      const user = await app.createUser({ displayName: 'Ada', primaryEmail: email, serverMetadata: { plan: 'gold' } });
      await user.update({ displayName: 'Ada Lovelace' });
      await user.delete();

      const answers = (await events.next(3)).map((answer) => {
        assert.equal(answer.errors, undefined);
        return answer.data.events;
      });
      assert.deepEqual(answers.map((event) => [event.type, event.userId]), [
        ['user.created', user.id],
        ['user.updated', user.id],
        ['user.deleted', user.id],
      ]);
      for (const event of answers) assertRecent(Date.parse(event.createdAt));
      // The snapshots of a deleted user are erased, so they are told only to those who were quick enough.
      for (const [event, displayName] of [
        [answers[0], 'Ada'],
        [answers[1], 'Ada Lovelace'],
      ]) {
        if (event.payload === null) continue;
        assert.equal(event.payload.id, user.id);
        assert.equal(event.payload.display_name, displayName);
        assert.equal(event.payload.primary_email, email);
        assert.deepEqual(event.payload.server_metadata, { plan: 'gold' });
      }
      events.stop?.();
    });

    test('only the wanted types are told', async () => {
      const first = await app.createUser({ displayName: 'First' });
      const events = follow(connect(serverHeaders(project)), EVENTS, {
        types: ['user.deleted'],
        after: await cursorOf(project, first.id),
      });
      const user = await app.createUser({ displayName: 'Brief' });
      await user.update({ displayName: 'Briefer' });
      await user.delete();
      const [answer] = await events.next();
      assert.deepEqual([answer.data.events.type, answer.data.events.userId], ['user.deleted', user.id]);
      assert.deepEqual(events.pending, []);
    });

    test('a cursor goes on where another connection stopped: nothing twice, nothing lost', async () => {
      const first = await app.createUser({ displayName: 'First' });
      const start = await cursorOf(project, first.id);
      const users = [];
      for (let i = 0; i < 5; i += 1) users.push(await app.createUser({ displayName: `Number ${i}` }));

      const one = follow(connect(serverHeaders(project)), EVENTS, { after: start });
      const seen = (await one.next(2)).map((answer) => answer.data.events);
      const two = follow(connect(serverHeaders(project)), EVENTS, { after: seen[1].cursor });
      const rest = (await two.next(3)).map((answer) => answer.data.events);
      assert.deepEqual([...seen, ...rest].map((event) => event.userId), users.map((user) => user.id));
    });

    test('without a cursor the subscription starts now', async () => {
      const events = follow(connect(serverHeaders(project)), EVENTS, {});
      // There is no sign that a subscription is in force, so users are made until one is told.
      const made = [];
      const timer = setInterval(async () => made.push((await app.createUser({ displayName: 'now' })).id), 200);
      const [answer] = await events.next();
      clearInterval(timer);
      assert.equal(answer.data.events.type, 'user.created');
      assert.ok(answer.data.events.payload.display_name === 'now');
    });

    test('another project’s events are not told', async () => {
      const other = await freshProject();
      const first = await app.createUser({ displayName: 'First' });
      const events = follow(connect(serverHeaders(project)), EVENTS, { after: await cursorOf(project, first.id) });
      await serverApp(newestSdk, other).createUser({ displayName: 'Elsewhere' });
      const mine = await app.createUser({ displayName: 'Here' });
      const [answer] = await events.next();
      assert.equal(answer.data.events.userId, mine.id);
    });

    test('a browser may not follow the log, but hears of its own user', async () => {
      const browser = clientApp(newestSdk, project);
      await browser.signUpWithCredential({ email: freshEmail(), password: PASSWORD, noVerificationCallback: true, noRedirect: true });
      const headers = clientHeaders(project, await browser.getAccessToken());

      const refused = follow(connect(headers), EVENTS, {});
      assert.ok(await codesOf(refused, 'FORBIDDEN'));

      const user = await browser.getUser({ or: 'throw' });
      const mine = follow(connect(headers), MY_EVENTS);
      const timer = setInterval(() => user.update({ clientMetadata: { at: Date.now() } }), 200);
      const [answer] = await mine.next();
      clearInterval(timer);
      assert.equal(answer.data.myEvents.type, 'user.updated');
      assert.equal(answer.data.myEvents.user.id, user.id);
    });
  });
}

describe('the end of a socket', () => {
  async function closedWith(headers, trigger) {
    let opened;
    const ack = new Promise((resolve) => (opened = resolve));
    let closed;
    const close = new Promise((resolve) => (closed = resolve));
    const client = socketClient(headers, { connected: opened, closed: (event) => closed(event) });
    const events = follow(client, 'subscription { myEvents { type } }');
    events.ended.catch(() => {});
    await Promise.race([ack, close]);
    await trigger?.();
    const event = await close;
    return { code: event.code, reason: event.reason };
  }

  test('a wrong key is refused in the handshake', async () => {
    const headers = { ...serverHeaders(demo), 'x-stack-secret-server-key': `ssk_${'0'.repeat(45)}` };
    assert.deepEqual(await closedWith(headers), { code: 4403, reason: 'INVALID_SECRET_SERVER_KEY' });
  });

  test('signing out closes the sockets of the session', async () => {
    const browser = clientApp(newestSdk, demo);
    await browser.signUpWithCredential({ email: freshEmail(), password: PASSWORD, noVerificationCallback: true, noRedirect: true });
    const headers = clientHeaders(demo, await browser.getAccessToken());
    const { code } = await closedWith(headers, () => browser.signOut());
    assert.equal(code, 4403);
  });

  test('revoking a key set closes the sockets it opened', async () => {
    const project = await freshProject();
    const [key] = await project.ownedProject.app.listInternalApiKeys();
    let closed;
    const close = new Promise((resolve) => (closed = resolve));
    let opened;
    const ack = new Promise((resolve) => (opened = resolve));
    const client = socketClient(serverHeaders(project), { connected: opened, closed });
    follow(client, EVENTS, {}).ended.catch(() => {});
    await ack;
    await key.revoke();
    assert.equal((await close).code, 4403);
  });
});

/** The cursor of the newest event about this user, as soon as the log has it. */
async function cursorOf(project, userId) {
  const query = 'query ($userId: ID!) { events(first: 200, userId: $userId) { edges { cursor } } }';
  return eventually('the event of the user', async () => {
    const data = await graphql(serverHeaders(project), query, { userId });
    return data.events.edges.at(-1)?.cursor;
  });
}

/** Whether the subscription was refused with this code, as an error of the operation or as an answer that carries errors. */
async function codesOf(subscription, code) {
  const timeout = new Promise((resolve) => setTimeout(resolve, 10_000, 'nothing came'));
  const answered = subscription.next().then(
    ([answer]) => answer.errors,
    (error) => error.failure,
  );
  const errors = await Promise.race([answered, timeout]);
  assert.ok(Array.isArray(errors), `expected errors, got ${errors}`);
  assert.deepEqual(errors.map((error) => error.extensions?.code), [code]);
  return true;
}
