// Postern as a part of a supergraph (Apollo Federation 2): its schema composes with another graph's, a router reaches
// users and teams through it as the caller whose headers it passes on, and `_entities` by itself.
import assert from 'node:assert/strict';
import { randomBytes, randomUUID } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { adminHeaders, clientHeaders, graphql, graphqlAnswer, serverHeaders } from './support/graphql.mjs';
import { freshProject, signedInMember } from './support/project.mjs';
import { compose, startRouter } from './support/router.mjs';
import { newestSdk, serverApp } from './support/sdk.mjs';

const SDL = '{ _service { sdl } }';
const ENTITIES = `query ($representations: [_Any!]!) {
  _entities(representations: $representations) {
    __typename
    ... on User { id displayName }
    ... on Team { id displayName }
  }
}`;
const NOBODY = randomUUID();

let project;
let server;
let ada;
let bob;
/** Ada's team. */
let crew;
/** Bob's team. */
let dock;
let asServer;
let asAda;

before(async () => {
  project = await freshProject();
  server = serverApp(newestSdk, project);
  ada = await signedInMember(newestSdk, project, 'Ada');
  bob = await signedInMember(newestSdk, project, 'Bob');
  crew = await server.createTeam({ displayName: 'Crew', creatorUserId: ada.created.id });
  dock = await server.createTeam({ displayName: 'Dock', creatorUserId: bob.created.id });
  asServer = serverHeaders(project);
  asAda = clientHeaders(project, await ada.app.getAccessToken());
});

const user = (id) => ({ __typename: 'User', id });
const team = (id) => ({ __typename: 'Team', id });
const codes = ({ errors = [] }) => errors.map((error) => error.extensions?.code);

describe('the schema for a supergraph', () => {
  test('it is for administrators only', async () => {
    assert.match((await graphql(adminHeaders(project), SDL))._service.sdl, /^type User /m);
    for (const headers of [asServer, asAda, clientHeaders(project)]) {
      const answer = await graphqlAnswer(headers, SDL);
      assert.deepEqual([answer.data, codes(answer)], [{ _service: null }, ['FORBIDDEN']]);
    }
  });

  test('it composes with another graph as it comes', async () => {
    const { supergraphSdl, complaints } = compose((await graphql(adminHeaders(project), SDL))._service.sdl);
    assert.deepEqual(complaints, []);
    for (const type of ['User', 'Team', 'Order']) assert.match(supergraphSdl, new RegExp(`^type ${type}\\b`, 'm'));
  });
});

describe('users and teams through a router', () => {
  let supergraphSdl;
  let orders;
  let router;
  before(async () => {
    ({ supergraphSdl } = compose((await graphql(adminHeaders(project), SDL))._service.sdl));
    orders = [
      { id: '1', buyer: ada.created.id, seller: dock.id },
      { id: '2', buyer: bob.created.id, seller: crew.id },
      { id: '3', buyer: NOBODY, seller: NOBODY },
      { id: '4', buyer: ada.created.id, seller: null },
    ];
    router = await startRouter(supergraphSdl, orders);
  });
  after(() => router.stop());

  /** What the router answers about all orders, without errors. */
  async function ordersSeen(headers, selection) {
    const answer = await router.ask(headers, `{ orders { ${selection} } }`);
    assert.equal(answer.errors, undefined, JSON.stringify(answer.errors));
    return answer.data.orders;
  }

  test('a backend reads everybody’s name', async () => {
    const seen = await ordersSeen(asServer, 'id buyer { id displayName }');
    const names = { [ada.created.id]: 'Ada', [bob.created.id]: 'Bob', [NOBODY]: null };
    const expected = orders.map(({ id, buyer }) => ({ id, buyer: { id: buyer, displayName: names[buyer] } }));
    assert.deepEqual(seen, expected);
  });

  test('a user reads its own name only', async () => {
    const seen = await ordersSeen(asAda, 'buyer { displayName }');
    assert.deepEqual(seen.map(({ buyer }) => buyer.displayName), ['Ada', null, null, 'Ada']);
  });

  // The graph of orders knows the id itself. A user whom Postern does not tell lacks all the rest, so a field that is
  // never null makes the whole null.
  test('who is unknown, or not for the caller to see, is null', async () => {
    for (const [headers, expected] of [
      [asServer, ['Ada', 'Bob', null, 'Ada']],
      [asAda, ['Ada', null, null, 'Ada']],
    ]) {
      const seen = await ordersSeen(headers, 'buyer { displayName signedUpAt }');
      assert.deepEqual(seen.map(({ buyer }) => buyer && buyer.displayName), expected);
    }
  });

  test('teams are read as far as the caller sees them', async () => {
    for (const [headers, expected] of [
      [asServer, ['Dock', 'Crew', null, null]],
      [asAda, [null, 'Crew', null, null]],
    ]) {
      const seen = await ordersSeen(headers, 'seller { displayName }');
      assert.deepEqual(seen.map(({ seller }) => seller && seller.displayName), expected);
    }
  });

  test('the other graph adds to users', async () => {
    const mine = await router.ask(asAda, '{ me { displayName orders { id seller { displayName } } } }');
    const myOrders = [
      { id: '1', seller: null },
      { id: '4', seller: null },
    ];
    assert.deepEqual(mine, { data: { me: { displayName: 'Ada', orders: myOrders } } });
    const all = await router.ask(asServer, '{ users(first: 10) { nodes { id orders { id } } } }');
    assert.equal(all.errors, undefined);
    const counts = all.data.users.nodes.map((node) => [node.id, node.orders.length]);
    assert.deepEqual(new Map(counts), new Map([[ada.created.id, 2], [bob.created.id, 1]]));
  });

  test('a field for backends is refused to a user on this path too', async () => {
    const answer = await router.ask(asAda, '{ orders { buyer { serverMetadata } } }');
    assert.deepEqual(codes(answer), ['FORBIDDEN', 'FORBIDDEN']);
    assert.deepEqual(answer.errors.map(({ path }) => path[1]), [0, 3]);
  });

  test('who is not signed in reads nobody', async () => {
    const answer = await router.ask(clientHeaders(project), '{ orders { buyer { signedUpAt } } }');
    assert.deepEqual(answer.data.orders, orders.map(() => ({ buyer: null })));
    assert.equal(answer.errors, undefined);
  });

  test('a router that hashes its documents sends each once', async () => {
    const hashing = await startRouter(supergraphSdl, orders, { apq: true });
    // A name of its own, so that no run before has sent it.
    const query = `query Orders${randomBytes(8).toString('hex')} { orders { buyer { displayName } } }`;
    for (const headers of [asServer, asServer, asAda]) {
      const { data, errors } = await hashing.ask(headers, query);
      assert.deepEqual([data.orders[0].buyer.displayName, errors], ['Ada', undefined]);
    }
    // Only the hash, which is unknown; both; then the hash is enough, whoever asks.
    assert.deepEqual(hashing.sent.map((request) => 'query' in request), [false, true, false, false]);
    for (const { extensions } of hashing.sent) assert.match(extensions.persistedQuery.sha256Hash, /^[0-9a-f]{64}$/);
    await hashing.stop();
  });
});

