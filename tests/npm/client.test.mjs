// The client app of the official client: what a browser does for its user.
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { baseUrl, demo } from './support/env.mjs';
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
import { codeIn, mailsTo, newestMailTo } from './support/mailbox.mjs';
import { freshProject } from './support/project.mjs';

async function signUp(sdk, { project = demo, email = freshEmail(), verificationCallbackUrl } = {}) {
  const app = clientApp(sdk, project);
  const callback = verificationCallbackUrl ? { verificationCallbackUrl } : { noVerificationCallback: true };
  const result = await app.signUpWithCredential({ email, password: PASSWORD, noRedirect: true, ...callback });
  assert.equal(result.status, 'ok', String(result.error));
  return { app, email, user: await app.getUser({ or: 'throw' }) };
}

async function signIn(sdk, email, { project = demo, password = PASSWORD } = {}) {
  const app = clientApp(sdk, project);
  const result = await app.signInWithCredential({ email, password, noRedirect: true });
  assert.equal(result.status, 'ok', String(result.error));
  return { app, user: await app.getUser({ or: 'throw' }) };
}

const payloadOf = (token) => JSON.parse(Buffer.from(token.split('.')[1], 'base64url'));

function withPayload(token, change) {
  const [header, , signature] = token.split('.');
  const payload = Buffer.from(JSON.stringify({ ...payloadOf(token), ...change })).toString('base64url');
  return `${header}.${payload}.${signature}`;
}

