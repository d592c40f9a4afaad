// A session on its way to the application's other origin: a code with a proof key, which is exchanged for the session's tokens.
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { startBrowser } from './support/browser.mjs';
import { PASSWORD, RANDOM_45 } from './support/check.mjs';
import { baseUrl } from './support/env.mjs';
import { freshProject, signedInMember } from './support/project.mjs';
import { rest } from './support/rest.mjs';
import { describeEachSdk, newestSdk } from './support/sdk.mjs';
import { startSite } from './support/site.mjs';

const REDIRECT_URI = 'http://localhost:4000/handler/oauth-callback?of=%C3%BC';
const AFTER_URL = 'http://localhost:4000/welcome';

function newProof() {
  const verifier = randomBytes(32).toString('base64url');
  return { verifier, challenge: createHash('sha256').update(verifier).digest('base64url') };
}

describeEachSdk('a session for another origin', (sdk) => {
  let project;
  before(async () => {
    project = await freshProject(sdk);
  });

  async function member(of = project) {
    const { app, created } = await signedInMember(sdk, of, 'Ada');
    return { app, id: created.id, ...(await app.getAuthJson()) };
  }

  const authorize = ({ accessToken, refreshToken }, json) =>
    rest('POST', '/auth/oauth/cross-domain/authorize', {
      project,
      accessToken,
      headers: refreshToken ? { 'x-stack-refresh-token': refreshToken } : {},
      json: {
        redirect_uri: REDIRECT_URI,
        state: 'a state',
        code_challenge: newProof().challenge,
        code_challenge_method: 'S256',
        ...json,
      },
    });

  /** Exchanges a code as the client's OAuth library does: a form, none of our headers. */
  async function exchange(parameters, of = project) {
    const body = new URLSearchParams({
      grant_type: 'authorization_code',
      client_id: of.projectId,
      client_secret: of.publishableClientKey,
      redirect_uri: REDIRECT_URI,
      ...parameters,
    });
    const response = await fetch(`${baseUrl}/api/v1/auth/oauth/token`, { method: 'POST', body });
    const text = await response.text();
    const isJson = response.headers.get('content-type')?.startsWith('application/json');
    return { status: response.status, headers: response.headers, body: isJson ? JSON.parse(text) : text };
  }

  /** A code with its verifier. */
  async function authorized(of, json = {}) {
    const { verifier, challenge } = newProof();
    const { status, body } = await authorize(of, { code_challenge: challenge, ...json });
    assert.equal(status, 200, JSON.stringify(body));
    return { code: new URL(body.redirect_url).searchParams.get('code'), code_verifier: verifier };
  }

  test('the code is exchanged for the very session', async () => {
    const ada = await member();
    const { verifier, challenge } = newProof();
    const { status, body } = await authorize(ada, { code_challenge: challenge, after_callback_redirect_url: AFTER_URL });
    assert.equal(status, 200, JSON.stringify(body));
    assert.deepEqual(Object.keys(body), ['redirect_url']);
    const url = new URL(body.redirect_url);
    const { code, ...query } = Object.fromEntries(url.searchParams);
    assert.equal(url.origin + url.pathname, 'http://localhost:4000/handler/oauth-callback');
    assert.deepEqual(query, { of: 'ü', state: 'a state' });

    const granted = await exchange({ code, code_verifier: verifier });
    assert.equal(granted.status, 200, JSON.stringify(granted.body));
    const { access_token, ...others } = granted.body;
    assert.deepEqual(others, {
      token_type: 'Bearer',
      expires_in: 3600,
      scope: 'legacy',
      refresh_token: ada.refreshToken,
      is_new_user: false,
      newUser: false,
      after_callback_redirect_url: AFTER_URL,
      afterCallbackRedirectUrl: AFTER_URL,
    });
    assert.match(others.refresh_token, RANDOM_45);
    assert.match(granted.headers.get('cache-control'), /no-store/);
    assert.equal(granted.headers.get('pragma'), 'no-cache');
    const me = await rest('GET', '/users/me', { project, accessToken: access_token });
    assert.equal(me.body.id, ada.id);

    const again = await exchange({ code, code_verifier: verifier });
    assert.deepEqual([again.status, again.body.code], [400, 'INVALID_AUTHORIZATION_CODE'], 'once');
  });

  test('a wrong verifier leaves the code good', async () => {
    const { code, code_verifier } = await authorized(await member());
    for (const wrong of [{ code_verifier: newProof().verifier }, {}, { code_verifier: 'short' }]) {
      const refused = await exchange({ code, ...wrong });
      assert.deepEqual([refused.status, refused.body.code], [400, 'INVALID_AUTHORIZATION_CODE']);
    }
    assert.equal((await exchange({ code, code_verifier })).status, 200);
  });

  test('another redirect URI uses the code up', async () => {
    const { code, code_verifier } = await authorized(await member());
    const elsewhere = await exchange({ code, code_verifier, redirect_uri: 'http://localhost:4000/' });
    assert.equal(elsewhere.status, 400);
    const again = await exchange({ code, code_verifier });
    assert.deepEqual([again.status, again.body.code], [400, 'INVALID_AUTHORIZATION_CODE']);
  });

  test('a code is for its project, and gone with the session', async () => {
    const other = await freshProject(sdk);
    const ada = await member();
    const first = await authorized(ada);
    const foreign = await exchange(first, other);
    assert.deepEqual([foreign.status, foreign.body.code], [400, 'INVALID_AUTHORIZATION_CODE']);
    assert.equal((await exchange(first)).status, 200);

    const second = await authorized(ada);
    await ada.app.signOut();
    const late = await exchange(second);
    assert.deepEqual([late.status, late.body.code], [400, 'INVALID_AUTHORIZATION_CODE']);
  });

  test('the exchange says what it lacks', async () => {
    const missing = await exchange({ code_verifier: newProof().verifier });
    assert.deepEqual([missing.status, missing.body.error], [400, 'invalid_request']);
    assert.equal(typeof missing.body.error_description, 'string');
    const otherGrant = await exchange({ grant_type: 'password' });
    assert.deepEqual([otherGrant.status, otherGrant.body.code], [400, 'SCHEMA_ERROR']);
    const { code, code_verifier } = await authorized(await member());
    const stranger = await exchange({ code, code_verifier, client_id: '11111111-1111-4111-8111-111111111111' });
    assert.deepEqual([stranger.status, stranger.body.code], [400, 'INVALID_OAUTH_CLIENT_ID_OR_SECRET']);
    const wrongKey = await exchange({ code, code_verifier, client_secret: `pck_${'0'.repeat(45)}` });
    assert.deepEqual([wrongKey.status, wrongKey.body.code], [400, 'INVALID_OAUTH_CLIENT_ID_OR_SECRET']);
    assert.equal((await exchange({ code, code_verifier })).status, 200);
  });

  test('only the session itself is handed over, to places that the project trusts', async () => {
    const [ada, bob] = [await member(), await member()];
    const nobody = await authorize({});
    assert.deepEqual([nobody.status, nobody.body.code], [401, 'USER_AUTHENTICATION_REQUIRED']);
    const without = await authorize({ accessToken: ada.accessToken });
    assert.deepEqual([without.status, typeof without.body], [400, 'string']);
    for (const refreshToken of [bob.refreshToken, '0'.repeat(45)]) {
      const mismatched = await authorize({ accessToken: ada.accessToken, refreshToken });
      assert.deepEqual([mismatched.status, typeof mismatched.body], [401, 'string']);
    }
    for (const name of ['redirect_uri', 'after_callback_redirect_url']) {
      const untrusted = await authorize(ada, { [name]: 'https://evil.example.org/' });
      assert.deepEqual([untrusted.status, untrusted.body.code], [400, 'REDIRECT_URL_NOT_WHITELISTED']);
    }
    for (const [name, value] of [
      ['state', ''],
      ['state', 'x'.repeat(513)],
      ['code_challenge', 'x'.repeat(42)],
      ['code_challenge', `${'x'.repeat(42)}+`],
      ['code_challenge_method', 'plain'],
    ]) {
      const malformed = await authorize(ada, { [name]: value });
      assert.deepEqual([malformed.status, malformed.body.code], [400, 'SCHEMA_ERROR'], `${name}: ${value}`);
    }
  });
});

