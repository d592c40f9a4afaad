// Items (credits, seats, quotas) through the official client: what users, teams and custom customers have.
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { describeEachSdk, serverApp } from './support/sdk.mjs';
import { assertRejectsKnown, assertRejectsStatus } from './support/check.mjs';
import { freshProject, signedInMember } from './support/project.mjs';
import { rest } from './support/rest.mjs';

const ITEMS = {
  credits: { displayName: 'Credits', customerType: 'user' },
  seats: { displayName: 'Seats', customerType: 'team' },
  calls: { customerType: 'custom' },
};

describeEachSdk('items', (sdk) => {
  let project;
  let server;
  before(async () => {
    project = await freshProject(sdk, { config: { clientTeamCreationEnabled: true } });
    const json = { config_override_string: JSON.stringify({ 'payments.items': ITEMS }) };
    const answer = await rest('PATCH', '/internal/config/override/environment', { project, accessType: 'admin', json });
    assert.equal(answer.status, 200, JSON.stringify(answer.body));
    server = serverApp(sdk, project);
  });

  const member = (displayName) => signedInMember(sdk, project, displayName);
  const seen = ({ displayName, quantity, nonNegativeQuantity }) => [displayName, quantity, nonNegativeQuantity];

  test('a user sees what the backend gives and takes', async () => {
    const { created, own, app } = await member('Ada');
    assert.deepEqual(seen(await own.getItem('credits')), ['Credits', 0, 0]);
    const item = await created.getItem('credits');
    await item.increaseQuantity(10);
    assert.deepEqual(seen(await created.getItem('credits')), ['Credits', 10, 10]);
    assert.equal(await item.tryDecreaseQuantity(7), true);
    assert.equal(await item.tryDecreaseQuantity(4), false);
    assert.deepEqual(seen(await created.getItem('credits')), ['Credits', 3, 3]);
    await item.decreaseQuantity(5);
    assert.deepEqual(seen(await created.getItem('credits')), ['Credits', -2, 0]);
    await assertRejectsKnown(sdk, item.increaseQuantity(1), 'ItemQuantityInsufficientAmount', {
      details: { item_id: 'credits', customer_id: created.id, quantity: 1 },
    });
    const { accessToken } = await own.getAuthJson();
    const answer = await rest('GET', `/payments/items/user/${created.id}/credits`, { project, accessToken });
    assert.deepEqual(answer.body, { id: 'credits', display_name: 'Credits', quantity: -2 });
    assert.ok(app);
  });

  test('of many that try to take at once no more succeed than there is', async () => {
    const { created } = await member('Race');
    const item = await created.getItem('credits');
    await item.increaseQuantity(5);
    const outcomes = await Promise.all(Array.from({ length: 20 }, () => item.tryDecreaseQuantity(1)));
    assert.equal(outcomes.filter(Boolean).length, 5);
    assert.equal((await created.getItem('credits')).quantity, 0);
  });

  test('a team has items for those who administer it', async () => {
    const [ada, bob] = [await member('Ada'), await member('Bob')];
    const team = await ada.own.createTeam({ displayName: 'Crew' });
    const asServer = await server.getTeam(team.id);
    await asServer.addUser(bob.created.id);
    await (await asServer.getItem('seats')).increaseQuantity(3);
    assert.deepEqual(seen(await team.getItem('seats')), ['Seats', 3, 3]);
    const asBob = await bob.own.getTeam(team.id);
    await assertRejectsKnown(sdk, asBob.getItem('seats'), 'TeamPermissionRequired');
    await assertRejectsKnown(sdk, asServer.getItem('credits'), 'ItemCustomerTypeDoesNotMatch');
    await assertRejectsKnown(sdk, asServer.getItem('gone'), 'ItemNotFound');
  });

  test('a customer that only the application knows', async () => {
    const customCustomerId = `acme eu ${sdk.version}`;
    const item = await server.getItem({ itemId: 'calls', customCustomerId });
    assert.deepEqual(seen(item), ['calls', 0, 0]);
    await item.increaseQuantity(2);
    assert.equal(await item.tryDecreaseQuantity(3), false);
    assert.equal((await server.getItem({ itemId: 'calls', customCustomerId })).quantity, 2);
    const { app } = await member('Cy');
    await assertRejectsStatus(app.getItem({ itemId: 'calls', customCustomerId }), 403);
  });
});
