// Sessions as those who have them see them, and those that servers begin.
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { clientApp, describeEachSdk, serverApp } from './support/sdk.mjs';
import { assertRejectsKnown, PASSWORD, RANDOM_45 } from './support/check.mjs';
import { freshProject, signedInMember } from './support/project.mjs';
import { rest } from './support/rest.mjs';
import { userOfToken } from './support/sign_in.mjs';

describeEachSdk('sessions', (sdk) => {
  let project;
  let server;
  before(async () => {
    project = await freshProject(sdk);
    server = serverApp(sdk, project);
  });

  const member = () => signedInMember(sdk, project, 'Ada');
  const listed = async (accessType, userId) => {
    const { status, body } = await rest('GET', `/auth/sessions?user_id=${userId}`, { project, accessType });
    assert.equal(status, 200, JSON.stringify(body));
    return body.items;
  };

  test('a server begins sessions of a user, who sees and ends them', async () => {
    const { created, own } = await member();
    const begun = await created.createSession({});
    const { accessToken, refreshToken } = await begun.getTokens();
    assert.match(refreshToken, RANDOM_45);
    assert.ok(accessToken);
    assert.equal((await userOfToken(sdk, project, refreshToken)).id, created.id);

    const sessions = await own.getActiveSessions();
    assert.deepEqual(sessions.map(({ isCurrentSession }) => isCurrentSession), [false, true]);
    assert.ok(sessions.every(({ isImpersonation }) => !isImpersonation));
    assert.deepEqual((await listed('server', created.id)).map(({ id }) => id), sessions.map(({ id }) => id));
    await own.revokeSession(sessions[0].id);
    assert.equal(await userOfToken(sdk, project, refreshToken), null);
    assert.equal((await own.getActiveSessions()).length, 1);
  });

  test('a server lists and ends the sessions of its users', async () => {
    const { app, created, email } = await member();
    await clientApp(sdk, project).signInWithCredential({ email, password: PASSWORD, noRedirect: true });
    const { refreshToken } = await app.getAuthJson();
    const sessions = await created.getActiveSessions();
    assert.equal(sessions.length, 2);
    await created.revokeSession(sessions[1].id);
    assert.equal(await userOfToken(sdk, project, refreshToken), null);
    assert.equal((await created.getActiveSessions()).length, 1);
  });

  test('who acts as a user is seen by administrators only', async () => {
    const { created, own } = await member();
    const begun = await created.createSession({ isImpersonation: true, expiresInMillis: 60_000 });
    const { refreshToken } = await begun.getTokens();
    const acting = await userOfToken(sdk, project, refreshToken);
    assert.equal(acting.id, created.id);

    const mine = await own.getActiveSessions();
    assert.equal(mine.length, 1);
    assert.equal(mine[0].isCurrentSession, true);
    assert.deepEqual((await acting.getActiveSessions()).map(({ id }) => id), [mine[0].id], 'nor by whoever does it');
    assert.deepEqual((await listed('server', created.id)).map(({ id }) => id), [mine[0].id]);
    const all = await listed('admin', created.id);
    assert.deepEqual(all.map((session) => session.is_impersonation), [true, false], 'newest first');
    assert.equal(all[1].id, mine[0].id);
  });

  test('a session is begun for users there are, for a year and two days at most', async () => {
    const begin = (json) => rest('POST', '/auth/sessions', { project, accessType: 'server', json });
    const unknown = await begin({ user_id: '11111111-1111-4111-8111-111111111111' });
    assert.deepEqual([unknown.status, unknown.body.code], [400, 'USER_ID_DOES_NOT_EXIST']);
    const { created } = await member();
    const days = (count) => count * 24 * 60 * 60 * 1000;
    assert.equal((await begin({ user_id: created.id, expires_in_millis: days(367) })).status, 200);
    const tooLong = await begin({ user_id: created.id, expires_in_millis: days(367) + 1 });
    assert.deepEqual([tooLong.status, tooLong.body.code], [400, 'SCHEMA_ERROR']);
    const asClient = await rest('POST', '/auth/sessions', { project, json: { user_id: created.id } });
    assert.equal(asClient.status, 401);
  });

  test('a user sees no sessions but its own', async () => {
    const [ada, bob] = [await member(), await member()];
    const { accessToken } = await ada.app.getAuthJson();
    const foreign = await rest('GET', `/auth/sessions?user_id=${bob.created.id}`, { project, accessToken });
    assert.equal(foreign.status, 403);
    const mine = await rest('GET', '/auth/sessions?user_id=me', { project, accessToken });
    assert.deepEqual(mine.body.items.map(({ user_id }) => user_id), [ada.created.id]);
    const [{ id }] = await bob.own.getActiveSessions();
    const revoked = await rest('DELETE', `/auth/sessions/${id}?user_id=me`, { project, accessToken });
    assert.equal(revoked.status, 404);
    const [current] = await ada.own.getActiveSessions();
    await assertRejectsKnown(sdk, ada.own.revokeSession(current.id), 'CannotDeleteCurrentSession');
  });
});
