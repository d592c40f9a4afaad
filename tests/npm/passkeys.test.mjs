// Passkeys in a real browser, with an authenticator that Chromium makes up: the official client runs on pages of an application.
import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';
import { startBrowser } from './support/browser.mjs';
import { PASSWORD, RANDOM_45 } from './support/check.mjs';
import { freshProject, signedInMember } from './support/project.mjs';
import { rest } from './support/rest.mjs';
import { clientApp, describeEachSdk, newestSdk, serverApp } from './support/sdk.mjs';
import { post } from './support/sign_in.mjs';
import { startSite } from './support/site.mjs';
import { freshTotp, newTotpSecret } from './support/totp.mjs';

const PLACEHOLDER = 'THIS_VALUE_WILL_BE_REPLACED.example.com';

async function projectWithPasskeys(sdk, config = {}) {
  const project = await freshProject(sdk, { displayName: 'The Shop' });
  await project.ownedProject.updateConfig({ 'auth.passkey.allowSignIn': true, ...config });
  return project;
}

/** A page with an authenticator that always says yes, and what people do there. */
async function openPage(browser) {
  const page = await browser.context.newPage();
  page.setDefaultTimeout(15_000);
  const session = await browser.context.newCDPSession(page);
  await session.send('WebAuthn.enable');
  const options = { protocol: 'ctap2', transport: 'internal', hasResidentKey: true, hasUserVerification: true, isUserVerified: true };
  const { authenticatorId } = await session.send('WebAuthn.addVirtualAuthenticator', {
    options: { ...options, automaticPresenceSimulation: true },
  });
  // What the server refused.
  const refusals = [];
  page.on('response', (response) => {
    const refused = response.headers()['x-stack-known-error'];
    if (refused && response.url().includes('/auth/passkey/')) refusals.push(refused);
  });

  /** Loads a page of the application with nobody signed in, or with this user. */
  async function open(site, email) {
    await browser.context.clearCookies();
    await page.goto(site.origin);
    if (!email) return;
    const status = await page.evaluate(
      async (credential) => (await app.signInWithCredential({ ...credential, noRedirect: true })).status,
      { email, password: PASSWORD },
    );
    assert.equal(status, 'ok');
  }

  /** Has the user register a passkey; answers `ok` or what the server refused it with, for which the client has no words. */
  async function register() {
    refusals.length = 0;
    const isRegistered = await page.evaluate(async () => {
      const user = await app.getUser({ or: 'throw' });
      return user.registerPasskey().then(({ status }) => status === 'ok', () => false);
    });
    return isRegistered ? 'ok' : refusals.at(-1);
  }

  const press = () =>
    page.evaluate(() => {
      window.outcome = app.signInWithPasskey().then((result) => (result.status === 'ok' ? 'ok' : result.error.errorCode), String);
    });

  /** Signs in; answers who is signed in on the page where the client leads. */
  async function signIn(site) {
    await press();
    await page.waitForURL(`${site.origin}/signed-in`);
    return page.evaluate(async () => (await app.getUser({ or: 'throw' })).id);
  }

  /** Tries to; answers the code of the client's error and that of the server's. */
  async function failToSignIn() {
    refusals.length = 0;
    await press();
    const told = await page.evaluate(() => window.outcome);
    assert.equal(await page.evaluate(async () => (await app.getUser())?.id), undefined);
    return [told, refusals.at(-1)];
  }

  const passkeys = async () => (await session.send('WebAuthn.getCredentials', { authenticatorId })).credentials;

  /** Has the authenticator hold only this passkey. */
  async function holdOnly(passkey) {
    await session.send('WebAuthn.clearCredentials', { authenticatorId });
    await session.send('WebAuthn.addCredential', { authenticatorId, credential: passkey });
  }

  return { page, refusals, open, register, press, signIn, failToSignIn, passkeys, holdOnly };
}

