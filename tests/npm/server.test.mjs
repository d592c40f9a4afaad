// The server app of the official client: what a backend does with the users of its project.
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { demo } from './support/env.mjs';
import { clientApp, describeEachSdk, serverApp } from './support/sdk.mjs';
import {
  assertKnownError,
  assertRecent,
  assertRejectsKnown,
  assertRejectsStatus,
  CALLBACK_URL,
  freshEmail,
  PASSWORD,
  RANDOM_45,
  UUID,
} from './support/check.mjs';
import { codeIn, newestMailTo } from './support/mailbox.mjs';
import { freshProject } from './support/project.mjs';

const signIn = (sdk, project, email, password = PASSWORD) =>
  clientApp(sdk, project).signInWithCredential({ email, password, noRedirect: true });

describeEachSdk('server app: creating and reading users', (sdk) => {
  let app;
  before(() => {
    app = serverApp(sdk, demo);
  });

  test('a user with everything given shows the whole server view', async () => {
    const email = freshEmail();
    const user = await app.createUser({
      primaryEmail: email.toUpperCase(),
      primaryEmailVerified: true,
      primaryEmailAuthEnabled: true,
      password: PASSWORD,
      displayName: 'Ada',
      clientMetadata: { a: 1 },
      clientReadOnlyMetadata: { b: [true] },
      serverMetadata: { secret: 'note' },
    });
    const json = user.toClientJson();
    assert.match(json.id, UUID);
    assertRecent(json.signed_up_at_millis);
    assertRecent(json.last_active_at_millis);
    assert.deepEqual(json, {
      id: user.id,
      display_name: 'Ada',
      primary_email: email,
      primary_email_verified: true,
      primary_email_auth_enabled: true,
      profile_image_url: null,
      client_metadata: { a: 1 },
      client_read_only_metadata: { b: [true] },
      server_metadata: { secret: 'note' },
      signed_up_at_millis: json.signed_up_at_millis,
      last_active_at_millis: json.last_active_at_millis,
      has_password: true,
      otp_auth_enabled: false,
      passkey_auth_enabled: false,
      auth_with_email: true,
      requires_totp_mfa: false,
      oauth_providers: [],
      selected_team_id: null,
      selected_team: null,
      is_anonymous: false,
      is_restricted: false,
      restricted_reason: null,
      restricted_by_admin: false,
      restricted_by_admin_reason: null,
      restricted_by_admin_private_details: null,
      country_code: null,
      risk_scores: { sign_up: { bot: 0, free_trial_abuse: 0 } },
    });
    assert.deepEqual((await app.getUser(user.id)).toClientJson(), json, 'reading it gives the same');
    assert.equal((await signIn(sdk, demo, email)).status, 'ok', 'the password works');
  });

  test('a user with nothing given is empty but whole', async () => {
    const user = await app.createUser({});
    assert.equal(user.primaryEmail, null);
    assert.equal(user.primaryEmailVerified, false);
    assert.equal(user.displayName, null);
    assert.equal(user.hasPassword, false);
    assert.equal(user.emailAuthEnabled, false);
    assert.equal(user.serverMetadata, null);
    assertRecent(user.signedUpAt);
    assertRecent(user.lastActiveAt);
    assert.deepEqual(await user.listContactChannels(), []);
  });

  test('an address in use for signing in is refused, a mere address is not', async () => {
    const email = freshEmail();
    const first = await app.createUser({ primaryEmail: email, primaryEmailAuthEnabled: true });
    await assertRejectsKnown(sdk, app.createUser({ primaryEmail: email, primaryEmailAuthEnabled: true }), 'UserWithEmailAlreadyExists', {
      details: { email, would_work_if_email_was_verified: false },
    });
    const second = await app.createUser({ primaryEmail: email });
    assert.notEqual(second.id, first.id);
  });

  test('values of the wrong kind are schema errors and create nobody', async () => {
    const project = await freshProject(sdk);
    const own = serverApp(sdk, project);
    for (const bad of [
      { primaryEmail: 'no address' },
      { primaryEmail: '' },
      { displayName: 'x'.repeat(257) },
      { primaryEmail: freshEmail(), password: 'x'.repeat(71) },
    ]) {
      await assertRejectsKnown(sdk, own.createUser(bad), 'SchemaError');
    }
    await assertRejectsStatus(own.createUser({ primaryEmailVerified: true }), 400);
    assert.deepEqual([...(await own.listUsers())], []);
  });

  test('an unknown id is nobody, a malformed one a schema error, a foreign one nobody', async () => {
    assert.equal(await app.getUser('33333333-3333-4333-8333-333333333333'), null);
    await assertRejectsKnown(sdk, app.getUser('no-uuid'), 'SchemaError');
    const project = await freshProject(sdk);
    const foreign = await serverApp(sdk, project).createUser({ displayName: 'Elsewhere' });
    assert.equal(await app.getUser(foreign.id), null);
  });

  test('a wrong secret key is refused', async () => {
    const wrong = serverApp(sdk, { ...demo, secretServerKey: `ssk_${'0'.repeat(45)}` });
    const details = { project_id: demo.projectId };
    await assertRejectsKnown(sdk, wrong.listUsers(), 'InvalidSecretServerKey', { details });
    await assertRejectsKnown(sdk, wrong.createUser({}), 'InvalidSecretServerKey', { details });
    const notSecret = serverApp(sdk, { ...demo, secretServerKey: demo.publishableClientKey });
    await assertRejectsKnown(sdk, notSecret.listUsers(), 'InvalidSecretServerKey', { details });
  });

  test('the tokens of a browser name its user to the backend', async () => {
    const client = clientApp(sdk, demo);
    const email = freshEmail();
    await client.signUpWithCredential({ email, password: PASSWORD, noVerificationCallback: true, noRedirect: true });
    const tokens = await client.getAuthJson();
    const user = await app.getUser({ tokenStore: tokens });
    assert.equal(user.primaryEmail, email);
    assert.equal(user.serverMetadata, null, 'the server view');
    const viaHeader = await app.getUser({ tokenStore: { headers: new Headers(await client.getAuthHeaders()) } });
    assert.equal(viaHeader.id, user.id);
    assert.equal(await app.getUser({ tokenStore: { accessToken: null, refreshToken: null } }), null);
  });
});

