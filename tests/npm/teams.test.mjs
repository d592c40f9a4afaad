// Teams, their members and permissions through the official client: as an administrator, a backend and a user see them.
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { adminApp, describeEachSdk, serverApp } from './support/sdk.mjs';
import { assertRejectsKnown, UUID } from './support/check.mjs';
import { freshProject, signedInMember } from './support/project.mjs';

const ids = (list) => list.map(({ id }) => id).sort();

describeEachSdk('teams', (sdk) => {
  let project;
  let admin;
  let server;
  before(async () => {
    project = await freshProject(sdk, { config: { clientTeamCreationEnabled: true } });
    admin = adminApp(sdk, project);
    server = serverApp(sdk, project);
  });

  const member = (displayName) => signedInMember(sdk, project, displayName);

  test('a user makes a team, is its administrator, and changes it', async () => {
    const { own, created } = await member('Ada');
    const team = await own.createTeam({ displayName: 'Analysts' });
    assert.match(team.id, UUID);
    assert.deepEqual(ids(await own.listTeams()), [team.id]);
    assert.equal((await created.listTeams())[0].displayName, 'Analysts');
    assert.deepEqual(ids(await own.listPermissions(team, { recursive: false })), ['team_admin']);
    assert.deepEqual(ids(await own.listPermissions(team)), [
      '$delete_team',
      '$invite_members',
      '$manage_api_keys',
      '$read_members',
      '$remove_members',
      '$update_team',
      'team_admin',
    ]);
    assert.equal(await own.hasPermission(team, '$update_team'), true);
    assert.equal(await own.hasPermission(team, 'nothing'), false);
    await team.update({ displayName: 'Engines', clientMetadata: { floor: 3 } });
    const seen = await server.getTeam(team.id);
    assert.deepEqual([seen.displayName, seen.clientMetadata, seen.serverMetadata], ['Engines', { floor: 3 }, null]);
    await team.delete();
    assert.deepEqual(await own.listTeams(), []);
    assert.equal(await server.getTeam(team.id), null);
  });

  test('a backend pages through teams and searches them, with a client that can', async (t) => {
    const made = [];
    for (const displayName of ['Paged One', 'Paged Two', 'Paged Three']) {
      made.push((await server.createTeam({ displayName })).id);
    }
    const first = await server.listTeams({ query: 'pAGED', limit: 2, orderBy: 'createdAt' });
    // Older clients send none of it and get everything.
    if (!('nextCursor' in first)) return t.skip('this client does not page');
    assert.deepEqual(first.map(({ id }) => id), made.slice(0, 2));
    assert.equal(first.nextCursor, made[2]);
    const rest = await server.listTeams({ query: 'paged', limit: 2, cursor: first.nextCursor });
    assert.deepEqual([rest.map(({ id }) => id), rest.nextCursor], [made.slice(2), null]);
    const newest = await server.listTeams({ query: 'paged', limit: 1, desc: true });
    assert.deepEqual(newest.map(({ id }) => id), [made[2]]);
    assert.deepEqual(ids(await server.listTeams({ query: made[1] })), [made[1]]);
    const definitions = await admin.listTeamPermissionDefinitionsPaginated({ limit: 4, query: 'E' });
    assert.equal(definitions.items.length, 4);
    const more = await admin.listTeamPermissionDefinitionsPaginated({ limit: 50, query: 'e', cursor: definitions.nextCursor });
    assert.equal(more.items[0].id, definitions.nextCursor);
    assert.equal(more.nextCursor, null);
  });

  test('a backend adds and removes members, and members see each other by permission', async () => {
    const [ada, bob] = [await member('Ada'), await member('Bob')];
    const team = await server.createTeam({ displayName: 'Crew', creatorUserId: ada.created.id });
    await team.addUser(bob.created.id);
    await assertRejectsKnown(sdk, team.addUser(bob.created.id), 'TeamMembershipAlreadyExists');
    assert.deepEqual(ids(await team.listUsers()), [ada.created.id, bob.created.id].sort());
    assert.deepEqual(ids(await bob.created.listPermissions(team, { recursive: false })), ['team_member']);

    const asBob = await bob.own.getTeam(team.id);
    const profiles = (await asBob.listUsers()).map(({ id, teamProfile }) => [id, teamProfile.displayName]);
    assert.deepEqual(Object.fromEntries(profiles), { [ada.created.id]: 'Ada', [bob.created.id]: 'Bob' });
    const profile = await bob.own.getTeamProfile(asBob);
    await profile.update({ displayName: 'Bosun' });
    assert.equal((await (await bob.created.getTeamProfile(team)).displayName), 'Bosun');
    await assertRejectsKnown(sdk, asBob.update({ displayName: 'Mutiny' }), 'TeamPermissionRequired', {
      details: { team_id: team.id, user_id: bob.created.id, permission_id: '$update_team' },
    });

    await bob.created.revokePermission(team, 'team_member');
    await assertRejectsKnown(sdk, bob.app.getUser().then((user) => user.getTeam(team.id)).then((own) => own.listUsers()), 'TeamPermissionRequired');
    await bob.own.leaveTeam(asBob);
    assert.deepEqual(ids(await team.listUsers()), [ada.created.id]);
    await team.removeUser(ada.created.id);
    assert.deepEqual(await team.listUsers(), []);
  });

  test('an administrator defines permissions, and they follow when they change', async () => {
    const defined = await admin.createTeamPermissionDefinition({
      id: 'ship:load',
      description: 'Loads the ship',
      containedPermissionIds: ['$read_members'],
    });
    assert.deepEqual(
      [defined.id, defined.description, defined.containedPermissionIds],
      ['ship:load', 'Loads the ship', ['$read_members']],
    );
    await assertRejectsKnown(sdk, admin.createTeamPermissionDefinition({ id: 'ship:load', containedPermissionIds: [] }), 'PermissionIdAlreadyExists', {
      details: { permission_id: 'ship:load' },
    });
    await assertRejectsKnown(sdk, admin.createTeamPermissionDefinition({ id: 'x', containedPermissionIds: ['gone'] }), 'ContainedPermissionNotFound', {
      details: { permission_id: 'gone' },
    });
    const { created, own } = await member('Cy');
    const team = await server.createTeam({ displayName: 'Dock', creatorUserId: created.id });
    await created.revokePermission(team, 'team_admin');
    await created.grantPermission(team, 'ship:load');
    assert.deepEqual(ids(await own.listPermissions(team)), ['$read_members', 'ship:load']);
    await admin.updateTeamPermissionDefinition('ship:load', { containedPermissionIds: ['$update_team'] });
    assert.deepEqual(ids(await created.listPermissions(team)), ['$update_team', 'ship:load']);
    const definitions = await admin.listTeamPermissionDefinitions();
    const load = definitions.find(({ id }) => id === 'ship:load');
    assert.deepEqual([load.description, load.containedPermissionIds], [undefined, ['$update_team']]);
    await admin.deleteTeamPermissionDefinition('ship:load');
    assert.deepEqual(await created.listPermissions(team), []);
    await assertRejectsKnown(sdk, created.grantPermission(team, 'ship:load'), 'PermissionNotFound');
  });

  test('permissions of the project are held without a team', async () => {
    await admin.createProjectPermissionDefinition({ id: 'enter', containedPermissionIds: [] });
    await admin.createProjectPermissionDefinition({ id: 'stay', containedPermissionIds: ['enter'] });
    const { created, own } = await member('Di');
    await created.grantPermission('stay');
    assert.equal(await own.hasPermission('enter'), true);
    assert.deepEqual(ids(await own.listPermissions({ recursive: false })), ['stay']);
    await created.revokePermission('stay');
    assert.deepEqual(await own.listPermissions(), []);
    // The client knows no error of this code, so it hands on what the server said.
    await assert.rejects(created.grantPermission('team_admin'), /team_admin/);
  });
});