describeEachSdk('passkeys', (sdk) => {
  let browser;
  let project;
  let site;
  let on;
  before(async () => {
    browser = await startBrowser();
    project = await projectWithPasskeys(sdk);
    site = await startSite(sdk, project);
  });
  after(async () => {
    await browser?.close();
    site?.close();
  });
  beforeEach(async () => {
    on = await openPage(browser);
  });
  afterEach(() => on.page.close());

  const member = (of = project) => signedInMember(sdk, of, 'Ada');
  const FAILED = ['PASSKEY_AUTHENTICATION_FAILED', 'PASSKEY_AUTHENTICATION_FAILED'];

  /** A user who has a passkey; the page is open again with nobody signed in. */
  async function holder() {
    const user = await member();
    await on.open(site, user.email);
    assert.equal(await on.register(), 'ok');
    await on.open(site);
    return user;
  }

  test('a passkey is registered, and signs in again and again', async () => {
    const { email, created } = await member();
    await on.open(site, email);
    assert.equal(await on.page.evaluate(async () => (await app.getUser({ or: 'throw' })).passkeyAuthEnabled), false);
    assert.equal(await on.register(), 'ok');
    assert.equal(await on.page.evaluate(async () => (await app.getUser({ or: 'throw' })).passkeyAuthEnabled), true);
    const [passkey, ...others] = await on.passkeys();
    assert.deepEqual([others.length, passkey.rpId, passkey.isResidentCredential], [0, 'localhost', true]);
    assert.equal(Buffer.from(passkey.userHandle, 'base64').toString(), created.id);
    assert.equal((await serverApp(sdk, project).getUser(created.id)).passkeyAuthEnabled, true);

    const counts = [passkey.signCount];
    for (let times = 0; times < 2; times += 1) {
      await on.open(site);
      assert.equal(await on.signIn(site), created.id);
      counts.push((await on.passkeys())[0].signCount);
    }
    assert.ok(counts[0] < counts[1] && counts[1] < counts[2], String(counts));

    // The counter moves at the server as well: a copy of the authenticator that is behind is noticed.
    await on.holdOnly({ ...passkey, signCount: counts[0] });
    await on.open(site);
    assert.deepEqual(await on.failToSignIn(), FAILED);
  });

  test('another passkey takes the place of the first', async () => {
    const { email, created } = await holder();
    const [first] = await on.passkeys();
    await on.open(site, email);
    assert.equal(await on.register(), 'ok');
    const second = (await on.passkeys()).find(({ credentialId }) => credentialId !== first.credentialId);
    assert.ok(second);
    await on.open(site);
    await on.holdOnly(first);
    assert.deepEqual(await on.failToSignIn(), FAILED);
    await on.holdOnly(second);
    await on.open(site);
    assert.equal(await on.signIn(site), created.id);
  });

  test('a passkey of another project is unknown', async () => {
    await holder();
    const otherSite = await startSite(sdk, await projectWithPasskeys(sdk));
    try {
      await on.open(otherSite);
      assert.deepEqual(await on.failToSignIn(), FAILED);
    } finally {
      otherSite.close();
    }
  });

  test('a passkey that was taken away signs nobody in', async () => {
    const { created } = await holder();
    const path = `/users/${created.id}`;
    const given = await rest('PATCH', path, { project, accessType: 'server', json: { passkey_auth_enabled: true } });
    assert.deepEqual([given.status, typeof given.body], [400, 'string'], 'nobody can give one');
    const taken = await rest('PATCH', path, { project, accessType: 'server', json: { passkey_auth_enabled: false } });
    assert.deepEqual([taken.status, taken.body.passkey_auth_enabled], [200, false]);
    assert.deepEqual(await on.failToSignIn(), FAILED);
  });

  test('a passkey does not stand for the second factor', async () => {
    const { own, created } = await holder();
    const secret = newTotpSecret();
    await own.update({ totpMultiFactorSecret: secret });
    await on.press();
    await on.page.waitForURL(`${site.origin}/handler/mfa**`);
    assert.equal(on.refusals.at(-1), 'MULTI_FACTOR_AUTHENTICATION_REQUIRED');
    const signedIn = await on.page.evaluate(async (totp) => {
      const [attempt] = Object.entries(sessionStorage).filter(([name]) => name.endsWith('mfa_attempt_code'));
      const before = await app.getUser();
      const result = await app.signInWithMfa(totp, attempt[1], { noRedirect: true });
      return [before, result.status, (await app.getUser({ or: 'throw' })).id];
    }, await freshTotp(secret));
    assert.deepEqual(signedIn, [null, 'ok', created.id]);
  });
});

