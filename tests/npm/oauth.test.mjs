// Signing in with another site in a real browser: a real OpenID provider there, the official client on pages of an application.
import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { startBrowser } from './support/browser.mjs';
import { UUID } from './support/check.mjs';
import { freshProject, signedInMember } from './support/project.mjs';
import { startProvider } from './support/provider.mjs';
import { describeEachSdk, newestSdk, serverApp } from './support/sdk.mjs';
import { signUp } from './support/sign_in.mjs';
import { startSite } from './support/site.mjs';
import { freshTotp, newTotpSecret } from './support/totp.mjs';
import { openVisitor } from './support/visits.mjs';

/** For how long Postern does not ask again for the keys of a provider. */
const KEYS_KEPT_MILLIS = 60_000;

/** A browser, a provider, a project that lets people sign in with it, and an application of the project's. */
async function openWorld(sdk, id) {
  const [browser, provider, project] = await Promise.all([startBrowser(), startProvider(id), freshProject(sdk)]);
  await project.ownedProject.updateConfig(provider.config);
  const site = await startSite(sdk, project, { urls: { afterSignUp: '/signed-up' } });
  const close = async () => {
    await browser.close();
    site.close();
    provider.close();
  };
  return { browser, provider, project, site, close };
}

// Somebody who signed in by the first key. It is the first of all, since the second key is not asked for before some time is over.
let changing;
before(async () => {
  const world = await openWorld(newestSdk, 'changing');
  const on = await openVisitor(world.browser, world.site, world.provider);
  const account = world.provider.account();
  const user = await on.signIn(account, '/signed-up');
  changing = { ...world, on, account, user, since: wait(KEYS_KEPT_MILLIS) };
});
after(() => changing?.close());

