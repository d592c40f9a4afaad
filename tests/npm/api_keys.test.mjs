// API keys of users and teams through the official client: as a user, a backend and whoever finds one in public see them.
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { describeEachSdk, serverApp } from './support/sdk.mjs';
import { assertRecent, assertRejectsKnown, assertRejectsStatus, UUID } from './support/check.mjs';
import { newestMailTo } from './support/mailbox.mjs';
import { freshProject, signedInMember } from './support/project.mjs';
import { rest } from './support/rest.mjs';

const KEY = /^(sk|pk)_[0-9a-hjkmnp-tv-z]{45}[0-9a-f]{32}(user|team)[13]574ck4u7h[0-9a-f]{8}$/;
const DAY_MILLIS = 24 * 60 * 60 * 1000;

describeEachSdk('API keys', (sdk) => {
  let project;
  let server;
  before(async () => {
    const config = { clientTeamCreationEnabled: true, allowUserApiKeys: true, allowTeamApiKeys: true };
    project = await freshProject(sdk, { config });
    server = serverApp(sdk, project);
  });

  const member = (displayName) => signedInMember(sdk, project, displayName);

  test('a user makes a key, sees it once, describes it anew and revokes it', async () => {
    const { created, own } = await member('Ada');
    const expiresAt = new Date(Date.now() + DAY_MILLIS);
    const key = await own.createApiKey({ description: 'CI', expiresAt });
    assert.match(key.id, UUID);
    assert.match(key.value, KEY);
    assert.ok(key.value.startsWith('sk_'));
    assert.deepEqual([key.type, key.userId, key.description], ['user', created.id, 'CI']);
    assert.equal(Number(key.expiresAt), Number(expiresAt));
    assertRecent(key.createdAt);
    assert.equal(key.isValid(), true);

    const [listed, ...others] = await own.listApiKeys();
    assert.deepEqual(others, []);
    assert.equal(listed.id, key.id);
    assert.deepEqual(listed.value, { lastFour: key.value.slice(-4) });
    await listed.update({ description: 'Nightly' });
    assert.equal((await own.listApiKeys())[0].description, 'Nightly');

    assert.equal((await server.getUser({ apiKey: key.value })).id, created.id);
    assert.equal(await server.getTeam({ apiKey: key.value }), null);
    await listed.revoke();
    const [revoked] = await own.listApiKeys();
    assert.equal(revoked.whyInvalid(), 'manually-revoked');
    assertRecent(revoked.manuallyRevokedAt);
    // Another app: the one above has kept its answer.
    assert.equal(await serverApp(sdk, project).getUser({ apiKey: key.value }), null);
  });

  test('a key without an expiry never ends, and one that is over proves nothing', async () => {
    const { own } = await member('Bob');
    const lasting = await own.createApiKey({ description: 'lasting', expiresAt: null, isPublic: true });
    assert.ok(lasting.value.startsWith('pk_'));
    assert.equal(lasting.expiresAt, undefined);
    const over = await own.createApiKey({ description: 'over', expiresAt: new Date(Date.now() - DAY_MILLIS) });
    assert.equal(over.whyInvalid(), 'expired');
    assert.equal((await server.getUser({ apiKey: lasting.value })).id, own.id);
    assert.equal(await server.getUser({ apiKey: over.value }), null);
    assert.equal(await server.getUser({ apiKey: 'sk_nonsense' }), null);
  });

  test('a backend makes and revokes keys of any user', async () => {
    const { created, own } = await member('Cy');
    const key = await created.createApiKey({ description: 'by the backend', expiresAt: null });
    assert.deepEqual((await own.listApiKeys()).map(({ id }) => id), [key.id]);
    const [listed] = await created.listApiKeys();
    await listed.update({ description: 'still' });
    await listed.revoke();
    const [revoked] = await created.listApiKeys();
    assert.deepEqual([revoked.description, revoked.isValid()], ['still', false]);
  });

  test('keys of a team are for members who look after them', async () => {
    const [ada, bob] = [await member('Ada'), await member('Bob')];
    const team = await ada.own.createTeam({ displayName: 'Analysts' });
    const key = await team.createApiKey({ description: 'Deploy', expiresAt: null });
    assert.match(key.value, KEY);
    assert.deepEqual([key.type, key.teamId], ['team', team.id]);
    assert.equal((await server.getTeam({ apiKey: key.value })).id, team.id);
    assert.equal(await server.getUser({ apiKey: key.value }), null);

    const seen = await server.getTeam(team.id);
    await seen.addUser(bob.created.id);
    const asBob = await bob.own.getTeam(team.id);
    await assertRejectsKnown(sdk, asBob.createApiKey({ description: 'no', expiresAt: null }), 'ApiKeyNotFound');
    await assertRejectsKnown(sdk, asBob.listApiKeys(), 'ApiKeyNotFound');
    await bob.created.grantPermission(team, '$manage_api_keys');
    const asKeeper = await bob.own.getTeam(team.id);
    await asKeeper.createApiKey({ description: 'yes', expiresAt: null });
    const ids = (await seen.listApiKeys()).map(({ description }) => description).sort();
    assert.deepEqual(ids, ['Deploy', 'yes']);
    const deploy = (await team.listApiKeys()).find(({ id }) => id === key.id);
    await deploy.revoke();
    assert.equal(await serverApp(sdk, project).getTeam({ apiKey: key.value }), null);
  });

  test('a key that was found in public is revoked, and its owner told', async () => {
    const { own, email } = await member('Di');
    const key = await own.createApiKey({ description: 'Leaked', expiresAt: null });
    const report = (apiKey) => rest('POST', '/integrations/credential-scanning/revoke', { json: { api_key: apiKey } });
    assert.deepEqual((await report(key.value)).body, { success: true });
    assert.deepEqual((await report(key.value)).body, { success: true });
    assert.equal((await report(`${key.value}x`)).body.code, 'API_KEY_NOT_FOUND');
    assert.equal(await server.getUser({ apiKey: key.value }), null);
    const mail = await newestMailTo(email);
    assert.equal(mail.subject, 'API Key Revoked: Leaked');
    assert.ok(mail.text.includes(`(ends with ${key.value.slice(-4)})`), mail.text);
    assert.ok(!mail.html.includes(key.value) && mail.html.includes('Leaked'), mail.html);
  });

  test('a project that has switched keys off refuses them', async () => {
    const off = await freshProject(sdk);
    const user = await serverApp(sdk, off).createUser({ displayName: 'Ed' });
    await assertRejectsStatus(user.createApiKey({ description: 'no', expiresAt: null }), 400);
    await assertRejectsStatus(user.listApiKeys(), 400);
  });
});
