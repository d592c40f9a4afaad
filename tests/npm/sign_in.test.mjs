// Ways in by mail, and from an anonymous user on: magic links, passwords that were forgotten, sign-ups that keep the user.
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { clientApp, describeEachSdk, serverApp } from './support/sdk.mjs';
import { assertKnownError, assertRejectsKnown, assertRejectsStatus, freshEmail, PASSWORD, RANDOM_45 } from './support/check.mjs';
import { codeIn, mailsTo, newestMailTo } from './support/mailbox.mjs';
import { freshProject } from './support/project.mjs';
import { rest } from './support/rest.mjs';
import { anonymousUser, MAGIC_LINK_URL, magicLink, RESET_URL, signUp, userOfToken } from './support/sign_in.mjs';

const OTHER_PASSWORD = 'staple battery horse correct';
const UNKNOWN_CODE = '0'.repeat(45);

/** A project that mails codes to sign in with. */
async function projectWithLinks(sdk, config = {}) {
  const project = await freshProject(sdk);
  await project.ownedProject.updateConfig({ 'auth.otp.allowSignIn': true, ...config });
  return project;
}

/** A user whom a server made with a verified address. */
async function verifiedUser(sdk, project, options = {}) {
  const email = freshEmail('verified');
  const user = await serverApp(sdk, project).createUser({
    primaryEmail: email,
    primaryEmailVerified: true,
    primaryEmailAuthEnabled: true,
    ...options,
  });
  return { email, user };
}