describeEachSdk('server app: listing users', (sdk) => {
  let app;
  let users;
  const ids = (list) => list.map((user) => user.id);

  before(async () => {
    app = serverApp(sdk, await freshProject(sdk));
    users = [];
    for (const [displayName, primaryEmail] of [
      ['Ada Lovelace', 'ada@math.example'],
      ['Grace Hopper', 'grace@navy.example'],
      ['Alan Turing', 'alan@math.example'],
      ['Edsger Dijkstra', 'ed@math.example'],
      ['100% _real_', 'percent@odd.example'],
    ]) {
      users.push(await app.createUser({ displayName, primaryEmail }));
    }
  });

  test('without options everybody comes, oldest first', async () => {
    const list = await app.listUsers();
    assert.deepEqual(ids(list), ids(users));
    assert.equal(list.nextCursor, null);
    assert.deepEqual(list.map((u) => u.displayName), users.map((u) => u.displayName));
  });

  test('pages follow one another by cursor until there is none', async () => {
    const pages = [];
    let cursor;
    do {
      const page = await app.listUsers({ limit: 2, ...(cursor ? { cursor } : {}) });
      pages.push(ids(page));
      cursor = page.nextCursor;
    } while (cursor);
    assert.deepEqual(pages, [ids(users.slice(0, 2)), ids(users.slice(2, 4)), ids(users.slice(4))]);
  });

  test('a page that ends with the last user has no next one', async () => {
    assert.equal((await app.listUsers({ limit: 5 })).nextCursor, null);
    assert.equal((await app.listUsers({ limit: 4 })).nextCursor, users[4].id, 'the cursor is the first of the next page');
  });

  test('the order is by sign-up, both ways, and pages keep it', async () => {
    const newestFirst = ids(users).toReversed();
    assert.deepEqual(ids(await app.listUsers({ orderBy: 'signedUpAt', desc: true })), newestFirst);
    assert.deepEqual(ids(await app.listUsers({ orderBy: 'signedUpAt', desc: false })), ids(users));
    const first = await app.listUsers({ orderBy: 'signedUpAt', desc: true, limit: 3 });
    assert.deepEqual(ids(first), newestFirst.slice(0, 3));
    const second = await app.listUsers({ orderBy: 'signedUpAt', desc: true, limit: 3, cursor: first.nextCursor });
    assert.deepEqual(ids(second), newestFirst.slice(3));
  });

  test('search finds parts of names and addresses in any case, whole ids, and nothing else', async () => {
    const found = async (query) => (await app.listUsers({ query })).map((user) => user.displayName);
    assert.deepEqual(await found('LOVELACE'), ['Ada Lovelace']);
    assert.deepEqual(await found('@math.'), ['Ada Lovelace', 'Alan Turing', 'Edsger Dijkstra']);
    assert.deepEqual(await found(users[1].id), ['Grace Hopper']);
    assert.deepEqual(await found('nobody at all'), []);
    assert.deepEqual(await found('100% _'), ['100% _real_'], 'wildcards of the database are letters like others');
    assert.deepEqual(await found('lo%ce'), []);
    assert.deepEqual(await found("' or 1=1 --"), []);
  });

  test('search, order and pages work together', async () => {
    const options = { query: '@math.', orderBy: 'signedUpAt', desc: true, limit: 2 };
    const first = await app.listUsers(options);
    assert.deepEqual(ids(first), [users[3].id, users[2].id]);
    const second = await app.listUsers({ ...options, cursor: first.nextCursor });
    assert.deepEqual(ids(second), [users[0].id]);
    assert.equal(second.nextCursor, null);
  });

  test('bad limits and cursors are schema errors', async () => {
    await assertRejectsKnown(sdk, app.listUsers({ limit: 0 }), 'SchemaError');
    await assertRejectsKnown(sdk, app.listUsers({ limit: 1.5 }), 'SchemaError');
    await assertRejectsKnown(sdk, app.listUsers({ cursor: 'no-uuid' }), 'SchemaError');
  });

  if (sdk.version !== '2.8.77') {
    test('the newest client also orders by last activity', async () => {
      assert.deepEqual(ids(await app.listUsers({ orderBy: 'lastActiveAt', desc: true })), ids(users).toReversed());
    });
  }

  test('users restricted by an administrator come only when asked for', async () => {
    const own = serverApp(sdk, await freshProject(sdk));
    const free = await own.createUser({ displayName: 'Free' });
    const restricted = await own.createUser({ displayName: 'Restricted' });
    await restricted.update({ restrictedByAdmin: true, restrictedByAdminReason: 'spam', restrictedByAdminPrivateDetails: 'seen twice' });
    assert.deepEqual(ids(await own.listUsers()), [free.id]);
    assert.deepEqual(ids(await own.listUsers({ includeRestricted: true })), [free.id, restricted.id]);
    const read = await own.getUser(restricted.id);
    assert.equal(read.isRestricted, true);
    assert.deepEqual(read.restrictedReason, { type: 'restricted_by_administrator' });
    assert.equal(read.restrictedByAdminReason, 'spam');
    assert.equal(read.restrictedByAdminPrivateDetails, 'seen twice');
  });
});

