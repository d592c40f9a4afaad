// The admin side of the official client: an owner signs up on `internal`, creates projects and key sets, and administers them.
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { baseUrl, demo, internal } from './support/env.mjs';
import { adminApp, clientApp, describeEachSdk, serverApp } from './support/sdk.mjs';
import { assertKnownError, assertRecent, assertRejectsKnown, freshEmail, PASSWORD, UUID } from './support/check.mjs';
import { freshProject, signUpOwner } from './support/project.mjs';

const PROJECT_KEY_BODY = '[0-9a-hjkmnp-tv-z]{45}';
const LIGHT_THEME = '1df07ae6-abf3-4a40-83a5-a1a2cbe336ac';
const DEFAULT_CONFIG = {
  signUpEnabled: true,
  credentialEnabled: true,
  magicLinkEnabled: false,
  passkeyEnabled: false,
  clientTeamCreationEnabled: false,
  clientUserDeletionEnabled: false,
  allowLocalhost: true,
  oauthAccountMergeStrategy: 'link_method',
  allowUserApiKeys: false,
  allowTeamApiKeys: false,
  oauthProviders: [],
  emailConfig: { type: 'shared' },
  emailTheme: LIGHT_THEME,
  domains: [],
  createTeamOnSignUp: false,
  teamCreatorDefaultPermissions: [{ id: 'team_admin' }],
  teamMemberDefaultPermissions: [{ id: 'team_member' }],
  userDefaultPermissions: [],
};

const inOneHour = () => new Date(Date.now() + 60 * 60 * 1000);
const allKeys = { hasPublishableClientKey: true, hasSecretServerKey: true, hasSuperSecretAdminKey: true };