describeEachSdk('magic links', (sdk) => {
  let project;
  before(async () => {
    project = await projectWithLinks(sdk);
  });

  const useCode = (code, options = {}) => rest('POST', '/auth/otp/sign-in', { project, json: { code }, ...options });
  const checkCode = (code) => rest('POST', '/auth/otp/sign-in/check-code', { project, json: { code } });

  test('the link makes a new user, once', async () => {
    const app = clientApp(sdk, project);
    const email = freshEmail();
    const { code, nonce } = await magicLink(app, email);
    assert.equal(nonce, code.slice(6));
    assert.deepEqual((await checkCode(code)).body, { is_code_valid: true });

    assert.equal((await app.signInWithMagicLink(code, { noRedirect: true })).status, 'ok');
    const user = await app.getUser({ or: 'throw' });
    assert.deepEqual(
      [user.primaryEmail, user.primaryEmailVerified, user.otpAuthEnabled, user.hasPassword, user.isAnonymous],
      [email, true, true, false, false],
    );

    const elsewhere = clientApp(sdk, project);
    const again = await elsewhere.signInWithMagicLink(code, { noRedirect: true });
    assert.equal(again.status, 'error');
    assertKnownError(sdk, again.error, 'VerificationCodeAlreadyUsed');
    assert.equal(await elsewhere.getUser(), null);
    assert.deepEqual([(await checkCode(code)).status, (await checkCode(code)).body.code], [409, 'VERIFICATION_CODE_ALREADY_USED']);
  });

  test('the six characters of the mail and the nonce do as well', async () => {
    const app = clientApp(sdk, project);
    const email = freshEmail();
    const { mail, nonce } = await magicLink(app, email);
    const [typed] = mail.text.match(/^[ \t]*([0-9A-HJKMNP-TV-Z]{6})[ \t]*$/m).slice(1);
    assert.ok(mail.subject.includes(typed), 'phones show it in the notification');
    assert.ok(mail.html.includes(typed));
    assert.equal((await app.signInWithMagicLink(typed + nonce, { noRedirect: true })).status, 'ok');
    assert.equal((await app.getUser({ or: 'throw' })).primaryEmail, email);
  });

  test('it is told whether the user is new', async () => {
    const app = clientApp(sdk, project);
    const email = freshEmail();
    const first = await useCode((await magicLink(app, email)).code);
    const second = await useCode((await magicLink(app, email, { count: 2 })).code);
    assert.deepEqual([first.status, second.status], [200, 200]);
    assert.deepEqual([first.body.is_new_user, second.body.is_new_user], [true, false]);
    assert.equal(second.body.user_id, first.body.user_id);
    assert.deepEqual(Object.keys(first.body).sort(), ['access_token', 'is_new_user', 'refresh_token', 'user_id']);
    assert.match(first.body.refresh_token, RANDOM_45);
    assert.notEqual(second.body.refresh_token, first.body.refresh_token);
  });

  test('a verified user can use codes from the moment one is sent', async () => {
    const { email, user } = await verifiedUser(sdk, project, { password: PASSWORD });
    const server = serverApp(sdk, project);
    assert.equal(user.otpAuthEnabled, false);
    const app = clientApp(sdk, project);
    const { code } = await magicLink(app, email);
    assert.equal((await server.getUser(user.id)).otpAuthEnabled, true);
    assert.equal((await app.signInWithMagicLink(code, { noRedirect: true })).status, 'ok');
    const own = await app.getUser({ or: 'throw' });
    assert.deepEqual([own.id, own.hasPassword], [user.id, true]);
  });

  test('an account with an unverified address is none to sign in to', async () => {
    const { email, user } = await signUp(sdk, project);
    const app = clientApp(sdk, project);
    await assertRejectsKnown(sdk, app.sendMagicLinkEmail(email, { callbackUrl: MAGIC_LINK_URL }), 'UserWithEmailAlreadyExists', {
      details: { email, would_work_if_email_was_verified: true },
    });
    const { status } = await rest('POST', '/auth/otp/send-sign-in-code', { project, json: { email, callback_url: MAGIC_LINK_URL } });
    assert.equal(status, 409);

    await (await serverApp(sdk, project).getUser(user.id)).update({ primaryEmailVerified: true });
    const { code } = await magicLink(app, email);
    assert.equal((await mailsTo(email)).length, 1, 'the refused one sent nothing');
    assert.equal((await app.signInWithMagicLink(code, { noRedirect: true })).status, 'ok');
    assert.equal((await app.getUser({ or: 'throw' })).id, user.id);
  });

  test('an older code stays good, and codes of other kinds are unknown', async () => {
    const { email } = await verifiedUser(sdk, project, { password: PASSWORD });
    const app = clientApp(sdk, project);
    const older = await magicLink(app, email);
    await magicLink(app, email, { count: 2 });
    await app.sendForgotPasswordEmail(email, { callbackUrl: RESET_URL });
    const reset = codeIn(await newestMailTo(email, { count: 3 }), RESET_URL);

    for (const code of [reset, UNKNOWN_CODE]) {
      const result = await app.signInWithMagicLink(code, { noRedirect: true });
      assert.equal(result.status, 'error');
      assertKnownError(sdk, result.error, 'VerificationCodeNotFound');
    }
    assertKnownError(sdk, (await app.verifyPasswordResetCode(older.code)).error, 'VerificationCodeNotFound');
    await assertRejectsKnown(sdk, app.signInWithMagicLink('short', { noRedirect: true }), 'SchemaError');
    assert.equal((await app.signInWithMagicLink(older.code, { noRedirect: true })).status, 'ok');
  });

  test('an untrusted callback is refused', async () => {
    const result = await clientApp(sdk, project).sendMagicLinkEmail(freshEmail(), { callbackUrl: 'https://evil.example.org/' });
    assert.equal(result.status, 'error');
    assertKnownError(sdk, result.error, 'RedirectUrlNotWhitelisted');
  });

  test('where codes are off none is sent', async () => {
    const off = await freshProject(sdk);
    await assertRejectsStatus(clientApp(sdk, off).sendMagicLinkEmail(freshEmail(), { callbackUrl: MAGIC_LINK_URL }), 403);
  });

  test('where nobody may sign up only those with an account get a code', async () => {
    const closed = await projectWithLinks(sdk, { 'auth.allowSignUp': false });
    const app = clientApp(sdk, closed);
    await assertRejectsKnown(sdk, app.sendMagicLinkEmail(freshEmail(), { callbackUrl: MAGIC_LINK_URL }), 'SignUpNotEnabled');
    const { email, user } = await verifiedUser(sdk, closed);
    const { code } = await magicLink(app, email);
    assert.equal((await app.signInWithMagicLink(code, { noRedirect: true })).status, 'ok');
    assert.equal((await app.getUser({ or: 'throw' })).id, user.id);
  });
});

