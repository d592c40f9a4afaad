// Logins of programs without a browser: the client of the program waits, that of a browser completes it.
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { clientApp, describeEachSdk, serverApp } from './support/sdk.mjs';
import { assertKnownError, assertRejectsStatus, RANDOM_45 } from './support/check.mjs';
import { freshProject, signedInMember } from './support/project.mjs';
import { rest } from './support/rest.mjs';
import { anonymousUser, post, signUp, userOfToken } from './support/sign_in.mjs';

const APP_URL = 'http://localhost:3000';
const HOUR_MILLIS = 60 * 60 * 1000;
const UNKNOWN_CODE = '0'.repeat(45);

describeEachSdk('logins of programs', (sdk) => {
  let project;
  before(async () => {
    project = await freshProject(sdk);
  });

  const member = () => signedInMember(sdk, project, 'Ada');
  const start = async (json) => {
    const { status, body } = await rest('POST', '/auth/cli', { project, json });
    assert.equal(status, 200, JSON.stringify(body));
    return body;
  };
  const poll = async ({ polling_code }) => {
    const { status, body } = await rest('POST', '/auth/cli/poll', { project, json: { polling_code } });
    return [status, body];
  };
  const complete = (app, { login_code }, json) => post(app, '/auth/cli/complete', { login_code, ...json });

  /** Begins a login as a program does; answers the code of the link that it shows and what becomes of it. */
  async function prompt(options = {}) {
    const program = clientApp(sdk, project);
    let outcome;
    const link = await new Promise((resolve) => {
      outcome = program.promptCliLogin({ appUrl: APP_URL, waitTimeMillis: 20, promptLink: resolve, ...options });
    });
    const url = new URL(link);
    assert.equal(url.origin + url.pathname, `${APP_URL}/handler/cli-auth-confirm`);
    const login_code = url.searchParams.get('login_code');
    assert.match(login_code, RANDOM_45);
    return { login_code, outcome };
  }

  test('a browser completes it, and the program has the very session', async () => {
    const { login_code, outcome } = await prompt();
    const { app: browser, created } = await member();
    const { refreshToken } = await browser.getAuthJson();
    assert.deepEqual(await complete(browser, { login_code }, { mode: 'check' }), { cli_session_state: 'none' });
    assert.deepEqual(await complete(browser, { login_code }, { refresh_token: refreshToken }), { success: true });
    const result = await outcome;
    assert.equal(result.status, 'ok', String(result.error));
    assert.equal(result.data, refreshToken);
    assert.equal((await userOfToken(sdk, project, result.data)).id, created.id);
  });

  test('nobody comes in time', async () => {
    const { outcome } = await prompt({ maxAttempts: 2 });
    const result = await outcome;
    assert.equal(result.status, 'error');
    assertKnownError(sdk, result.error, 'CliAuthError');
    const { outcome: late, login_code } = await prompt({ expiresInMillis: 1 });
    assertKnownError(sdk, (await late).error, 'CliAuthExpiredError');
    const { app: browser } = await member();
    const { refreshToken } = await browser.getAuthJson();
    await assertRejectsStatus(complete(browser, { login_code }, { refresh_token: refreshToken }), 400);
  });

  test('the token is handed over once', async () => {
    const login = await start({});
    assert.deepEqual(Object.keys(login).sort(), ['expires_at', 'login_code', 'polling_code']);
    assert.match(login.polling_code, RANDOM_45);
    assert.notEqual(login.polling_code, login.login_code);
    const left = new Date(login.expires_at).getTime() - Date.now();
    assert.ok(Math.abs(left - 2 * HOUR_MILLIS) < 60_000, login.expires_at);
    assert.deepEqual(await poll(login), [200, { status: 'waiting' }]);

    const { app: browser } = await member();
    const { refreshToken: refresh_token } = await browser.getAuthJson();
    await complete(browser, login, { mode: 'complete', refresh_token });
    for (const mode of ['complete', 'check', 'claim-anon-session']) {
      await assertRejectsStatus(complete(browser, login, { mode, refresh_token }), 400);
    }
    assert.deepEqual(await poll(login), [201, { status: 'success', refresh_token }]);
    assert.deepEqual(await poll(login), [200, { status: 'used' }]);
  });

  test('codes that are unknown, and tokens of nobody', async () => {
    const [status, body] = await poll({ polling_code: UNKNOWN_CODE });
    assert.deepEqual([status, body.code], [400, 'INVALID_POLLING_CODE']);
    const login = await start();
    assert.equal((await poll({ polling_code: login.login_code }))[0], 400, 'the code of the link does not poll');
    const { app: browser } = await member();
    const { refreshToken: refresh_token } = await browser.getAuthJson();
    await assertRejectsStatus(complete(browser, { login_code: UNKNOWN_CODE }, { refresh_token }), 400);
    await assertRejectsStatus(complete(browser, { login_code: login.polling_code }, { refresh_token }), 400);
    await assertRejectsStatus(complete(browser, login, {}), 400);
    await assertRejectsStatus(complete(browser, login, { refresh_token: UNKNOWN_CODE }), 400);
    assert.deepEqual(await poll(login), [200, { status: 'waiting' }]);
    for (const expires_in_millis of [24 * HOUR_MILLIS + 1, 0, 1.5]) {
      const refused = await rest('POST', '/auth/cli', { project, json: { expires_in_millis } });
      assert.deepEqual([refused.status, refused.body.code], [400, 'SCHEMA_ERROR'], String(expires_in_millis));
    }
  });

  test('logins of one project are unknown in another', async () => {
    const login = await start();
    const other = await freshProject(sdk);
    const { status } = await rest('POST', '/auth/cli/poll', { project: other, json: { polling_code: login.polling_code } });
    assert.equal(status, 400);
    const { app } = await signedInMember(sdk, other, 'Eve');
    const { refreshToken: refresh_token } = await app.getAuthJson();
    await assertRejectsStatus(complete(app, login, { refresh_token }), 400);
    const { app: browser } = await member();
    await assertRejectsStatus(complete(browser, login, { refresh_token }), 400);
  });

  test('a program that was used without an account hands its anonymous user to the browser', async () => {
    const program = await anonymousUser(sdk, project);
    await program.user.update({ clientMetadata: { notes: 3 } });
    const login = await start({ anon_refresh_token: program.refreshToken });
    const browser = clientApp(sdk, project);
    assert.deepEqual(await complete(browser, login, { mode: 'check' }), { cli_session_state: 'anonymous' });
    const claimed = await complete(browser, login, { mode: 'claim-anon-session' });
    assert.deepEqual(Object.keys(claimed).sort(), ['access_token', 'refresh_token']);
    assert.equal(claimed.refresh_token, program.refreshToken);
    await assertRejectsStatus(complete(browser, login, { mode: 'claim-anon-session' }), 400);

    // As the client's own page for it does.
    await browser._signInToAccountWithTokens({ accessToken: claimed.access_token, refreshToken: claimed.refresh_token });
    const { user } = await signUp(sdk, project, { app: browser });
    assert.equal(user.id, program.user.id);
    assert.deepEqual(user.clientMetadata, { notes: 3 });
    const { refreshToken: refresh_token } = await browser.getAuthJson();
    await complete(browser, login, { refresh_token });
    assert.deepEqual(await poll(login), [201, { status: 'success', refresh_token }]);
    assert.equal((await userOfToken(sdk, project, refresh_token)).id, program.user.id);
  });

  test('completing leaves an anonymous user alone', async () => {
    const program = await anonymousUser(sdk, project);
    const login = await start({ anon_refresh_token: program.refreshToken });
    const { app: browser, created } = await member();
    const { refreshToken: refresh_token } = await browser.getAuthJson();
    await complete(browser, login, { refresh_token });
    const [, { refresh_token: taken }] = await poll(login);
    assert.equal((await userOfToken(sdk, project, taken)).id, created.id);
    assert.equal((await serverApp(sdk, project).getUser(program.user.id)).isAnonymous, true);
  });

  test('only anonymous sessions of the project are handed over', async () => {
    const { app } = await member();
    const other = await anonymousUser(sdk, await freshProject(sdk));
    for (const anon_refresh_token of [(await app.getAuthJson()).refreshToken, other.refreshToken, UNKNOWN_CODE]) {
      const { status, body } = await rest('POST', '/auth/cli', { project, json: { anon_refresh_token } });
      assert.deepEqual([status, typeof body], [400, 'string']);
    }
    const login = await start();
    await assertRejectsStatus(complete(app, login, { mode: 'claim-anon-session' }), 400);
  });
});