describeEachSdk('passkeys and origins', (sdk) => {
  let browser;
  let project;
  let trusted;
  let stranger;
  let on;
  before(async () => {
    browser = await startBrowser();
    project = await projectWithPasskeys(sdk);
    [trusted, stranger] = [await startSite(sdk, project), await startSite(sdk, project)];
    await project.ownedProject.updateConfig({
      'domains.allowLocalhost': false,
      'domains.trustedDomains': { own: { baseUrl: trusted.origin, handlerPath: '/handler' } },
    });
    on = await openPage(browser);
  });
  after(async () => {
    await browser?.close();
    trusted?.close();
    stranger?.close();
  });

  test('an origin that the project does not trust neither registers passkeys nor signs in', async () => {
    const { email, created } = await signedInMember(sdk, project, 'Ada');
    await on.open(stranger, email);
    assert.equal(await on.register(), 'PASSKEY_REGISTRATION_FAILED');
    assert.equal((await serverApp(sdk, project).getUser(created.id)).passkeyAuthEnabled, false);

    await on.open(trusted, email);
    assert.equal(await on.register(), 'ok');
    await on.open(stranger);
    assert.deepEqual(await on.failToSignIn(), ['PASSKEY_AUTHENTICATION_FAILED', 'PASSKEY_AUTHENTICATION_FAILED']);
    await on.open(trusted);
    assert.equal(await on.signIn(trusted), created.id);
  });
});

describe('challenges for passkeys', () => {
  let project;
  before(async () => {
    project = await projectWithPasskeys(newestSdk);
  });

  const start = (app, what) => post(app, `/auth/passkey/initiate-passkey-${what}`, {});

  test('a browser is asked for a new passkey as the contract says', async () => {
    const { app, created } = await signedInMember(newestSdk, project, 'Ada');
    const registration = await start(app, 'registration');
    assert.match(registration.code, RANDOM_45);
    const { challenge, pubKeyCredParams, ...options } = registration.options_json;
    assert.deepEqual(options, {
      rp: { id: PLACEHOLDER, name: 'The Shop' },
      user: { id: Buffer.from(created.id).toString('base64url'), name: 'Ada', displayName: 'Ada' },
      timeout: 60_000,
      excludeCredentials: [],
      authenticatorSelection: { residentKey: 'required', requireResidentKey: true, userVerification: 'preferred' },
      attestation: 'none',
      extensions: { credProps: true },
    });
    assert.ok(Buffer.from(challenge, 'base64url').length >= 16);
    const offered = pubKeyCredParams.map(({ type, alg }) => [type, alg]);
    for (const alg of [-7, -257]) assert.ok(offered.some(([type, of]) => type === 'public-key' && of === alg), `algorithm ${alg}`);
  });

  test('a browser is asked for any passkey as the contract says', async () => {
    const app = clientApp(newestSdk, project);
    const [first, second] = [await start(app, 'authentication'), await start(app, 'authentication')];
    const { challenge, ...options } = first.options_json;
    assert.notEqual(challenge, second.options_json.challenge);
    assert.match(first.code, RANDOM_45);
    assert.deepEqual(options, { rpId: PLACEHOLDER, allowCredentials: [], timeout: 60_000, userVerification: 'preferred' });
  });

  test('answers that are none fail, and use the challenge up', async () => {
    const { app } = await signedInMember(newestSdk, project, 'Ada');
    const { accessToken } = await app.getAuthJson();
    const send = async (path, json) => {
      const { status, body } = await rest('POST', `/auth/passkey/${path}`, { project, accessToken, json });
      return [status, body.code];
    };
    const registration = { credential: { id: 'x' }, code: (await start(app, 'registration')).code };
    assert.deepEqual(await send('register', registration), [400, 'PASSKEY_REGISTRATION_FAILED']);
    assert.deepEqual(await send('register', registration), [409, 'VERIFICATION_CODE_ALREADY_USED']);
    const answer = { authentication_response: { id: 'x' }, code: (await start(app, 'authentication')).code };
    assert.deepEqual(await send('register', { credential: {}, code: answer.code }), [404, 'VERIFICATION_CODE_NOT_FOUND']);
    assert.deepEqual(await send('sign-in', answer), [400, 'PASSKEY_AUTHENTICATION_FAILED']);
    assert.deepEqual(await send('sign-in', answer), [409, 'VERIFICATION_CODE_ALREADY_USED']);
  });

  test('where passkeys are off there are none', async () => {
    const off = await freshProject(newestSdk);
    const { app } = await signedInMember(newestSdk, off, 'Ada');
    for (const what of ['registration', 'authentication']) {
      await assert.rejects(start(app, what), (error) => newestSdk.KnownErrors.PasskeyAuthenticationNotEnabled.isInstance(error));
    }
  });
});