describeEachSdk('client app: signing up and in', (sdk) => {
  test('sign-up signs in and shows the whole client view of the user', async () => {
    const { email, user } = await signUp(sdk);
    const json = user.toClientJson();
    assert.match(json.id, UUID);
    assertRecent(json.signed_up_at_millis);
    assert.deepEqual(json, {
      id: user.id,
      display_name: null,
      primary_email: email,
      primary_email_verified: false,
      profile_image_url: null,
      client_metadata: null,
      client_read_only_metadata: null,
      signed_up_at_millis: user.signedUpAt.getTime(),
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
    });
  });

  test('nobody is signed in before, and `or: throw` says so', async () => {
    const app = clientApp(sdk, demo);
    assert.equal(await app.getUser(), null);
    await assert.rejects(app.getUser({ or: 'throw' }), /not signed in/);
    assert.deepEqual(await app.getAuthJson(), { accessToken: null, refreshToken: null });
  });

  test('sign-in finds the same user, whatever the case of the address', async () => {
    const { email, user } = await signUp(sdk);
    assert.equal((await signIn(sdk, email)).user.id, user.id);
    assert.equal((await signIn(sdk, email.toUpperCase())).user.id, user.id);
  });

  test('the address of a sign-up is stored in lower case', async () => {
    const email = freshEmail();
    const { user } = await signUp(sdk, { email: email.toUpperCase() });
    assert.equal(user.primaryEmail, email);
  });

  test('a wrong password and an unknown address get the same typed error', async () => {
    const { email } = await signUp(sdk);
    for (const attempt of [{ email, password: 'not the password' }, { email: freshEmail(), password: PASSWORD }]) {
      const app = clientApp(sdk, demo);
      const result = await app.signInWithCredential({ ...attempt, noRedirect: true });
      assert.equal(result.status, 'error');
      assertKnownError(sdk, result.error, 'EmailPasswordMismatch', { details: undefined });
      assert.equal(await app.getUser(), null);
    }
  });

  test('a second sign-up with the address is refused and changes nothing', async () => {
    const { email, user } = await signUp(sdk);
    const app = clientApp(sdk, demo);
    const result = await app.signUpWithCredential({ email, password: 'another password', noVerificationCallback: true });
    assert.equal(result.status, 'error');
    assertKnownError(sdk, result.error, 'UserWithEmailAlreadyExists', {
      details: { email, would_work_if_email_was_verified: false },
    });
    assert.equal(await app.getUser(), null);
    assert.equal((await signIn(sdk, email)).user.id, user.id);
  });

  test('a short password is refused with the length that would do', async () => {
    for (const password of ['', '1234567']) {
      const result = await clientApp(sdk, demo).signUpWithCredential({ email: freshEmail(), password, noVerificationCallback: true });
      assert.equal(result.status, 'error');
      assertKnownError(sdk, result.error, 'PasswordTooShort', { details: { min_length: 8 } });
    }
  });

  test('an over-long password and an address that is none are schema errors', async () => {
    const app = clientApp(sdk, demo);
    for (const bad of [{ email: freshEmail(), password: 'x'.repeat(71) }, { email: 'not an address', password: PASSWORD }]) {
      await assertRejectsKnown(sdk, app.signUpWithCredential({ ...bad, noVerificationCallback: true }), 'SchemaError');
    }
  });

  test('an untrusted callback URL is refused before anything is written', async () => {
    const email = freshEmail();
    const app = clientApp(sdk, demo);
    await assertRejectsKnown(
      sdk,
      app.signUpWithCredential({ email, password: PASSWORD, verificationCallbackUrl: 'https://evil.example.org/handler' }),
      'RedirectUrlNotWhitelisted',
    );
    const result = await app.signInWithCredential({ email, password: PASSWORD, noRedirect: true });
    assertKnownError(sdk, result.error, 'EmailPasswordMismatch');
  });

  test('a wrong publishable key is refused by name of the project', async () => {
    const app = clientApp(sdk, { ...demo, publishableClientKey: `pck_${'0'.repeat(45)}` });
    const details = { project_id: demo.projectId };
    await assertRejectsKnown(sdk, app.getProject(), 'InvalidPublishableClientKey', { details });
    await assertRejectsKnown(
      sdk,
      app.signUpWithCredential({ email: freshEmail(), password: PASSWORD, noVerificationCallback: true }),
      'InvalidPublishableClientKey',
      { details },
    );
  });

  test('a client without a key is let in while the project does not require one', async () => {
    const app = new sdk.StackClientApp({ baseUrl, projectId: demo.projectId, tokenStore: 'memory' });
    const email = freshEmail();
    const result = await app.signUpWithCredential({ email, password: PASSWORD, noVerificationCallback: true, noRedirect: true });
    assert.equal(result.status, 'ok');
    const { refreshToken } = await app.getAuthJson();
    const later = new sdk.StackClientApp({
      baseUrl,
      projectId: demo.projectId,
      tokenStore: { refreshToken, accessToken: null },
    });
    assert.equal((await later.getUser({ or: 'throw' })).primaryEmail, email, 'the refresh grant takes the key sentinel');
  });

  test('the project shows its client view', async () => {
    const project = await freshProject(sdk, { displayName: 'Shown to clients' });
    assert.deepEqual(await clientApp(sdk, project).getProject(), {
      id: project.projectId,
      displayName: 'Shown to clients',
      config: {
        signUpEnabled: true,
        credentialEnabled: true,
        magicLinkEnabled: false,
        passkeyEnabled: false,
        clientTeamCreationEnabled: false,
        clientUserDeletionEnabled: false,
        allowTeamApiKeys: false,
        allowUserApiKeys: false,
        oauthProviders: [],
      },
    });
  });
});

