// The second factor: codes of an authenticator, and recovery codes for the day when it is lost.
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { clientApp, describeEachSdk } from './support/sdk.mjs';
import { assertKnownError, assertRejectsKnown, assertRejectsStatus, PASSWORD, RANDOM_45 } from './support/check.mjs';
import { freshProject, signedInMember } from './support/project.mjs';
import { rest } from './support/rest.mjs';
import { magicLink, post, userOfToken } from './support/sign_in.mjs';
import { freshTotp, newTotpSecret, wrongTotp } from './support/totp.mjs';

describeEachSdk('the second factor', (sdk) => {
  let project;
  before(async () => {
    project = await freshProject(sdk);
    await project.ownedProject.updateConfig({ 'auth.otp.allowSignIn': true });
  });

  /** A user who has switched it on, in the client: `{app, own, email, secret}`. */
  async function guarded() {
    const secret = newTotpSecret();
    const { own, ...member } = await signedInMember(sdk, project, 'Ada', { primaryEmailVerified: true });
    await own.update({ totpMultiFactorSecret: secret });
    return { ...member, own: await member.app.getUser({ or: 'throw' }), secret };
  }

  /** Gives the right password; answers the code of the attempt that waits for the second factor. */
  async function attempt(email, app = clientApp(sdk, project)) {
    let error;
    await post(app, '/auth/password/sign-in', { email, password: PASSWORD }).catch((caught) => (error = caught));
    assertKnownError(sdk, error, 'MultiFactorAuthenticationRequired');
    assert.deepEqual(Object.keys(error.details), ['attempt_code']);
    assert.match(error.details.attempt_code, RANDOM_45);
    return error.details.attempt_code;
  }

  const mfa = (json) => rest('POST', '/auth/mfa/sign-in', { project, json });

  test('the password alone signs nobody in, the code does', async () => {
    const { email, own, secret } = await guarded();
    assert.equal(own.isMultiFactorRequired, true);
    const app = clientApp(sdk, project);
    // A browser is led to a page for it, which there is none of here.
    await assert.rejects(app.signInWithCredential({ email, password: PASSWORD, noRedirect: true }));
    assert.equal(await app.getUser(), null);

    const code = await attempt(email, app);
    const result = await app.signInWithMfa(await freshTotp(secret), code, { noRedirect: true });
    assert.equal(result.status, 'ok', String(result.error));
    assert.equal((await app.getUser({ or: 'throw' })).id, own.id);
    const again = await clientApp(sdk, project).signInWithMfa(await freshTotp(secret), code, { noRedirect: true });
    assertKnownError(sdk, again.error, 'VerificationCodeAlreadyUsed');
  });

  test('a wrong code leaves the attempt good, and no code is good twice', async () => {
    const { email, own, secret } = await guarded();
    const [first, second] = [await attempt(email), await attempt(email)];
    const app = clientApp(sdk, project);
    for (const wrong of [await wrongTotp(secret), '', 'abcdef']) {
      const result = await app.signInWithMfa(wrong, first, { noRedirect: true });
      assert.equal(result.status, 'error');
      assertKnownError(sdk, result.error, 'InvalidTotpCode');
      assert.equal(await app.getUser(), null);
    }
    const right = await freshTotp(secret);
    assert.equal((await app.signInWithMfa(right, first, { noRedirect: true })).status, 'ok');
    assert.equal((await app.getUser({ or: 'throw' })).id, own.id);

    const onlooker = clientApp(sdk, project);
    const replayed = await onlooker.signInWithMfa(right, second, { noRedirect: true });
    assert.equal(replayed.status, 'error');
    assertKnownError(sdk, replayed.error, 'InvalidTotpCode');
    assert.equal(await onlooker.getUser(), null);
  });

  test('the codes of another user are wrong, an unknown attempt is unknown', async () => {
    const [ada, bob] = [await guarded(), await guarded()];
    const app = clientApp(sdk, project);
    const code = await attempt(ada.email);
    const foreign = await app.signInWithMfa(await freshTotp(bob.secret), code, { noRedirect: true });
    assertKnownError(sdk, foreign.error, 'InvalidTotpCode');
    const unknown = await app.signInWithMfa(await freshTotp(bob.secret), '0'.repeat(45), { noRedirect: true });
    assertKnownError(sdk, unknown.error, 'VerificationCodeNotFound');
  });

  test('it is asked for behind a magic link, too', async () => {
    const { app: own, email, created, secret } = await guarded();
    const { refreshToken } = await own.getAuthJson();
    const app = clientApp(sdk, project);
    const { code } = await magicLink(app, email);
    let error;
    await post(app, '/auth/otp/sign-in', { code }).catch((caught) => (error = caught));
    assertKnownError(sdk, error, 'MultiFactorAuthenticationRequired');
    const { status, body } = await mfa({ type: 'totp', totp: await freshTotp(secret), code: error.details.attempt_code });
    assert.deepEqual([status, body.user_id, body.is_new_user], [200, created.id, false]);
    // Sessions that are there go on without it.
    assert.equal((await userOfToken(sdk, project, refreshToken)).id, created.id);
  });

  test('switched off, the password is enough again', async () => {
    const { own, email } = await guarded();
    await own.update({ totpMultiFactorSecret: null });
    const app = clientApp(sdk, project);
    assert.equal((await app.signInWithCredential({ email, password: PASSWORD, noRedirect: true })).status, 'ok');
    assert.equal((await app.getUser({ or: 'throw' })).isMultiFactorRequired, false);
  });

  test('ten recovery codes stand in for the authenticator, each once', async () => {
    const { app, email, created } = await guarded();
    const { recovery_codes: codes, ...rests } = await post(app, '/auth/mfa/recovery-codes', {});
    assert.deepEqual(rests, {});
    assert.deepEqual([codes.length, new Set(codes).size], [10, 10]);
    for (const code of codes) assert.match(code, /^[0-9a-hjkmnp-tv-z]{4}(-[0-9a-hjkmnp-tv-z]{4}){3}$/);

    const recover = async (recovery_code, code) => mfa({ type: 'recovery_code', recovery_code, code });
    const first = await attempt(email);
    const wrong = await recover('0000-0000-0000-0000', first);
    assert.deepEqual([wrong.status, wrong.body.code], [400, 'INVALID_TOTP_CODE']);
    const right = await recover(codes[0], first);
    assert.deepEqual([right.status, right.body.user_id, right.body.is_new_user], [200, created.id, false]);
    assert.equal((await userOfToken(sdk, project, right.body.refresh_token)).id, created.id);

    const second = await attempt(email);
    const again = await recover(codes[0], second);
    assert.deepEqual([again.status, again.body.code], [400, 'INVALID_TOTP_CODE'], 'no code is good twice');
    const written = codes[1].toUpperCase().replaceAll('-', ' ');
    assert.equal((await recover(written, second)).status, 200, 'as people write them down');
  });

  test('new recovery codes take the place of the old ones', async () => {
    const { app, email, secret } = await guarded();
    const old = (await post(app, '/auth/mfa/recovery-codes', {})).recovery_codes;
    const fresh = (await post(app, '/auth/mfa/recovery-codes', {})).recovery_codes;
    assert.deepEqual(old.filter((code) => fresh.includes(code)), []);
    const code = await attempt(email);
    assert.equal((await mfa({ type: 'recovery_code', recovery_code: old[0], code })).status, 400);
    assert.equal((await mfa({ type: 'recovery_code', recovery_code: fresh[0], code })).status, 200);
    const both = { type: 'totp', totp: await freshTotp(secret), recovery_code: fresh[1], code: await attempt(email) };
    const refused = await mfa(both);
    assert.deepEqual([refused.status, refused.body.code], [400, 'SCHEMA_ERROR'], 'one factor, not two');
  });

  test('recovery codes are for users who have something to recover', async () => {
    const { app } = await signedInMember(sdk, project, 'Ada');
    await assertRejectsStatus(post(app, '/auth/mfa/recovery-codes', {}), 400);
    await assertRejectsKnown(sdk, post(clientApp(sdk, project), '/auth/mfa/recovery-codes', {}), 'UserAuthenticationRequired');
  });
});
