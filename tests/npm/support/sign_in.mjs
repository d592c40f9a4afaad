// What suites about signing in do over and over.
import assert from 'node:assert/strict';
import { clientApp } from './sdk.mjs';
import { codeIn, newestMailTo } from './mailbox.mjs';
import { freshEmail, PASSWORD } from './check.mjs';

export const MAGIC_LINK_URL = 'http://localhost:3000/handler/magic-link-callback';
export const RESET_URL = 'http://localhost:3000/handler/password-reset';

const internals = Symbol.for('StackAuth--DO-NOT-USE-OR-YOU-WILL-BE-FIRED--StackAppInternals');

/** A user who signed up by password, with the address unverified: `{app, email, user}`. */
export async function signUp(sdk, project, { email = freshEmail(), app = clientApp(sdk, project) } = {}) {
  const result = await app.signUpWithCredential({ email, password: PASSWORD, noVerificationCallback: true, noRedirect: true });
  assert.equal(result.status, 'ok', String(result.error));
  return { app, email, user: await app.getUser({ or: 'throw' }) };
}

/** An app with nobody but an anonymous user: `{app, user, refreshToken}`. */
export async function anonymousUser(sdk, project) {
  const app = clientApp(sdk, project);
  const user = await app.getUser({ or: 'anonymous' });
  const { accessToken, refreshToken } = await user.getAuthJson();
  return { app, user, accessToken, refreshToken };
}

/** Has a link mailed; answers the mail, the code of its link and the nonce. `count`: which mail to the address it is. */
export async function magicLink(app, email, { count = 1 } = {}) {
  const sent = await app.sendMagicLinkEmail(email, { callbackUrl: MAGIC_LINK_URL });
  assert.equal(sent.status, 'ok', String(sent.error));
  const mail = await newestMailTo(email, { count });
  return { mail, code: codeIn(mail, MAGIC_LINK_URL), nonce: sent.data.nonce };
}

/** The app of whoever has this session; null stands for nobody. */
export const userOfToken = (sdk, project, refreshToken) => clientApp(sdk, project, { refreshToken, accessToken: null }).getUser();

/**
 * Posts as the client's own calls do, by its own session, for what it has no method for: answers the JSON, or is rejected with the
 * client's typed error.
 */
export async function post(app, path, json) {
  const headers = { 'content-type': 'application/json' };
  const response = await app[internals].sendRequest(path, { method: 'POST', headers, body: JSON.stringify(json) });
  return response.json();
}