describe('_entities', () => {
  const entities = (headers, representations) => graphqlAnswer(headers, ENTITIES, { representations });
  const everything = () => [
    team(crew.id),
    user(ada.created.id),
    user(NOBODY),
    user(bob.created.id),
    team(dock.id),
    team(NOBODY),
    user(ada.created.id),
    // Neither a user's id names a team, nor the other way round.
    team(ada.created.id),
    user(crew.id),
  ];
  const told = ({ data }) => data._entities.map((entity) => entity && `${entity.__typename} ${entity.displayName}`);

  test('a backend is told what it names, in order, and null for the unknown', async () => {
    for (const headers of [asServer, adminHeaders(project)]) {
      const answer = await entities(headers, everything());
      assert.equal(answer.errors, undefined);
      const expected = ['Team Crew', 'User Ada', null, 'User Bob', 'Team Dock', null, 'User Ada', null, null];
      assert.deepEqual(told(answer), expected);
      assert.deepEqual([answer.data._entities[0].id, answer.data._entities[1].id], [crew.id, ada.created.id]);
    }
  });

  test('a user is told of itself and its teams, and null for the rest', async () => {
    const answer = await entities(asAda, everything());
    assert.equal(answer.errors, undefined);
    assert.deepEqual(told(answer), ['Team Crew', 'User Ada', null, null, null, null, 'User Ada', null, null]);
  });

  test('another project’s ids are null', async () => {
    const other = await freshProject();
    for (const headers of [serverHeaders(other), adminHeaders(other)]) {
      const answer = await entities(headers, everything());
      assert.deepEqual([answer.errors, told(answer)], [undefined, everything().map(() => null)]);
    }
  });

  for (const [what, representation, named] of [
    ['an unknown type', { __typename: 'Order', id: NOBODY }, /"Order"/],
    ['a type that cannot be referred to', { __typename: 'Session', id: NOBODY }, /"Session"/],
    ['a missing type', { id: NOBODY }, /`__typename`/],
    ['a missing id', { __typename: 'User' }, /`id`/],
    ['an id that is a number', { __typename: 'User', id: 7 }, /`id`/],
    ['an id that is no id', { __typename: 'Team', id: 'crew' }, /`id` is no valid id: crew/],
    ['no object', 'User', /`representations` is an object/],
  ]) {
    test(`${what} is refused by name`, async () => {
      for (const headers of [asServer, asAda]) {
        const answer = await entities(headers, [user(ada.created.id), representation]);
        assert.deepEqual([answer.data, codes(answer)], [{ _entities: null }, ['BAD_USER_INPUT']]);
        assert.match(answer.errors[0].message, named);
      }
    });
  }

  test('200 are told at once, and more are refused', async () => {
    for (const headers of [asServer, asAda]) {
      const most = await entities(headers, Array(200).fill(user(ada.created.id)));
      assert.deepEqual([most.errors, told(most)], [undefined, Array(200).fill('User Ada')]);
      const answer = await entities(headers, Array(201).fill(user(ada.created.id)));
      assert.deepEqual([answer.data, codes(answer)], [{ _entities: null }, ['BAD_USER_INPUT']]);
      assert.match(answer.errors[0].message, /at most 200/);
    }
    assert.deepEqual(await entities(asServer, []), { data: { _entities: [] } });
  });
});
