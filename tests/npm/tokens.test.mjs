// Access tokens as third parties check them: jose with the JWKS address (the snippet of the docs), and PyJWT.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { createRemoteJWKSet, decodeProtectedHeader, errors, jwtVerify } from 'jose';
import { baseUrl, demo } from './support/env.mjs';
import { clientApp, newestSdk, serverApp } from './support/sdk.mjs';
import { assertRecent, freshEmail, PASSWORD } from './support/check.mjs';
import { freshProject } from './support/project.mjs';
import { rest } from './support/rest.mjs';

const jwksUrl = (projectId, query = '') => new URL(`${baseUrl}/api/v1/projects/${projectId}/.well-known/jwks.json${query}`);
const issuer = (projectId, kind = 'projects') => `${baseUrl}/api/v1/${kind}/${projectId}`;

async function verify(accessToken, projectId, { query, kind, audience = projectId } = {}) {
  return jwtVerify(accessToken, createRemoteJWKSet(jwksUrl(projectId, query)), { issuer: issuer(projectId, kind), audience });
}

describe('access tokens', () => {
  let accessToken;
  let user;
  before(async () => {
    const app = clientApp(newestSdk, demo);
    const result = await app.signUpWithCredential({ email: freshEmail(), password: PASSWORD, noVerificationCallback: true, noRedirect: true });
    assert.equal(result.status, 'ok');
    accessToken = await app.getAccessToken();
    user = await app.getUser({ or: 'throw' });
  });

  test('jose verifies signature, issuer and audience, and finds exactly the claims of the contract', async () => {
    const { payload, protectedHeader } = await verify(accessToken, demo.projectId);
    assert.equal(protectedHeader.alg, 'ES256');
    assert.match(protectedHeader.kid, /^[A-Za-z0-9_-]{12}$/);
    assertRecent(payload.iat * 1000);
    const [session] = await user.getActiveSessions();
    assert.deepEqual(payload, {
      iss: issuer(demo.projectId),
      aud: demo.projectId,
      sub: user.id,
      iat: payload.iat,
      exp: payload.iat + 600,
      project_id: demo.projectId,
      branch_id: 'main',
      refresh_token_id: session.id,
      role: 'authenticated',
      name: null,
      email: user.primaryEmail,
      email_verified: false,
      selected_team_id: null,
      signed_up_at: Math.floor(user.signedUpAt.getTime() / 1000),
      is_anonymous: false,
      is_restricted: false,
      restricted_reason: null,
      requires_totp_mfa: false,
    });
  });

  test('claims follow the user at the next refresh', async () => {
    await (await serverApp(newestSdk, demo).getUser(user.id)).update({ displayName: 'Ada', primaryEmailVerified: true });
    const { refreshToken } = await user.currentSession.getTokens();
    const next = await clientApp(newestSdk, demo, { refreshToken, accessToken: null }).getAccessToken();
    const { payload } = await verify(next, demo.projectId);
    assert.equal(payload.name, 'Ada');
    assert.equal(payload.email_verified, true);
  });

  test('another project verifies nothing', async () => {
    const project = await freshProject();
    await assert.rejects(verify(accessToken, project.projectId), errors.JWKSNoMatchingKey);
    await assert.rejects(verify(accessToken, demo.projectId, { audience: project.projectId }), errors.JWTClaimValidationFailed);
  });

  test('a changed token does not verify', async () => {
    const [header, payload, signature] = accessToken.split('.');
    const claims = { ...JSON.parse(Buffer.from(payload, 'base64url')), sub: '44444444-4444-4444-8444-444444444444' };
    const forged = [header, Buffer.from(JSON.stringify(claims)).toString('base64url'), signature].join('.');
    await assert.rejects(verify(forged, demo.projectId), errors.JWSSignatureVerificationFailed);
  });

  test('the server refuses tokens that were changed, unsigned or made for another project', async () => {
    const [header, payload] = accessToken.split('.');
    const none = `${Buffer.from('{"alg":"none","typ":"JWT"}').toString('base64url')}.${payload}.`;
    for (const bad of ['garbage', 'a.b.c', none, `${header}.${payload}.AAAA`]) {
      const answer = await rest('GET', '/users/me', { project: demo, accessToken: bad });
      assert.deepEqual([answer.status, answer.body.code], [401, 'UNPARSABLE_ACCESS_TOKEN'], bad);
    }
    const project = await freshProject();
    const foreign = await rest('GET', '/users/me', { project, accessToken });
    assert.deepEqual(
      [foreign.status, foreign.body.code, foreign.body.details],
      [401, 'INVALID_PROJECT_FOR_ACCESS_TOKEN', { expected_project_id: project.projectId, actual_project_id: demo.projectId }],
    );
  });

  test('the key set: two keys per kind of user, public parts only, cacheable', async () => {
    for (const [query, count] of [
      ['', 2],
      ['?include_restricted=true', 4],
      ['?include_anonymous=true', 6],
      ['?include_restricted=false&include_anonymous=false', 2],
    ]) {
      const response = await fetch(jwksUrl(demo.projectId, query));
      assert.equal(response.status, 200);
      assert.equal(response.headers.get('cache-control'), 'public, max-age=3600');
      assert.equal(response.headers.get('access-control-allow-origin'), '*');
      const { keys } = await response.json();
      assert.equal(keys.length, count, query);
      assert.equal(new Set(keys.map((key) => key.kid)).size, count, 'every key its own id');
      for (const key of keys) {
        assert.deepEqual(Object.keys(key).sort(), ['alg', 'crv', 'kid', 'kty', 'x', 'y']);
        assert.deepEqual([key.kty, key.crv, key.alg], ['EC', 'P-256', 'ES256']);
      }
    }
    const { keys } = await (await fetch(jwksUrl(demo.projectId))).json();
    assert.ok(keys.some((key) => key.kid === decodeProtectedHeader(accessToken).kid));
    assert.equal((await fetch(jwksUrl('55555555-5555-4555-8555-555555555555'))).status, 404);
  });

  test('a restricted user has a token that ordinary verifiers do not accept', async () => {
    const app = serverApp(newestSdk, demo);
    const restricted = await app.createUser({ displayName: 'Restricted' });
    await restricted.update({ restrictedByAdmin: true });
    const { accessToken: token } = await (await restricted.createSession({})).getTokens();
    await assert.rejects(verify(token, demo.projectId), errors.JWKSNoMatchingKey);
    const { payload } = await verify(token, demo.projectId, {
      query: '?include_restricted=true',
      kind: 'projects-restricted-users',
      audience: `${demo.projectId}:restricted`,
    });
    assert.equal(payload.is_restricted, true);
    assert.deepEqual(payload.restricted_reason, { type: 'restricted_by_administrator' });

    const refused = await rest('GET', '/users/me', { project: demo, accessToken: token });
    assert.deepEqual(
      [refused.status, refused.body.code, refused.body.details],
      [403, 'RESTRICTED_USER_NOT_ALLOWED', { restricted_reason: { type: 'restricted_by_administrator' } }],
    );
    const allowed = await rest('GET', '/users/me', { project: demo, accessToken: token, headers: { 'x-stack-allow-restricted-user': 'true' } });
    assert.deepEqual([allowed.status, allowed.body.id], [200, restricted.id]);
  });

  const python = process.env.POSTERN_TEST_PYTHON;
  test('PyJWT verifies the same token', { skip: python ? false : 'POSTERN_TEST_PYTHON is not set' }, async () => {
    const script = fileURLToPath(new URL('../python/verify_token.py', import.meta.url));
    const run = (token, audience) => promisify(execFile)(python, [script, baseUrl, audience, token]);
    const { stdout } = await run(accessToken, demo.projectId);
    assert.deepEqual(JSON.parse(stdout), (await verify(accessToken, demo.projectId)).payload);

    const [header, payload] = accessToken.split('.');
    await assert.rejects(run(`${header}.${payload}.AAAA`, demo.projectId), /InvalidSignatureError|DecodeError/);
    const project = await freshProject();
    await assert.rejects(run(accessToken, project.projectId), /PyJWKClientError/);
  });
});
