// A project of the suite's own, made as an owner makes one: sign up on `internal`, create the project, create a key set.
import assert from 'node:assert/strict';
import { internal } from './env.mjs';
import { clientApp, newestSdk, serverApp } from './sdk.mjs';
import { freshEmail, PASSWORD } from './check.mjs';

/** Signs a new owner up on `internal`; answers the app and its user, who belongs to a team that can own projects. */
export async function signUpOwner(sdk = newestSdk) {
  const app = clientApp(sdk, internal);
  const email = freshEmail('owner');
  const result = await app.signUpWithCredential({ email, password: PASSWORD, noVerificationCallback: true, noRedirect: true });
  assert.equal(result.status, 'ok', JSON.stringify(result.error));
  const user = await app.getUser({ or: 'throw' });
  assert.ok(user.selectedTeam, 'sign-up on internal makes and selects a team');
  return { app, user, email };
}

/** Creates a project with a full key set; answers `{projectId, publishableClientKey, secretServerKey, superSecretAdminKey, owner, ownedProject}`. */
export async function freshProject(sdk = newestSdk, options = {}) {
  const owner = await signUpOwner(sdk);
  const ownedProject = await owner.user.createProject({
    displayName: 'Test project',
    teamId: owner.user.selectedTeam.id,
    ...options,
  });
  const keys = await ownedProject.app.createInternalApiKey({
    description: 'tests',
    expiresAt: new Date(Date.now() + 24 * 60 * 60 * 1000),
    hasPublishableClientKey: true,
    hasSecretServerKey: true,
    hasSuperSecretAdminKey: true,
  });
  return {
    projectId: ownedProject.id,
    publishableClientKey: keys.publishableClientKey,
    secretServerKey: keys.secretServerKey,
    superSecretAdminKey: keys.superSecretAdminKey,
    owner,
    ownedProject,
  };
}

/** A user of the project who is signed in: `{created, own, app, email}`, as the backend sees it and as it sees itself. */
export async function signedInMember(sdk, project, displayName, options = {}) {
  const email = freshEmail(displayName.toLowerCase());
  const created = await serverApp(sdk, project).createUser({
    displayName,
    primaryEmail: email,
    primaryEmailAuthEnabled: true,
    password: PASSWORD,
    ...options,
  });
  const app = clientApp(sdk, project);
  await app.signInWithCredential({ email, password: PASSWORD, noRedirect: true });
  return { created, own: await app.getUser({ or: 'throw' }), app, email };
}
