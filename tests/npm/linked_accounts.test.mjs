// Accounts of other sites through the official client: as a backend links them, and as users look after them.
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { describeEachSdk, serverApp } from './support/sdk.mjs';
import { assertKnownError, assertRejectsStatus, UUID } from './support/check.mjs';
import { freshProject, signedInMember } from './support/project.mjs';

describeEachSdk('linked accounts', (sdk) => {
  let project;
  let server;
  before(async () => {
    const shared = (id) => ({ id, type: 'shared' });
    project = await freshProject(sdk, { config: { oauthProviders: [shared('github'), shared('google')] } });
    server = serverApp(sdk, project);
  });

  const member = (displayName) => signedInMember(sdk, project, displayName);
  const of = (user, accountId, more = {}) => ({
    userId: user.id,
    providerConfigId: 'github',
    accountId,
    email: `${accountId}@example.com`,
    allowSignIn: true,
    allowConnectedAccounts: true,
    ...more,
  });
  const linked = async (options) => {
    const result = await server.createOAuthProvider(options);
    assert.equal(result.status, 'ok', JSON.stringify(result.error));
    return result.data;
  };

  test('a backend links an account, changes it and removes it', async () => {
    const { created } = await member('Ada');
    const link = await linked(of(created, 'ada'));
    assert.match(link.id, UUID);
    const { type, userId, accountId, email, allowSignIn, allowConnectedAccounts } = link;
    const expected = ['github', created.id, 'ada', 'ada@example.com', true, true];
    assert.deepEqual([type, userId, accountId, email, allowSignIn, allowConnectedAccounts], expected);
    assert.deepEqual((await created.listOAuthProviders()).map(({ id }) => id), [link.id]);

    const found = await created.getOAuthProvider(link.id);
    const changed = await found.update({ accountId: 'ada2', email: 'new@example.com', allowConnectedAccounts: false });
    assert.equal(changed.status, 'ok');
    const [listed] = await created.listOAuthProviders();
    const values = [listed.accountId, listed.email, listed.allowSignIn, listed.allowConnectedAccounts];
    assert.deepEqual(values, ['ada2', 'new@example.com', true, false]);
    const seen = await serverApp(sdk, project).getUser(created.id);
    assert.deepEqual(seen.toClientJson().oauth_providers, [
      { id: 'github', account_id: 'ada2', email: 'new@example.com' },
    ]);

    await listed.delete();
    assert.deepEqual(await created.listOAuthProviders(), []);
    assert.equal(await created.getOAuthProvider(link.id), null);
  });

  test('a user sees its accounts, says what they are good for and removes them', async () => {
    const { created, own } = await member('Bob');
    await linked(of(created, 'bob'));
    const [link] = await own.listOAuthProviders();
    assert.deepEqual([link.type, link.email, link.allowSignIn], ['github', 'bob@example.com', true]);
    assert.equal(link.accountId, undefined);
    assert.equal((await link.update({ allowSignIn: false, allowConnectedAccounts: false })).status, 'ok');
    const again = await own.getOAuthProvider(link.id);
    assert.deepEqual([again.allowSignIn, again.allowConnectedAccounts], [false, false]);
    await again.delete();
    assert.deepEqual(await own.listOAuthProviders(), []);
  });

  test('an account lets one user in', async () => {
    const [cy, di] = [(await member('Cy')).created, (await member('Di')).created];
    await linked(of(cy, 'shared'));
    const used = 'OAuthProviderAccountIdAlreadyUsedForSignIn';
    const taken = await server.createOAuthProvider(of(di, 'shared'));
    assert.equal(taken.status, 'error');
    assertKnownError(sdk, taken.error, used);
    const spare = await linked(of(di, 'shared', { allowSignIn: false }));
    const refused = await spare.update({ allowSignIn: true });
    assert.equal(refused.status, 'error');
    assertKnownError(sdk, refused.error, used);
    await assertRejectsStatus(server.createOAuthProvider(of(cy, 'second')), 400);
    await assertRejectsStatus(server.createOAuthProvider(of(cy, 'x', { providerConfigId: 'gitlab' })), 404);
  });
});