describeEachSdk('admin app', (sdk) => {
  let owner;
  before(async () => {
    owner = await signUpOwner(sdk);
  });

  test('sign-up on internal makes an owner with a selected team of their own', async () => {
    const { user, email } = owner;
    assert.match(user.id, UUID);
    assert.equal(user.primaryEmail, email);
    assert.equal(user.primaryEmailVerified, false);
    assert.equal(user.isRestricted, false);
    assert.match(user.selectedTeam.id, UUID);
    assert.ok(user.selectedTeam.displayName.includes(email), user.selectedTeam.displayName);
  });

  test('a new owner owns no project', async () => {
    const { user } = await signUpOwner(sdk);
    assert.deepEqual(await user.listOwnedProjects(), []);
  });

  test('a created project has the defaults of the contract and is listed for its owner only', async () => {
    const { user } = await signUpOwner(sdk);
    const project = await user.createProject({
      displayName: 'Shop',
      description: 'Sells things',
      teamId: user.selectedTeam.id,
    });
    assert.match(project.id, UUID);
    assert.equal(project.displayName, 'Shop');
    assert.equal(project.description, 'Sells things');
    assert.equal(project.isProductionMode, false);
    assert.equal(project.ownerTeamId, user.selectedTeam.id);
    assert.equal(project.onboardingStatus, 'completed');
    assert.equal(project.logoUrl, null);
    assertRecent(project.createdAt);
    assert.deepEqual(project.config, DEFAULT_CONFIG);

    const listed = await user.listOwnedProjects();
    assert.deepEqual(listed.map((p) => [p.id, p.displayName, p.config]), [[project.id, 'Shop', DEFAULT_CONFIG]]);

    assert.ok((await owner.user.listOwnedProjects()).every((p) => p.id !== project.id), 'another owner does not see it');
  });

  test('settings given at creation are kept', async () => {
    const project = await owner.user.createProject({
      displayName: 'With settings',
      teamId: owner.user.selectedTeam.id,
      isProductionMode: true,
      config: {
        signUpEnabled: false,
        magicLinkEnabled: true,
        allowLocalhost: false,
        domains: [{ domain: 'https://shop.example.com', handlerPath: '/handler' }],
      },
    });
    assert.equal(project.isProductionMode, true);
    assert.equal(project.description, '');
    assert.deepEqual(project.config, {
      ...DEFAULT_CONFIG,
      signUpEnabled: false,
      magicLinkEnabled: true,
      allowLocalhost: false,
      domains: [{ domain: 'https://shop.example.com', handlerPath: '/handler' }],
    });
    assert.deepEqual((await project.app.getProject()).config, project.config);
  });

  test('a project for a team the user is not in is refused', async () => {
    const { user: stranger } = await signUpOwner(sdk);
    await assertRejectsKnown(
      sdk,
      stranger.createProject({ displayName: 'Not mine', teamId: owner.user.selectedTeam.id }),
      'TeamMembershipNotFound',
      { details: { team_id: owner.user.selectedTeam.id, user_id: stranger.id } },
    );
    assert.deepEqual(await stranger.listOwnedProjects(), []);
  });

  test('key sets: full at creation, last four afterwards, newest first', async () => {
    const project = await owner.user.createProject({ displayName: 'Keys', teamId: owner.user.selectedTeam.id });
    const expiresAt = inOneHour();
    const full = await project.app.createInternalApiKey({ description: 'all three', expiresAt, ...allKeys });
    assert.match(full.id, UUID);
    assert.match(full.publishableClientKey, new RegExp(`^pck_${PROJECT_KEY_BODY}$`));
    assert.match(full.secretServerKey, new RegExp(`^ssk_${PROJECT_KEY_BODY}$`));
    assert.match(full.superSecretAdminKey, new RegExp(`^sak_${PROJECT_KEY_BODY}$`));
    assert.equal(full.description, 'all three');
    assert.equal(full.expiresAt.getTime(), expiresAt.getTime());
    assert.equal(full.manuallyRevokedAt, null);
    assertRecent(full.createdAt);
    assert.equal(full.isValid(), true);

    const one = await project.app.createInternalApiKey({
      description: 'server only',
      expiresAt,
      hasPublishableClientKey: false,
      hasSecretServerKey: true,
      hasSuperSecretAdminKey: false,
    });
    assert.equal(one.publishableClientKey, undefined);
    assert.match(one.secretServerKey, new RegExp(`^ssk_${PROJECT_KEY_BODY}$`));
    assert.equal(one.superSecretAdminKey, undefined);

    const listed = await project.app.listInternalApiKeys();
    assert.deepEqual(
      listed.map((key) => [key.id, key.description, key.publishableClientKey, key.secretServerKey, key.superSecretAdminKey]),
      [
        [one.id, 'server only', null, { lastFour: one.secretServerKey.slice(-4) }, null],
        [
          full.id,
          'all three',
          { lastFour: full.publishableClientKey.slice(-4) },
          { lastFour: full.secretServerKey.slice(-4) },
          { lastFour: full.superSecretAdminKey.slice(-4) },
        ],
      ],
    );
  });

  test('a created key set opens the three doors of its project', async () => {
    const project = await freshProject(sdk);
    const server = serverApp(sdk, project);
    const created = await server.createUser({ primaryEmail: freshEmail(), displayName: 'Ada' });
    assert.equal((await server.getUser(created.id)).displayName, 'Ada');
    assert.equal((await adminApp(sdk, project).getProject()).id, project.projectId);
    assert.equal((await clientApp(sdk, project).getProject()).id, project.projectId);
  });

  test('a revoked key set is refused, each key with its own error', async () => {
    const project = await freshProject(sdk);
    const [key] = await project.ownedProject.app.listInternalApiKeys();
    await key.revoke();

    const [revoked] = await project.ownedProject.app.listInternalApiKeys();
    assert.equal(revoked.isValid(), false);
    assert.equal(revoked.whyInvalid(), 'manually-revoked');
    assertRecent(revoked.manuallyRevokedAt);

    const details = { project_id: project.projectId };
    await assertRejectsKnown(sdk, clientApp(sdk, project).getProject(), 'InvalidPublishableClientKey', { details });
    await assertRejectsKnown(sdk, serverApp(sdk, project).listUsers(), 'InvalidSecretServerKey', { details });
    await assertRejectsKnown(sdk, adminApp(sdk, project).getProject(), 'InvalidSuperSecretAdminKey', { details });
  });

  test('an expired key set is refused', async () => {
    const project = await owner.user.createProject({ displayName: 'Expired keys', teamId: owner.user.selectedTeam.id });
    const keys = await project.app.createInternalApiKey({
      description: 'expired',
      expiresAt: new Date(Date.now() - 1000),
      ...allKeys,
    });
    assert.equal(keys.whyInvalid(), 'expired');
    await assertRejectsKnown(sdk, serverApp(sdk, { projectId: project.id, ...keys }).listUsers(), 'InvalidSecretServerKey', {
      details: { project_id: project.id },
    });
  });

  test('keys of one project do not open another', async () => {
    const project = await freshProject(sdk);
    const crossed = { ...project, projectId: demo.projectId };
    const details = { project_id: demo.projectId };
    await assertRejectsKnown(sdk, clientApp(sdk, crossed).getProject(), 'InvalidPublishableClientKey', { details });
    await assertRejectsKnown(sdk, serverApp(sdk, crossed).listUsers(), 'InvalidSecretServerKey', { details });
    await assertRejectsKnown(sdk, adminApp(sdk, crossed).getProject(), 'InvalidSuperSecretAdminKey', { details });
  });

  test('a project that does not exist is named in the error', async () => {
    const project = { ...demo, projectId: '00000000-0000-4000-8000-000000000000' };
    await assertRejectsKnown(sdk, serverApp(sdk, project).listUsers(), 'CurrentProjectNotFound', {
      details: { project_id: project.projectId },
    });
  });

  test('an owner acts at every level through their session, without any key', async () => {
    const project = await owner.user.createProject({ displayName: 'By session', teamId: owner.user.selectedTeam.id });
    const app = new sdk.StackAdminApp({
      baseUrl,
      projectId: project.id,
      tokenStore: null,
      projectOwnerSession: owner.user._internalSession,
    });
    assert.equal((await app.getProject()).displayName, 'By session');
    const user = await app.createUser({ primaryEmail: freshEmail(), displayName: 'Grace' });
    assert.deepEqual((await app.listUsers()).map((u) => u.id), [user.id]);
  });

  test('a stranger to the owning team is not an administrator', async () => {
    const project = await owner.user.createProject({ displayName: 'Foreign', teamId: owner.user.selectedTeam.id });
    const { user: stranger } = await signUpOwner(sdk);
    const accessToken = await stranger.getAccessToken();
    const app = new sdk.StackAdminApp({
      baseUrl,
      projectId: project.id,
      tokenStore: null,
      projectOwnerSession: async () => accessToken,
    });
    await assertRejectsKnown(sdk, app.getProject(), 'AdminAccessTokenIsNotAdmin');
    await assertRejectsKnown(sdk, app.listUsers(), 'AdminAccessTokenIsNotAdmin');
  });

  test("a token of another project's user is not an administrator's token", async () => {
    const app = clientApp(sdk, demo);
    const signUp = await app.signUpWithCredential({ email: freshEmail(), password: PASSWORD, noVerificationCallback: true, noRedirect: true });
    assert.equal(signUp.status, 'ok');
    const accessToken = await app.getAccessToken();
    const admin = new sdk.StackAdminApp({ baseUrl, projectId: demo.projectId, tokenStore: null, projectOwnerSession: async () => accessToken });
    await assertRejectsKnown(sdk, admin.getProject(), 'AdminAccessTokenIsNotAdmin');
  });

  test('an updated project answers the new values and obeys them', async () => {
    const project = await freshProject(sdk);
    await project.ownedProject.update({
      displayName: 'Renamed',
      description: 'Closed for now',
      config: { signUpEnabled: false },
    });
    const read = await project.ownedProject.app.getProject();
    assert.equal(read.displayName, 'Renamed');
    assert.equal(read.description, 'Closed for now');
    assert.deepEqual(read.config, { ...DEFAULT_CONFIG, signUpEnabled: false });

    await assertRejectsKnown(
      sdk,
      clientApp(sdk, project).signUpWithCredential({ email: freshEmail(), password: PASSWORD, noVerificationCallback: true }),
      'SignUpNotEnabled',
    );
    assert.deepEqual([...(await serverApp(sdk, project).listUsers())], []);
  });

  test('switching password sign-in off refuses both password doors', async () => {
    const project = await freshProject(sdk, { config: { credentialEnabled: false } });
    const app = clientApp(sdk, project);
    await assertRejectsKnown(
      sdk,
      app.signUpWithCredential({ email: freshEmail(), password: PASSWORD, noVerificationCallback: true }),
      'PasswordAuthenticationNotEnabled',
    );
    await assertRejectsKnown(sdk, app.signInWithCredential({ email: freshEmail(), password: PASSWORD }), 'PasswordAuthenticationNotEnabled');
  });

  test('a deleted project is gone for its keys and for its owner', async () => {
    const project = await freshProject(sdk);
    await project.ownedProject.delete();
    await assertRejectsKnown(sdk, serverApp(sdk, project).listUsers(), 'CurrentProjectNotFound', {
      details: { project_id: project.projectId },
    });
    assert.deepEqual(await project.owner.user.listOwnedProjects(), []);
  });

  test('a second owner of the same address is refused', async () => {
    const result = await clientApp(sdk, internal).signUpWithCredential({
      email: owner.email,
      password: PASSWORD,
      noVerificationCallback: true,
    });
    assert.equal(result.status, 'error');
    assertKnownError(sdk, result.error, 'UserWithEmailAlreadyExists', {
      details: { email: owner.email, would_work_if_email_was_verified: false },
    });
  });
});