describeEachSdk('server app: changing and deleting users', (sdk) => {
  let app;
  before(() => {
    app = serverApp(sdk, demo);
  });

  test('an update writes what is given and leaves the rest', async () => {
    const user = await app.createUser({ displayName: 'Before', serverMetadata: { keep: true } });
    await user.update({
      displayName: 'After',
      clientMetadata: { c: 1 },
      clientReadOnlyMetadata: { r: 2 },
      profileImageUrl: 'https://example.com/ada.png',
    });
    const read = await app.getUser(user.id);
    assert.equal(read.displayName, 'After');
    assert.deepEqual(read.clientMetadata, { c: 1 });
    assert.deepEqual(read.clientReadOnlyMetadata, { r: 2 });
    assert.deepEqual(read.serverMetadata, { keep: true });
    assert.equal(read.profileImageUrl, 'https://example.com/ada.png', 'a server may name any picture');
    await user.setServerMetadata(null);
    assert.equal((await app.getUser(user.id)).serverMetadata, null);
  });

  test('the primary address is replaced; the old one stays a channel', async () => {
    const [before_, after] = [freshEmail('old'), freshEmail('new')];
    const user = await app.createUser({ primaryEmail: before_, primaryEmailAuthEnabled: true, password: PASSWORD });
    await user.setPrimaryEmail(after, { verified: true });
    const read = await app.getUser(user.id);
    assert.equal(read.primaryEmail, after);
    assert.equal(read.primaryEmailVerified, true);
    assert.deepEqual(
      (await read.listContactChannels()).map((c) => [c.value, c.isPrimary, c.isVerified, c.usedForAuth]),
      [
        [before_, false, false, true],
        [after, true, true, true],
      ],
    );
    assert.equal((await signIn(sdk, demo, after)).status, 'ok');
    assert.equal((await signIn(sdk, demo, before_)).status, 'ok', 'the old address still signs in');

    await user.setPrimaryEmail(null);
    const without = await app.getUser(user.id);
    assert.equal(without.primaryEmail, null);
    assert.equal(without.primaryEmailVerified, false);
  });

  test('an address taken by another user is refused and nothing changes', async () => {
    const taken = freshEmail('taken');
    await app.createUser({ primaryEmail: taken, primaryEmailAuthEnabled: true });
    const mine = freshEmail('mine');
    const user = await app.createUser({ primaryEmail: mine, primaryEmailAuthEnabled: true, displayName: 'Before' });
    await assertRejectsKnown(sdk, user.update({ primaryEmail: taken, displayName: 'After' }), 'UserWithEmailAlreadyExists', {
      details: { email: taken, would_work_if_email_was_verified: false },
    });
    const read = await app.getUser(user.id);
    assert.equal(read.primaryEmail, mine);
    assert.equal(read.displayName, 'Before', 'not even the other field');
  });

  test('a new password replaces the old one and ends every session', async () => {
    const email = freshEmail();
    const user = await app.createUser({ primaryEmail: email, primaryEmailAuthEnabled: true, password: PASSWORD });
    const client = clientApp(sdk, demo);
    await client.signInWithCredential({ email, password: PASSWORD, noRedirect: true });
    const { refreshToken } = await client.getAuthJson();

    await user.setPassword({ password: 'another long password' });

    assertKnownError(sdk, (await signIn(sdk, demo, email)).error, 'EmailPasswordMismatch');
    assert.deepEqual(await user.getActiveSessions(), []);
    assert.equal(await clientApp(sdk, demo, { refreshToken, accessToken: null }).getUser(), null);
    assert.equal((await signIn(sdk, demo, email, 'another long password')).status, 'ok');
  });

  test('a session made by the server is the user’s; revoking it ends it', async () => {
    const user = await app.createUser({ displayName: 'Visitor' });
    const session = await user.createSession({ expiresInMillis: 60_000 });
    const tokens = await session.getTokens();
    assert.match(tokens.refreshToken, RANDOM_45);
    assert.equal((await clientApp(sdk, demo, tokens).getUser({ or: 'throw' })).id, user.id);

    const [listed] = await user.getActiveSessions();
    assert.equal(listed.userId, user.id);
    assert.equal(listed.isCurrentSession, false);
    await user.revokeSession(listed.id);
    assert.deepEqual(await user.getActiveSessions(), []);
    assert.equal(await clientApp(sdk, demo, { ...tokens, accessToken: null }).getUser(), null);
  });

  test('a session for nobody is refused', async () => {
    const user = await app.createUser({});
    await user.delete();
    await assertRejectsKnown(sdk, user.createSession({}), 'UserIdDoesNotExist', { details: { user_id: user.id } });
  });

  test('a deleted user is gone from reads, lists, sign-in and sessions', async () => {
    const project = await freshProject(sdk);
    const own = serverApp(sdk, project);
    const email = freshEmail();
    const stays = await own.createUser({ displayName: 'Stays' });
    const user = await own.createUser({ primaryEmail: email, primaryEmailAuthEnabled: true, password: PASSWORD });
    const tokens = await (await user.createSession({})).getTokens();

    await user.delete();

    assert.equal(await own.getUser(user.id), null);
    assert.deepEqual((await own.listUsers()).map((u) => u.id), [stays.id]);
    assertKnownError(sdk, (await signIn(sdk, project, email)).error, 'EmailPasswordMismatch');
    assert.equal(await clientApp(sdk, project, { ...tokens, accessToken: null }).getUser(), null);
    await assertRejectsKnown(sdk, user.delete(), 'UserNotFound');
    await assertRejectsKnown(sdk, user.update({ displayName: 'Ghost' }), 'UserNotFound');
    const again = await own.createUser({ primaryEmail: email, primaryEmailAuthEnabled: true });
    assert.notEqual(again.id, user.id, 'the address is free again');
  });

  describe('contact channels', () => {
    test('are made, changed, verified by mail and removed', async () => {
      const first = freshEmail('first');
      const user = await app.createUser({ primaryEmail: first });
      const second = freshEmail('second');
      const channel = await user.createContactChannel({ type: 'email', value: second, usedForAuth: true, isVerified: true });
      assert.deepEqual([channel.value, channel.isPrimary, channel.isVerified, channel.usedForAuth], [second, false, true, true]);

      await channel.update({ isVerified: false, isPrimary: true });
      assert.deepEqual(
        (await user.listContactChannels()).map((c) => [c.value, c.isPrimary, c.isVerified]),
        [
          [first, false, false],
          [second, true, false],
        ],
      );
      assert.equal((await app.getUser(user.id)).primaryEmail, second);

      await channel.sendVerificationEmail({ callbackUrl: CALLBACK_URL });
      const code = codeIn(await newestMailTo(second), CALLBACK_URL);
      assert.equal((await app.verifyEmail(code)).status, 'ok');
      assert.equal((await app.getUser(user.id)).primaryEmailVerified, true);

      await channel.delete();
      assert.deepEqual((await user.listContactChannels()).map((c) => c.value), [first]);
    });

    test('a verified channel gets no second mail', async () => {
      const email = freshEmail();
      const user = await app.createUser({ primaryEmail: email, primaryEmailVerified: true });
      const [channel] = await user.listContactChannels();
      await assertRejectsKnown(sdk, channel.sendVerificationEmail({ callbackUrl: CALLBACK_URL }), 'EmailAlreadyVerified');
    });
  });
});
