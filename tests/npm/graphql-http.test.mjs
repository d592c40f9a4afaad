// The audit of the GraphQL-over-HTTP working group, every item a test of its own, as an anonymous caller and as a backend.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { serverAudits } from 'graphql-http';
import { baseUrl, demo } from './support/env.mjs';

const callers = {
  anonymous: {},
  'with a server key': {
    'x-stack-project-id': demo.projectId,
    'x-stack-access-type': 'server',
    'x-stack-secret-server-key': demo.secretServerKey,
  },
};

for (const [caller, headers] of Object.entries(callers)) {
  describe(`GraphQL over HTTP, ${caller}`, () => {
    const fetchFn = (url, init = {}) => fetch(url, { ...init, headers: { ...headers, ...init.headers } });
    for (const audit of serverAudits({ url: `${baseUrl}/graphql`, fetchFn })) {
      test(`${audit.id}: ${audit.name}`, async () => {
        const result = await audit.fn();
        assert.equal(result.status, 'ok', result.reason);
      });
    }
  });
}