describeEachSdk('forgotten passwords', (sdk) => {
  let project;
  before(async () => {
    project = await freshProject(sdk);
  });

  async function resetCode(app, email, options) {
    const sent = await app.sendForgotPasswordEmail(email, { callbackUrl: RESET_URL });
    assert.equal(sent.status, 'ok', String(sent.error));
    return codeIn(await newestMailTo(email, options), RESET_URL);
  }

  const signIn = (email, password) => clientApp(sdk, project).signInWithCredential({ email, password, noRedirect: true });

  test('a code sets a new password and ends all sessions, once', async () => {
    const { app, email } = await signUp(sdk, project);
    const { refreshToken } = await app.getAuthJson();
    const stranger = clientApp(sdk, project);
    const code = await resetCode(stranger, email);
    assert.equal((await stranger.verifyPasswordResetCode(code)).status, 'ok');

    const weak = { code, password: 'short' };
    await assertRejectsKnown(sdk, stranger.resetPassword(weak), 'PasswordTooShort', { details: { min_length: 8 } });
    assert.equal((await stranger.verifyPasswordResetCode(code)).status, 'ok', 'a weak password leaves it good');
    assert.equal((await signIn(email, PASSWORD)).status, 'ok', 'and the old one in its place');

    assert.equal((await stranger.resetPassword({ code, password: OTHER_PASSWORD })).status, 'ok');
    assert.equal(await stranger.getUser(), null, 'nobody is signed in by it');
    assert.equal(await userOfToken(sdk, project, refreshToken), null, 'all sessions are over');
    assertKnownError(sdk, (await signIn(email, PASSWORD)).error, 'EmailPasswordMismatch');
    assert.equal((await signIn(email, OTHER_PASSWORD)).status, 'ok');

    for (const again of [stranger.verifyPasswordResetCode(code), stranger.resetPassword({ code, password: PASSWORD })]) {
      const result = await again;
      assert.equal(result.status, 'error');
      assertKnownError(sdk, result.error, 'VerificationCodeAlreadyUsed');
    }
    assert.equal((await signIn(email, OTHER_PASSWORD)).status, 'ok');
  });

  test('a user without a password gets a first one', async () => {
    const { email, user } = await verifiedUser(sdk, project);
    const app = clientApp(sdk, project);
    const code = await resetCode(app, email);
    assert.equal((await app.resetPassword({ code, password: OTHER_PASSWORD })).status, 'ok');
    assert.equal((await serverApp(sdk, project).getUser(user.id)).hasPassword, true);
    assert.equal((await signIn(email, OTHER_PASSWORD)).status, 'ok');
  });

  test('an unknown address gets the same answer and no mail', async () => {
    const [unknown, { email }] = [freshEmail(), await signUp(sdk, project)];
    const ask = (address) =>
      rest('POST', '/auth/password/send-reset-code', { project, json: { email: address, callback_url: RESET_URL } });
    const [ofNobody, ofSomebody] = [await ask(unknown), await ask(email)];
    assert.deepEqual([ofNobody.status, ofNobody.body], [ofSomebody.status, ofSomebody.body]);
    assert.equal(typeof ofNobody.body.success, 'string');
    await newestMailTo(email);
    assert.deepEqual(await mailsTo(unknown), []);
  });

  test('unknown codes are unknown', async () => {
    const app = clientApp(sdk, project);
    assertKnownError(sdk, (await app.verifyPasswordResetCode(UNKNOWN_CODE)).error, 'VerificationCodeNotFound');
    const result = await app.resetPassword({ code: UNKNOWN_CODE, password: PASSWORD });
    assertKnownError(sdk, result.error, 'VerificationCodeNotFound');
  });
});