describeEachSdk('client app: the own user', (sdk) => {
  test('update writes the display name and the client metadata, whole', async () => {
    const { app, user } = await signUp(sdk);
    await user.update({ displayName: 'Ada Lovelace', clientMetadata: { theme: 'dark', nested: { n: [1, null, 'x'] } } });
    let read = await app.getUser({ or: 'throw' });
    assert.equal(read.displayName, 'Ada Lovelace');
    assert.deepEqual(read.clientMetadata, { theme: 'dark', nested: { n: [1, null, 'x'] } });

    await user.setClientMetadata({ other: true });
    await user.setDisplayName('');
    read = await app.getUser({ or: 'throw' });
    assert.deepEqual(read.clientMetadata, { other: true }, 'replaced, not merged');
    assert.equal(read.displayName, null, 'an empty name is none');
    assert.equal(read.primaryEmail, user.primaryEmail, 'what was not given is unchanged');
  });

  test('an over-long display name is refused and nothing is written', async () => {
    const { app, user } = await signUp(sdk);
    await assertRejectsKnown(sdk, user.update({ displayName: 'x'.repeat(257), clientMetadata: 1 }), 'SchemaError');
    const read = await app.getUser({ or: 'throw' });
    assert.equal(read.displayName, null);
    assert.equal(read.clientMetadata, null);
    await user.update({ displayName: 'x'.repeat(256) });
    assert.equal((await app.getUser({ or: 'throw' })).displayName.length, 256);
  });

  test('a client may not point its picture at a foreign server', async () => {
    const { app, user } = await signUp(sdk);
    await assertRejectsStatus(user.update({ profileImageUrl: 'https://example.com/me.png' }), 400);
    assert.equal((await app.getUser({ or: 'throw' })).profileImageUrl, null);
  });

  test('selecting a team the user is not in is refused', async () => {
    const { user } = await signUp(sdk);
    const teamId = '11111111-1111-4111-8111-111111111111';
    await assertRejectsKnown(sdk, user.setSelectedTeam(teamId), 'TeamMembershipNotFound', {
      details: { team_id: teamId, user_id: user.id },
    });
  });

  test('a new primary address is unverified and is the one shown', async () => {
    const { app, user } = await signUp(sdk);
    const email = freshEmail('new');
    await user.update({ primaryEmail: email });
    const read = await app.getUser({ or: 'throw' });
    assert.equal(read.primaryEmail, email);
    assert.equal(read.primaryEmailVerified, false);
    assert.equal((await signIn(sdk, email)).user.id, user.id, 'the new address takes over signing in');
  });

  test('deleting oneself is refused while the project does not allow it', async () => {
    const { app, user } = await signUp(sdk);
    await assertRejectsStatus(user.delete(), 400);
    assert.equal((await app.getUser({ or: 'throw' })).id, user.id);
  });

  test('deleting oneself works where the project allows it', async () => {
    const project = await freshProject(sdk, { config: { clientUserDeletionEnabled: true } });
    const { email, user } = await signUp(sdk, { project });
    await user.delete();
    assert.equal(await serverApp(sdk, project).getUser(user.id), null);
    const again = await clientApp(sdk, project).signInWithCredential({ email, password: PASSWORD, noRedirect: true });
    assertKnownError(sdk, again.error, 'EmailPasswordMismatch');
  });

  test('a user deleted by the server is signed out for the client', async () => {
    const { app, user } = await signUp(sdk);
    await (await serverApp(sdk, demo).getUser(user.id)).delete();
    assert.equal(await app.getUser(), null);
  });
});