// Only the newer client does it by itself.
describe('an application that has its sign-in page on another origin', () => {
  let browser;
  let project;
  let pages;
  let shop;
  before(async () => {
    browser = await startBrowser();
    project = await freshProject(newestSdk);
    pages = await startSite(newestSdk, project);
    // Cookies are for a host, whatever the port: the other origin has another host.
    shop = await startSite(newestSdk, project, { host: '127.0.0.1', urls: { signIn: `${pages.origin}/handler/sign-in` } });
  });
  after(async () => {
    await browser?.close();
    pages?.close();
    shop?.close();
  });

  test('who signs in there is signed in here, in the very session', async () => {
    const { email, created } = await signedInMember(newestSdk, project, 'Ada');
    const page = await browser.context.newPage();
    page.setDefaultTimeout(15_000);
    const tokens = () => page.evaluate(async () => (await app.getAuthJson()).refreshToken);
    // What navigates away is not waited for.
    const go = (act, argument) => page.evaluate(`(${act})(${JSON.stringify(argument)}); undefined`);

    await page.goto(`${shop.origin}/basket?of=7`);
    assert.equal(await tokens(), null);
    await go(() => void app.redirectToSignIn());
    await page.waitForURL(`${pages.origin}/handler/sign-in?**`);
    await go((credential) => void app.signInWithCredential(credential), { email, password: PASSWORD });
    await page.waitForURL(`${shop.origin}/handler/oauth-callback?**`);
    assert.equal(await tokens(), null);
    await go(() => void app.callOAuthCallback());
    await page.waitForURL(`${shop.origin}/basket?of=7`);
    assert.equal(await page.evaluate(async () => (await app.getUser({ or: 'throw' })).id), created.id);

    const here = await tokens();
    assert.match(here, RANDOM_45);
    await page.goto(pages.origin);
    assert.equal(await tokens(), here);
  });
});