describeEachSdk('signing in with another site', (sdk) => {
  let world;
  let provider;
  let project;
  let server;
  let on;
  before(async () => {
    world = await openWorld(sdk);
    ({ provider, project } = world);
    server = serverApp(sdk, project);
  });
  after(() => world?.close());
  beforeEach(async () => {
    on = await openVisitor(world.browser, world.site, provider);
  });
  afterEach(() => on.page.close());

  const usersWith = async (email) => (await server.listUsers({ query: email })).map(({ id }) => id);
  /** What comes of an error: the older client has no words for it. */
  const refused = (code, user = null) => ({ told: code, outcome: sdk === newestSdk ? code : false, user });

  test('somebody signs up, and is the same one ever after', async () => {
    const account = provider.account({ picture: 'https://example.com/ada.png' });
    const ada = await on.signIn(account, '/signed-up');
    assert.match(ada.id, UUID);
    assert.deepEqual(ada, {
      id: ada.id,
      primaryEmail: account.email,
      primaryEmailVerified: true,
      displayName: 'Ada There',
      isAnonymous: false,
    });
    const seen = await server.getUser(ada.id);
    assert.equal(seen.profileImageUrl, 'https://example.com/ada.png');
    assert.equal(seen.hasPassword, false);
    assert.deepEqual(seen.toClientJson().oauth_providers, [{ id: 'acme', account_id: account.sub, email: account.email }]);
    for (let times = 0; times < 2; times += 1) assert.equal((await on.signIn(account)).id, ada.id);
    assert.deepEqual(await usersWith(account.email), [ada.id]);
  });

  test('an address that is not proven there is not proven here', async () => {
    const account = provider.account({ email_verified: false, name: undefined });
    const user = await on.signIn(account, '/signed-up');
    assert.deepEqual([user.primaryEmail, user.primaryEmailVerified, user.displayName], [account.email, false, null]);
  });

  test('who says no there stays out', async () => {
    assert.deepEqual(await on.failToSignIn(null), refused('OAUTH_PROVIDER_ACCESS_DENIED'));
  });

  test('an account joins the user who has proven the same address', async () => {
    const { email, created } = await signedInMember(sdk, project, 'Ada', { primaryEmailVerified: true });
    const account = provider.account({ email });
    assert.equal((await on.signIn(account)).id, created.id);
    assert.equal((await on.signIn(account)).id, created.id);
    assert.equal((await server.getUser(created.id)).hasPassword, true);
    assert.deepEqual(await usersWith(email), [created.id]);
  });

  test('an account does not join a user who has not proven the address, nor by one that is not proven there', async () => {
    const code = 'CONTACT_CHANNEL_ALREADY_USED_FOR_AUTH_BY_SOMEONE_ELSE';
    const { email: unproven } = await signUp(sdk, project);
    const { email: proven } = await signedInMember(sdk, project, 'Ada', { primaryEmailVerified: true });
    for (const account of [provider.account({ email: unproven }), provider.account({ email: proven, email_verified: false })]) {
      assert.deepEqual(await on.failToSignIn(account), refused(code));
      assert.equal((await usersWith(account.email)).length, 1);
    }
  });

  test('an anonymous user who signs up stays who it is', async () => {
    await on.open();
    const before = await on.page.evaluate(async () => (await app.getUser({ or: 'anonymous' })).id);
    const account = provider.account();
    await on.leave();
    await on.answer(account);
    const user = await on.comeBack('/signed-up');
    assert.deepEqual([user.id, user.primaryEmail, user.isAnonymous], [before, account.email, false]);
    assert.equal((await on.signIn(account)).id, before);
  });

  test('the second factor is asked for after the way back', async () => {
    const { own, created, email } = await signedInMember(sdk, project, 'Ada', { primaryEmailVerified: true });
    const secret = newTotpSecret();
    await own.update({ totpMultiFactorSecret: secret });
    await on.open();
    await on.leave();
    await on.answer(provider.account({ email }));
    await on.callBack();
    await on.page.waitForURL(`${world.site.origin}/handler/mfa**`);
    const signedIn = await on.page.evaluate(async (totp) => {
      const [attempt] = Object.entries(sessionStorage).filter(([name]) => name.endsWith('mfa_attempt_code'));
      const before = await app.getUser();
      const result = await app.signInWithMfa(totp, attempt[1], { noRedirect: true });
      return [before, result.status, (await app.getUser({ or: 'throw' })).id];
    }, await freshTotp(secret));
    assert.deepEqual(signedIn, [null, 'ok', created.id]);
  });

  test('while the provider is in trouble nobody gets in', async () => {
    const account = provider.account();
    await on.open();
    await on.leave();
    provider.setDown(true);
    try {
      await on.answer(account);
    } finally {
      provider.setDown(false);
    }
    assert.deepEqual(await on.failToComeBack(), refused('OAUTH_PROVIDER_TEMPORARILY_UNAVAILABLE'));
    assert.deepEqual(await usersWith(account.email), []);
    await on.signIn(account, '/signed-up');
  });

  test('a provider that nobody finds leads nowhere', async () => {
    const gone = await startProvider('gone');
    gone.close();
    await project.ownedProject.updateConfig(gone.config);
    await on.open();
    const answered = on.page.waitForResponse((response) => response.url().includes('/auth/oauth/authorize/gone'));
    await on.page.evaluate(() => {
      window.outcome = app.signInWithOAuth('gone').catch((error) => error.errorCode ?? String(error));
    });
    assert.equal((await answered).headers()['x-stack-known-error'], 'OAUTH_PROVIDER_TEMPORARILY_UNAVAILABLE');
    if (sdk === newestSdk) {
      assert.equal(await on.page.evaluate(() => window.outcome), 'OAUTH_PROVIDER_TEMPORARILY_UNAVAILABLE');
    } else {
      // It does not ask before it leaves the page.
      await on.page.waitForURL('**/auth/oauth/authorize/gone?**');
    }
  });

  /** A user who is signed in on the page and has linked an account. */
  async function linked() {
    const { created, email } = await signedInMember(sdk, project, 'Ada');
    const account = provider.account();
    await on.open(email, '/account?of=ada');
    await on.leaveToLink();
    await on.answer(account);
    // Not where users go after signing in, but where this one was.
    assert.equal((await on.comeBack('/account?of=ada')).id, created.id);
    return { created, email, account };
  }

  test('a user links an account, and the application acts in its name', async () => {
    const { created, account } = await linked();
    const [listed, ...others] = await on.page.evaluate(async () => {
      const accounts = await (await app.getUser({ or: 'throw' })).listConnectedAccounts();
      return accounts.map(({ provider, providerAccountId }) => ({ provider, providerAccountId }));
    });
    assert.deepEqual([others.length, listed], [0, { provider: 'acme', providerAccountId: account.sub }]);
    assert.notEqual((await server.getUser(created.id)).primaryEmail, account.email);

    const { accessToken } = await on.accessToken();
    assert.equal(await provider.whose(accessToken), account.sub);
    assert.equal((await on.accessToken()).accessToken, accessToken, 'one that is good is kept');
    assert.equal((await on.signIn(account)).id, created.id, 'and one signs in with it');
  });

  test('an access token that is over is renewed, again and again', async () => {
    const { account } = await linked();
    const seen = new Set([(await on.accessToken()).accessToken]);
    for (let times = 0; times < 2; times += 1) {
      await provider.endAccessTokens(account.sub);
      const { accessToken } = await on.accessToken();
      assert.equal(await provider.whose(accessToken), account.sub);
      seen.add(accessToken);
    }
    assert.equal(seen.size, 3);
  });

  test('what was revoked there gives no access token until it is linked again', async () => {
    const { account } = await linked();
    await provider.revoke(account.sub);
    for (let times = 0; times < 2; times += 1) {
      assert.deepEqual(await on.accessToken(), { code: 'OAUTH_ACCESS_TOKEN_NOT_AVAILABLE' });
    }
    await on.page.context().clearCookies({ domain: '127.0.0.1' });
    await on.leaveToLink();
    await on.answer(account);
    await on.comeBack('/account?of=ada');
    assert.equal(await provider.whose((await on.accessToken()).accessToken), account.sub);
  });

  test('for more scopes the user is asked', async () => {
    const { account } = await linked();
    assert.deepEqual(await on.accessToken(['calendar']), { code: 'OAUTH_ACCESS_TOKEN_NOT_AVAILABLE' });
    await on.leaveToLink({ scopes: ['calendar'] });
    assert.equal(await on.page.locator('#wanted').textContent(), 'openid profile email calendar');
    await on.answer(account);
    await on.comeBack('/account?of=ada');
    const { accessToken } = await on.accessToken(['calendar']);
    assert.equal(await provider.whose(accessToken), account.sub);
    const found = await on.page.evaluate(async () => {
      const user = await app.getUser({ or: 'throw' });
      return (await user.getOrLinkConnectedAccount('acme', { scopes: ['calendar'] })).providerAccountId;
    });
    assert.equal(found, account.sub);
  });

  test('an account by which somebody signs in is linked to nobody else', async () => {
    const account = provider.account();
    await on.signIn(account, '/signed-up');
    const { created, email } = await signedInMember(sdk, project, 'Bob');
    await on.open(email);
    await on.leaveToLink();
    await on.answer(account);
    const code = 'OAUTH_CONNECTION_ALREADY_CONNECTED_TO_ANOTHER_USER';
    assert.deepEqual(await on.failToComeBack(), refused(code, created.id));
    assert.deepEqual(await created.listOAuthProviders(), []);
  });
});

describe('a provider that changes its keys', () => {
  test('is believed by keys that come later', async () => {
    const { on, account, user, provider } = changing;
    await changing.since;
    await provider.rotateKeys();
    assert.equal((await on.signIn(account)).id, user.id);
    await on.signIn(provider.account(), '/signed-up');
  });
});
