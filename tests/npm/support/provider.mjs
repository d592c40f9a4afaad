// Another site that people sign in with: npm's `oidc-provider`, as a real OpenID provider on a port of its own.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { createServer } from 'node:http';
import { exportJWK, generateKeyPair } from 'jose';
import Provider from 'oidc-provider';
import { freshEmail } from './check.mjs';
import { baseUrl } from './env.mjs';

const random = () => randomBytes(24).toString('base64url');

async function newKey() {
  const { privateKey } = await generateKeyPair('RS256', { extractable: true });
  return { ...(await exportJWK(privateKey)), kid: random(), alg: 'RS256', use: 'sig' };
}

/** A page where one says by which account one comes in, or that one does not. */
function form(uid, wanted) {
  return `<!doctype html><html lang="en"><meta charset="utf-8"><link rel="icon" href="data:,"><title>Acme</title>
    <h1>Sign in to Acme</h1><p id="wanted">${wanted}</p><form method="post" action="/interaction/${uid}">
    <label>Account <input name="account"></label>
    <button name="answer" value="yes">Continue</button><button name="answer" value="no">Cancel</button></form>`;
}

async function readForm(request) {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  return new URLSearchParams(Buffer.concat(chunks).toString());
}

/**
 * Starts a provider that knows Postern as a client, by `id` in a project's config. Its host is not that of the application and
 * of Postern, as it is out there. `config` is what a project sets to let people sign in with it; `setDown` has its own answers
 * to servers fail while browsers still get theirs.
 */
export async function startProvider(id = 'acme') {
  let handle;
  let isDown = false;
  const server = createServer((request, response) => {
    const path = request.url.split('?')[0];
    if (isDown && ['/token', '/me', '/jwks', '/.well-known/openid-configuration'].includes(path)) return request.destroy();
    return handle(request, response).catch((error) => response.writeHead(500).end(String(error)));
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const issuer = `http://127.0.0.1:${server.address().port}`;
  const client = { client_id: 'postern', client_secret: random() };
  const accounts = new Map();
  const tokens = [];
  const cookieKeys = [random()];
  const settings = {
    clients: [
      {
        ...client,
        redirect_uris: [`${baseUrl}/api/v1/auth/oauth/callback/${id}`],
        grant_types: ['authorization_code', 'refresh_token'],
        token_endpoint_auth_method: 'client_secret_basic',
      },
    ],
    scopes: ['openid', 'calendar'],
    claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['name', 'picture'] },
    // Most providers tell all of it in the ID token.
    conformIdTokenClaims: false,
    findAccount: (_, sub) => ({ accountId: sub, claims: () => ({ sub, ...accounts.get(sub) }) }),
    pkce: { required: () => true },
    issueRefreshToken: () => true,
    rotateRefreshToken: true,
    interactions: { url: (_, { uid }) => `/interaction/${uid}` },
    features: { devInteractions: { enabled: false } },
    cookies: { keys: cookieKeys },
  };

  /** Signs by a new key from now on, of which nobody was told. */
  async function rotateKeys() {
    const provider = new Provider(issuer, { ...settings, jwks: { keys: [await newKey()] } });
    const app = provider.callback();
    provider.on('access_token.saved', (token) => tokens.push(token));
    provider.on('refresh_token.saved', (token) => tokens.push(token));
    handle = async (request, response) => {
      const uid = request.url.match(/^\/interaction\/([^/?]+)$/)?.[1];
      if (!uid) return app(request, response);
      const { params, grantId } = await provider.interactionDetails(request, response);
      if (request.method === 'GET') {
        response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' });
        return response.end(form(uid, params.scope));
      }
      const answers = await readForm(request);
      const accountId = answers.get('account');
      if (answers.get('answer') !== 'yes' || !accounts.has(accountId)) {
        return provider.interactionFinished(request, response, { error: 'access_denied', error_description: 'No.' });
      }
      const grant = (grantId && (await provider.Grant.find(grantId))) || new provider.Grant({ accountId, clientId: client.client_id });
      grant.addOIDCScope(params.scope);
      return provider.interactionFinished(request, response, { login: { accountId }, consent: { grantId: await grant.save() } });
    };
  }
  await rotateKeys();

  return {
    id,
    issuer,
    config: {
      [`auth.oauth.providers.${id}`]: {
        type: 'oidc',
        allowSignIn: true,
        allowConnectedAccounts: true,
        isShared: false,
        clientId: client.client_id,
        clientSecret: client.client_secret,
        issuerUrl: issuer,
      },
    },
    /** Somebody's account there; answers it with its id, by which they come in. */
    account(claims = {}) {
      const sub = `account-${random()}`;
      const told = { email: freshEmail('there'), email_verified: true, name: 'Ada There', ...claims };
      accounts.set(sub, told);
      return { sub, ...told };
    },
    /** Takes access tokens of an account back, as when their time is over. */
    async endAccessTokens(sub) {
      const own = tokens.filter((token) => token.accountId === sub && token.kind === 'AccessToken');
      assert.ok(own.length > 0, 'it has some');
      await Promise.all(own.map((token) => token.destroy()));
    },
    /** What its owner does who has no more trust in the client. */
    async revoke(sub) {
      await Promise.all(tokens.filter((token) => token.accountId === sub).map((token) => token.destroy()));
    },
    /** Whose access token it is, by the provider itself. */
    async whose(accessToken) {
      const response = await fetch(`${issuer}/me`, { headers: { authorization: `Bearer ${accessToken}` } });
      return response.status === 200 ? (await response.json()).sub : response.status;
    },
    rotateKeys,
    setDown: (down) => {
      isDown = down;
    },
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}