describeEachSdk('client app: sessions and tokens', (sdk) => {
  test('the tokens have the shape of the contract', async () => {
    const { app, user, email } = await signUp(sdk);
    const { accessToken, refreshToken } = await app.getAuthJson();
    assert.match(refreshToken, RANDOM_45);
    assert.equal(await app.getRefreshToken(), refreshToken);
    const payload = payloadOf(accessToken);
    assert.equal(payload.sub, user.id);
    assert.equal(payload.email, email);
    assert.equal(payload.project_id, demo.projectId);
    assert.deepEqual(JSON.parse((await app.getAuthHeaders())['x-stack-auth']).refreshToken, refreshToken);
  });

  test('sessions are listed newest first and the current one is marked', async () => {
    const { email, user } = await signUp(sdk);
    const second = await signIn(sdk, email);
    const sessions = await second.user.getActiveSessions();
    assert.equal(sessions.length, 2);
    assert.deepEqual(sessions.map((s) => [s.userId, s.isImpersonation, s.isCurrentSession]), [
      [user.id, false, true],
      [user.id, false, false],
    ]);
    for (const session of sessions) {
      assert.match(session.id, UUID);
      assertRecent(session.createdAt);
      assertRecent(session.lastUsedAt);
    }
    assert.ok(sessions[0].createdAt >= sessions[1].createdAt);
    assert.equal(payloadOf(await second.app.getAccessToken()).refresh_token_id, sessions[0].id);
  });

  test('a revoked session cannot be refreshed, the others live on', async () => {
    const { app: first, email, user } = await signUp(sdk);
    const second = await signIn(sdk, email);
    const { refreshToken } = await second.app.getAuthJson();
    const current = (await user.getActiveSessions()).find((s) => s.isCurrentSession);
    const other = (await user.getActiveSessions()).find((s) => !s.isCurrentSession);

    await user.revokeSession(other.id);

    assert.deepEqual((await user.getActiveSessions()).map((s) => s.id), [current.id]);
    assert.equal(await clientApp(sdk, demo, { refreshToken, accessToken: null }).getUser(), null);
    assert.equal((await first.getUser({ or: 'throw' })).id, user.id);
  });

  test('the current session is not revoked by its id, a foreign one is not found', async () => {
    const { user } = await signUp(sdk);
    const [current] = await user.getActiveSessions();
    await assertRejectsKnown(sdk, user.revokeSession(current.id), 'CannotDeleteCurrentSession');

    const { user: other } = await signUp(sdk);
    const [foreign] = await other.getActiveSessions();
    await assertRejectsStatus(user.revokeSession(foreign.id), 404);
    assert.equal((await other.getActiveSessions()).length, 1, 'the foreign session lives');
    await assertRejectsStatus(user.revokeSession('22222222-2222-4222-8222-222222222222'), 404);
    await assertRejectsKnown(sdk, user.revokeSession('no-uuid'), 'SchemaError');
  });

  test('sign-out ends the session and its refresh token, and may be repeated', async () => {
    const { app, user, email } = await signUp(sdk);
    const { refreshToken } = await app.getAuthJson();
    const second = await signIn(sdk, email);

    await app.signOut();

    assert.equal(await app.getUser(), null);
    assert.equal(await clientApp(sdk, demo, { refreshToken, accessToken: null }).getUser(), null);
    assert.equal((await second.user.getActiveSessions()).length, 1, 'only the other session is left');
    await app.signOut();
    await user.signOut();
  });

  test('sign-out of a session that is gone already does not throw', async () => {
    const { app, user, email } = await signUp(sdk);
    const second = await signIn(sdk, email);
    const mine = (await user.getActiveSessions()).find((s) => s.isCurrentSession);
    await second.user.revokeSession(mine.id);
    await app.signOut();
    assert.equal(await app.getUser(), null);
  });

  test('a refresh token alone signs in, and stays the same', async () => {
    const { app, user } = await signUp(sdk);
    const { refreshToken } = await app.getAuthJson();
    const restored = clientApp(sdk, demo, { refreshToken, accessToken: null });
    assert.equal((await restored.getUser({ or: 'throw' })).id, user.id);
    assert.equal((await restored.getAuthJson()).refreshToken, refreshToken);
  });

  test('an expired access token is refreshed', async () => {
    const { app, user } = await signUp(sdk);
    const { accessToken, refreshToken } = await app.getAuthJson();
    const expired = withPayload(accessToken, { iat: 1_600_000_000, exp: 1_600_000_600 });
    const restored = clientApp(sdk, demo, { refreshToken, accessToken: expired });
    assert.equal((await restored.getUser({ or: 'throw' })).id, user.id);
    const fresh = await restored.getAccessToken();
    assert.notEqual(fresh, expired);
    assertRecent(payloadOf(fresh).iat * 1000);
    assert.equal(payloadOf(fresh).refresh_token_id, payloadOf(accessToken).refresh_token_id);
  });

  test('a tampered access token is refused, and the client recovers by refreshing', async () => {
    const { app, user } = await signUp(sdk);
    const { accessToken, refreshToken } = await app.getAuthJson();
    const { user: victim } = await signUp(sdk);
    const tampered = withPayload(accessToken, { sub: victim.id });
    const restored = clientApp(sdk, demo, { refreshToken, accessToken: tampered });
    assert.equal((await restored.getUser({ or: 'throw' })).id, user.id, 'the holder of the refresh token, not the name in the forgery');
  });

  test('an unknown refresh token counts as signed out', async () => {
    assert.equal(await clientApp(sdk, demo, { refreshToken: '0'.repeat(45), accessToken: null }).getUser(), null);
  });

  test('tokens of one project are worth nothing in another', async () => {
    const project = await freshProject(sdk);
    const { app } = await signUp(sdk, { project });
    const { accessToken, refreshToken } = await app.getAuthJson();
    assert.equal(await clientApp(sdk, demo, { refreshToken, accessToken }).getUser(), null);
    assert.equal(await clientApp(sdk, demo, { refreshToken, accessToken: null }).getUser(), null);
  });

  test('many refreshes at once all succeed', async () => {
    const { app, user } = await signUp(sdk);
    const { refreshToken } = await app.getAuthJson();
    const ids = await Promise.all(
      Array.from({ length: 8 }, async () => (await clientApp(sdk, demo, { refreshToken, accessToken: null }).getUser({ or: 'throw' })).id),
    );
    assert.deepEqual(ids, Array(8).fill(user.id));
  });
});

