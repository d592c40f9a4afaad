// Invitations into teams and preferences for mails through the official client.
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { describeEachSdk, serverApp } from './support/sdk.mjs';
import { assertRejectsKnown, freshEmail, UUID } from './support/check.mjs';
import { codeIn, newestMailTo } from './support/mailbox.mjs';
import { freshProject, signedInMember } from './support/project.mjs';

const CALLBACK_URL = 'http://localhost:3000/handler/team-invitation';
const WEEK = 7 * 24 * 60 * 60 * 1000;

describeEachSdk('invitations and preferences', (sdk) => {
  let project;
  let server;
  before(async () => {
    project = await freshProject(sdk);
    server = serverApp(sdk, project);
  });

  const member = (displayName) => signedInMember(sdk, project, displayName, { primaryEmailVerified: true });

  test('a member invites, and whoever follows the mail joins', async () => {
    const [ada, bob] = [await member('Ada'), await member('Bob')];
    const made = await server.createTeam({ displayName: 'Crew', creatorUserId: ada.created.id });
    const team = await ada.own.getTeam(made.id);
    await team.inviteUser({ email: bob.email.toUpperCase(), callbackUrl: CALLBACK_URL });
    const [pending] = await team.listInvitations();
    assert.match(pending.id, UUID);
    assert.equal(pending.recipientEmail, bob.email);
    assert.ok(Math.abs(pending.expiresAt.getTime() - Date.now() - WEEK) < 60_000);

    const mail = await newestMailTo(bob.email);
    assert.match(mail.subject, /Crew/);
    const code = codeIn(mail, CALLBACK_URL);
    assert.equal((await bob.app.verifyTeamInvitationCode(code)).status, 'ok');
    const details = await bob.app.getTeamInvitationDetails(code);
    assert.deepEqual([details.status, details.data?.teamDisplayName], ['ok', 'Crew']);
    assert.equal((await bob.app.acceptTeamInvitation(code)).status, 'ok');
    assert.deepEqual((await bob.own.listTeams()).map(({ id }) => id), [made.id]);
    const again = await bob.app.acceptTeamInvitation(code);
    assert.equal(again.status, 'error');
    assert.ok(sdk.KnownErrors.VerificationCodeAlreadyUsed.isInstance(again.error));
    assert.deepEqual(await team.listInvitations(), []);
  });

  test('whoever holds the address finds the invitation without the mail', async () => {
    const [ada, bob] = [await member('Ada'), await member('Bob')];
    const made = await server.createTeam({ displayName: 'Dock', creatorUserId: ada.created.id });
    const team = await ada.own.getTeam(made.id);
    await team.inviteUser({ email: bob.email, callbackUrl: CALLBACK_URL });
    const [received] = await bob.own.listTeamInvitations();
    assert.deepEqual([received.teamId, received.teamDisplayName], [made.id, 'Dock']);
    await received.accept();
    assert.deepEqual((await bob.own.listTeams()).map(({ id }) => id), [made.id]);
    assert.deepEqual(await bob.own.listTeamInvitations(), []);
  });

  test('an invitation is taken back, and only members with the permission may', async () => {
    const [ada, bob] = [await member('Ada'), await member('Bob')];
    const made = await server.createTeam({ displayName: 'Quay', creatorUserId: ada.created.id });
    await made.addUser(bob.created.id);
    const team = await ada.own.getTeam(made.id);
    const guest = freshEmail();
    await team.inviteUser({ email: guest, callbackUrl: CALLBACK_URL });
    const [asBob] = await (await bob.own.getTeam(made.id)).listInvitations();
    await assertRejectsKnown(sdk, asBob.revoke(), 'TeamPermissionRequired', {
      details: { team_id: made.id, user_id: bob.created.id, permission_id: '$remove_members' },
    });
    const [pending] = await team.listInvitations();
    await pending.revoke();
    assert.deepEqual(await team.listInvitations(), []);
    const code = codeIn(await newestMailTo(guest), CALLBACK_URL);
    assert.equal((await bob.app.acceptTeamInvitation(code)).status, 'error');
    await assertRejectsKnown(
      sdk,
      team.inviteUser({ email: guest, callbackUrl: 'https://elsewhere.example' }),
      'RedirectUrlNotWhitelisted',
    );
  });

  test('a user says which mails it wants', async () => {
    const { own, created } = await member('Ada');
    const categories = await own.listNotificationCategories();
    assert.deepEqual(
      categories.map(({ name, enabled, canDisable }) => [name, enabled, canDisable]),
      [['Transactional', true, false], ['Marketing', true, true]],
    );
    await categories[1].setEnabled(false);
    const seen = await created.listNotificationCategories();
    assert.deepEqual(seen.map(({ enabled }) => enabled), [true, false]);
  });
});
