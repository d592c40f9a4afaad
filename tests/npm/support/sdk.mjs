// Both generations of the official client, and apps of theirs that differ from a user's own only in the base URL.
import { createRequire } from 'node:module';
import { describe } from 'node:test';
import { baseUrl } from './env.mjs';

async function load(name, version) {
  const requireFromClient = createRequire(import.meta.resolve(name));
  const { KnownErrors } = await import(requireFromClient.resolve('@stackframe/stack-shared'));
  /** A module of what the client shares with its own backend, by its path there. */
  const shared = (path) => import(requireFromClient.resolve(`@stackframe/stack-shared/dist/${path}`));
  return { version, KnownErrors, shared, ...(await import(name)) };
}

/** The oldest client of the contract and the newest on npm; the header families differ (x-stack-… and x-hexclave-…). */
export const sdks = [await load('stack-2.8.77', '2.8.77'), await load('stack-2.8.108', '2.8.108')];

/** The newest client, for suites in which the client is only a means. */
export const newestSdk = sdks.at(-1);

/** One `describe` per client generation. */
export function describeEachSdk(title, body) {
  for (const sdk of sdks) describe(`${title} (@stackframe/js ${sdk.version})`, () => body(sdk));
}

/** A browser-like app: publishable key only. `tokenStore` defaults to its own empty memory. */
export function clientApp(sdk, project, tokenStore = 'memory') {
  return new sdk.StackClientApp({
    baseUrl,
    projectId: project.projectId,
    publishableClientKey: project.publishableClientKey,
    tokenStore,
  });
}

/** A backend's app: secret server key. */
export function serverApp(sdk, project, tokenStore = null) {
  return new sdk.StackServerApp({
    baseUrl,
    projectId: project.projectId,
    publishableClientKey: project.publishableClientKey,
    secretServerKey: project.secretServerKey,
    tokenStore,
  });
}

/** An administrator's app with a project's own keys. */
export function adminApp(sdk, project) {
  return new sdk.StackAdminApp({
    baseUrl,
    projectId: project.projectId,
    publishableClientKey: project.publishableClientKey,
    secretServerKey: project.secretServerKey,
    superSecretAdminKey: project.superSecretAdminKey,
    tokenStore: null,
  });
}