describeEachSdk('client app: verifying an address', (sdk) => {
  describe('after a sign-up with a callback', () => {
    let app;
    let user;
    let email;
    let mail;
    before(async () => {
      ({ app, user, email } = await signUp(sdk, { verificationCallbackUrl: CALLBACK_URL }));
      mail = await newestMailTo(email);
    });

    test('one mail arrives, and its code verifies the address once', async () => {
      assert.deepEqual([mail.to].flat(), [email]);
      assert.equal((await mailsTo(email)).length, 1);
      const code = codeIn(mail, CALLBACK_URL);
      assert.equal((await app.getUser({ or: 'throw' })).primaryEmailVerified, false);

      // The code is worth the same in any browser, signed in or not.
      const elsewhere = clientApp(sdk, demo);
      assert.equal((await elsewhere.verifyEmail(code)).status, 'ok');
      const read = await app.getUser({ or: 'throw' });
      assert.equal(read.primaryEmailVerified, true);
      assert.equal(payloadOf(await freshAccessToken(app)).email_verified, true);

      const again = await elsewhere.verifyEmail(code);
      assert.equal(again.status, 'error');
      assertKnownError(sdk, again.error, 'VerificationCodeAlreadyUsed');

      const error = await user.sendVerificationEmail({ callbackUrl: CALLBACK_URL });
      assertKnownError(sdk, error, 'EmailAlreadyVerified');
      assert.equal((await mailsTo(email)).length, 1);
    });

    async function freshAccessToken(ofApp) {
      const { refreshToken } = await ofApp.getAuthJson();
      return clientApp(sdk, demo, { refreshToken, accessToken: null }).getAccessToken();
    }
  });

  test('codes that are unknown, foreign or no codes', async () => {
    const app = clientApp(sdk, demo);
    const unknown = await app.verifyEmail('0'.repeat(45));
    assertKnownError(sdk, unknown.error, 'VerificationCodeNotFound');
    await assertRejectsKnown(sdk, app.verifyEmail('short'), 'SchemaError');

    const project = await freshProject(sdk);
    const { email } = await signUp(sdk, { project, verificationCallbackUrl: CALLBACK_URL });
    const code = codeIn(await newestMailTo(email), CALLBACK_URL);
    assertKnownError(sdk, (await app.verifyEmail(code)).error, 'VerificationCodeNotFound');
    assert.equal((await clientApp(sdk, project).verifyEmail(code.toUpperCase())).status, 'ok', 'right project, any case');
  });

  test('without a callback no mail is sent; asking sends one', async () => {
    const { app, user, email } = await signUp(sdk);
    assert.equal(await user.sendVerificationEmail({ callbackUrl: CALLBACK_URL }), undefined);
    const code = codeIn(await newestMailTo(email), CALLBACK_URL);
    assert.equal((await mailsTo(email)).length, 1, 'none came from the sign-up');
    assert.equal((await app.verifyEmail(code)).status, 'ok');
    assert.equal((await app.getUser({ or: 'throw' })).primaryEmailVerified, true);
  });

  test('an older code stays good when a newer one was sent', async () => {
    const { app, user, email } = await signUp(sdk, { verificationCallbackUrl: CALLBACK_URL });
    const older = codeIn(await newestMailTo(email), CALLBACK_URL);
    await user.sendVerificationEmail({ callbackUrl: CALLBACK_URL });
    const newer = codeIn(await newestMailTo(email, { count: 2 }), CALLBACK_URL);
    assert.notEqual(newer, older);
    assert.equal((await app.verifyEmail(older)).status, 'ok');
  });

  test('an untrusted callback is refused and no mail leaves', async () => {
    const { user, email } = await signUp(sdk);
    await assertRejectsKnown(
      sdk,
      user.sendVerificationEmail({ callbackUrl: 'https://evil.example.org/steal' }),
      'RedirectUrlNotWhitelisted',
    );
    await user.sendVerificationEmail({ callbackUrl: CALLBACK_URL });
    await newestMailTo(email);
    assert.equal((await mailsTo(email)).length, 1);
  });

  test('a callback URL keeps its own query', async () => {
    const email = freshEmail();
    await signUp(sdk, { email, verificationCallbackUrl: `${CALLBACK_URL}?lang=de&code=old` });
    const mail = await newestMailTo(email);
    const code = codeIn(mail, CALLBACK_URL);
    assert.ok(mail.text.replaceAll('&amp;', '&').includes('lang=de'));
    assert.notEqual(code, 'old');
  });
});

