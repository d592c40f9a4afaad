// GraphQL as backends and browsers call it: over HTTP, over a WebSocket, over server-sent events.
import assert from 'node:assert/strict';
import { createClient as createSseClient } from 'graphql-sse';
import { createClient as createSocketClient } from 'graphql-ws';
import WebSocket from 'ws';
import { baseUrl } from './env.mjs';

const url = `${baseUrl}/graphql`;

/** The headers of a backend of the project. */
export const serverHeaders = (project) => ({
  'x-stack-project-id': project.projectId,
  'x-stack-access-type': 'server',
  'x-stack-secret-server-key': project.secretServerKey,
});

/** The headers of an administrator. */
export const adminHeaders = (project) => ({
  'x-stack-project-id': project.projectId,
  'x-stack-access-type': 'admin',
  'x-stack-super-secret-admin-key': project.superSecretAdminKey,
});

/** The headers of a browser, perhaps with a signed-in user. */
export const clientHeaders = (project, accessToken) => ({
  'x-stack-project-id': project.projectId,
  'x-stack-access-type': 'client',
  'x-stack-publishable-client-key': project.publishableClientKey,
  ...(accessToken ? { 'x-stack-access-token': accessToken } : {}),
});

/** Runs a query or mutation and answers `{data, errors}`. */
export async function graphqlAnswer(headers, query, variables) {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify({ query, variables }),
  });
  return response.json();
}

/** Runs a query or mutation and answers its data; fails on any error. */
export async function graphql(headers, query, variables) {
  const answer = await graphqlAnswer(headers, query, variables);
  assert.equal(answer.errors, undefined, JSON.stringify(answer.errors));
  return answer.data;
}

/** A `graphql-ws` client that connects at its first operation and never again; dispose of it at the end. */
export function socketClient(headers, on = {}) {
  return createSocketClient({
    url: url.replace(/^http/, 'ws'),
    webSocketImpl: WebSocket,
    connectionParams: headers,
    retryAttempts: 0,
    on,
  });
}

/** A `graphql-sse` client in distinct connections mode. */
export function sseClient(headers) {
  return createSseClient({ url, headers, retryAttempts: 0 });
}

/**
 * Collects what a subscription of either client yields. `next(count)` waits for so many answers and hands them out;
 * `ended` resolves with nothing on completion and with the error on failure.
 */
export function follow(client, query, variables) {
  const answers = [];
  let wake = () => {};
  let failure;
  let finish;
  const ended = new Promise((resolve) => (finish = resolve));
  const stop = client.subscribe(
    { query, variables },
    {
      next: (answer) => {
        answers.push(answer);
        wake();
      },
      error: (error) => {
        failure = error;
        wake();
        finish(error);
      },
      complete: () => finish(undefined),
    },
  );
  async function next(count = 1, deadlineMillis = 15_000) {
    const deadline = Date.now() + deadlineMillis;
    while (answers.length < count) {
      if (failure) throw Object.assign(new Error(`the subscription failed: ${describe(failure)}`), { failure });
      const left = deadline - Date.now();
      if (left <= 0) assert.fail(`waited for ${count} answers, got ${JSON.stringify(answers)}`);
      await new Promise((resolve) => {
        const timer = setTimeout(resolve, left);
        wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
    return answers.splice(0, count);
  }
  return { next, stop, ended, pending: answers };
}

function describe(failure) {
  if (Array.isArray(failure)) return JSON.stringify(failure);
  return failure?.reason ?? failure?.message ?? String(failure);
}
