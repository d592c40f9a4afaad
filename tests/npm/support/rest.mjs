// Plain calls of the REST API, for what the client hides: statuses, headers, foreign origins.
import { baseUrl } from './env.mjs';

/** `fetch` below /api/v1 with the headers of an access type; answers `{status, headers, body}` (JSON parsed where it is JSON). */
export async function rest(method, path, { project, accessType = 'client', accessToken, headers = {}, json } = {}) {
  const key = { client: 'publishable-client-key', server: 'secret-server-key', admin: 'super-secret-admin-key' }[accessType];
  const value = { client: 'publishableClientKey', server: 'secretServerKey', admin: 'superSecretAdminKey' }[accessType];
  const response = await fetch(`${baseUrl}/api/v1${path}`, {
    method,
    headers: {
      ...(project ? { 'x-stack-project-id': project.projectId, 'x-stack-access-type': accessType, [`x-stack-${key}`]: project[value] } : {}),
      ...(accessToken ? { 'x-stack-access-token': accessToken } : {}),
      ...(json === undefined ? {} : { 'content-type': 'application/json' }),
      ...headers,
    },
    body: json === undefined ? undefined : JSON.stringify(json),
  });
  const text = await response.text();
  const isJson = response.headers.get('content-type')?.startsWith('application/json');
  return { status: response.status, headers: response.headers, body: isJson ? JSON.parse(text) : text };
}