describeEachSdk('client app: contact channels', (sdk) => {
  test('sign-up makes the one primary channel', async () => {
    const { user, email } = await signUp(sdk);
    const channels = await user.listContactChannels();
    assert.deepEqual(channels.map((c) => [c.value, c.type, c.isPrimary, c.isVerified, c.usedForAuth]), [[email, 'email', true, false, true]]);
    assert.match(channels[0].id, UUID);
  });

  test('a second channel is added, verified by mail, made primary and removed', async () => {
    const { app, user, email } = await signUp(sdk);
    const second = freshEmail('second');
    const created = await user.createContactChannel({ type: 'email', value: second, usedForAuth: false });
    assert.deepEqual([created.value, created.isPrimary, created.isVerified, created.usedForAuth], [second, false, false, false]);

    await created.sendVerificationEmail({ callbackUrl: CALLBACK_URL });
    assert.equal((await app.verifyEmail(codeIn(await newestMailTo(second), CALLBACK_URL))).status, 'ok');

    await created.update({ isPrimary: true });
    assert.deepEqual(
      (await user.listContactChannels()).map((c) => [c.value, c.isPrimary, c.isVerified]),
      [
        [email, false, false],
        [second, true, true],
      ],
      'oldest first; one primary only',
    );
    const read = await app.getUser({ or: 'throw' });
    assert.equal(read.primaryEmail, second);
    assert.equal(read.primaryEmailVerified, true);

    await (await user.listContactChannels()).find((c) => c.value === second).delete();
    assert.equal((await app.getUser({ or: 'throw' })).primaryEmail, null);
    assert.deepEqual((await user.listContactChannels()).map((c) => c.value), [email]);
  });

  test('an address that somebody signs in with cannot be used for signing in again', async () => {
    const { email: taken } = await signUp(sdk);
    const { user } = await signUp(sdk);
    await assertRejectsKnown(
      sdk,
      user.createContactChannel({ type: 'email', value: taken, usedForAuth: true }),
      'ContactChannelAlreadyUsedForAuthBySomeoneElse',
      { details: { type: 'email', contact_channel_value: taken, would_work_if_email_was_verified: false } },
    );
    const added = await user.createContactChannel({ type: 'email', value: taken, usedForAuth: false });
    assert.equal(added.usedForAuth, false, 'as a mere address it may be shared');
    await assertRejectsStatus(user.createContactChannel({ type: 'email', value: taken, usedForAuth: false }), 400);
  });

  test('a channel used for signing in opens the door to the same user', async () => {
    const { user } = await signUp(sdk);
    const second = freshEmail('second');
    await user.createContactChannel({ type: 'email', value: second, usedForAuth: true });
    assert.equal((await signIn(sdk, second)).user.id, user.id);
  });
});