describeEachSdk('anonymous users', (sdk) => {
  let project;
  before(async () => {
    project = await projectWithLinks(sdk);
  });

  /** The user as the backend sees it. */
  const seen = (id) => serverApp(sdk, project).getUser(id);

  test('whoever wants one gets one, and it stays the same', async () => {
    const { app, user } = await anonymousUser(sdk, project);
    assert.deepEqual([user.isAnonymous, user.isRestricted, user.restrictedReason], [true, true, { type: 'anonymous' }]);
    assert.deepEqual([user.primaryEmail, user.displayName, user.hasPassword], [null, null, false]);
    assert.equal((await app.getUser({ or: 'anonymous' })).id, user.id);
    assert.equal(await app.getUser(), null, 'for pages that do not know of anonymous users nobody is signed in');
    assert.notEqual((await anonymousUser(sdk, project)).user.id, user.id);
  });

  test('where nobody may sign up there are anonymous users still', async () => {
    const closed = await projectWithLinks(sdk, { 'auth.allowSignUp': false });
    const { app, user } = await anonymousUser(sdk, closed);
    assert.equal(user.isAnonymous, true);
    await assertRejectsKnown(
      sdk,
      app.signUpWithCredential({ email: freshEmail(), password: PASSWORD, noVerificationCallback: true, noRedirect: true }),
      'SignUpNotEnabled',
    );
  });

  test('a sign-up by password keeps the user and what it has, and ends its sessions', async () => {
    const { app, user, refreshToken } = await anonymousUser(sdk, project);
    await user.update({ displayName: 'Ada', clientMetadata: { cart: [1, 2] } });
    const { email, user: own } = await signUp(sdk, project, { app });
    assert.equal(own.id, user.id);
    assert.deepEqual(
      [own.isAnonymous, own.isRestricted, own.restrictedReason, own.primaryEmail, own.displayName, own.clientMetadata],
      [false, false, null, email, 'Ada', { cart: [1, 2] }],
    );
    assert.ok(own.signedUpAt.getTime() > user.signedUpAt.getTime(), 'signed up now, not when it was anonymous');
    assert.equal(await userOfToken(sdk, project, refreshToken), null);
    const again = clientApp(sdk, project);
    assert.equal((await again.signInWithCredential({ email, password: PASSWORD, noRedirect: true })).status, 'ok');
    assert.equal((await again.getUser({ or: 'throw' })).id, user.id);
  });

  test('a magic link keeps the user, and the sessions', async () => {
    const { app, user, refreshToken } = await anonymousUser(sdk, project);
    const email = freshEmail();
    const { code } = await magicLink(app, email);
    assert.equal((await app.signInWithMagicLink(code, { noRedirect: true })).status, 'ok');
    const own = await app.getUser({ or: 'throw' });
    assert.deepEqual([own.id, own.isAnonymous, own.primaryEmail, own.primaryEmailVerified], [user.id, false, email, true]);
    assert.equal((await userOfToken(sdk, project, refreshToken))?.id, user.id);
  });

  test('who was anonymous counts as new', async () => {
    const { app, user, accessToken } = await anonymousUser(sdk, project);
    const { code } = await magicLink(app, freshEmail());
    const { status, body } = await rest('POST', '/auth/otp/sign-in', {
      project,
      accessToken,
      headers: { 'x-stack-allow-anonymous-user': 'true' },
      json: { code },
    });
    assert.deepEqual([status, body.user_id, body.is_new_user], [200, user.id, true]);
  });

  test('an account that is there already is signed in to, and the anonymous user is left alone', async () => {
    const known = await verifiedUser(sdk, project, { password: PASSWORD });
    const { app, user } = await anonymousUser(sdk, project);
    const { code } = await magicLink(app, known.email);
    assert.equal((await app.signInWithMagicLink(code, { noRedirect: true })).status, 'ok');
    assert.equal((await app.getUser({ or: 'throw' })).id, known.user.id);
    assert.equal((await seen(user.id)).isAnonymous, true);
  });

  test('an address that somebody has does not become the password of an anonymous user', async () => {
    const known = await verifiedUser(sdk, project, { password: PASSWORD });
    const { app, user } = await anonymousUser(sdk, project);
    const result = await app.signUpWithCredential({
      email: known.email,
      password: OTHER_PASSWORD,
      noVerificationCallback: true,
      noRedirect: true,
    });
    assert.equal(result.status, 'error');
    assertKnownError(sdk, result.error, 'UserWithEmailAlreadyExists');
    assert.equal((await app.getUser({ or: 'anonymous' })).id, user.id);
    const { isAnonymous, primaryEmail } = await seen(user.id);
    assert.deepEqual([isAnonymous, primaryEmail], [true, null]);
  });
});
