// A supergraph as its users build it: Postern and a small graph of orders, composed by Apollo's tool and asked through
// Apollo's gateway, which passes the caller's headers on.
import { composeServices } from '@apollo/composition';
import { ApolloGateway, LocalGraphQLDataSource, RemoteGraphQLDataSource } from '@apollo/gateway';
import { buildSubgraphSchema } from '@apollo/subgraph';
import { parse } from 'graphql';
import { baseUrl } from './env.mjs';

// Else the gateway asks clouds where it runs, and tells its makers.
process.env.APOLLO_TELEMETRY_DISABLED = 'true';

const url = `${baseUrl}/graphql`;

/** The graph of orders: it knows users and teams by their ids only, and adds to users what they ordered. */
const ordersTypes = parse(`
  extend schema @link(url: "https://specs.apollo.dev/federation/v2.5", import: ["@key", "@external"])

  type Query { orders: [Order!]! }
  type Order { id: ID! buyer: User seller: Team }
  type Team @key(fields: "id", resolvable: false) { id: ID! }
  extend type User @key(fields: "id") { id: ID! @external orders: [Order!]! }
`);

/** Composes Postern's part, as the server tells it, with the graph of orders; answers `{supergraphSdl, complaints}`. */
export function compose(sdl) {
  const { supergraphSdl, errors = [] } = composeServices([
    { name: 'postern', url, typeDefs: parse(sdl) },
    { name: 'orders', url: 'http://orders.invalid', typeDefs: ordersTypes },
  ]);
  return { supergraphSdl, complaints: errors.map((error) => `${error.extensions?.code}: ${error.message}`) };
}

/** The graph of these orders: `{id, buyer, seller}`, the last two ids of users and teams. */
function ordersGraph(orders) {
  const told = ({ id, buyer, seller }) => ({ id, buyer: buyer && { id: buyer }, seller: seller && { id: seller } });
  return new LocalGraphQLDataSource(
    buildSubgraphSchema({
      typeDefs: ordersTypes,
      resolvers: {
        Query: { orders: () => orders.map(told) },
        User: { orders: (user) => orders.filter(({ buyer }) => buyer === user.id).map(told) },
      },
    }),
  );
}

/**
 * Starts a router over these orders. `ask` runs an operation for the caller with these headers and answers
 * `{data, errors}`; `sent` holds what Postern was sent. With `apq` the router sends hashes instead of documents that
 * Postern knows.
 */
export async function startRouter(supergraphSdl, orders, { apq = false } = {}) {
  const sent = [];
  const postern = new RemoteGraphQLDataSource({
    url,
    apq,
    willSendRequest: ({ request, context }) => {
      for (const [name, value] of Object.entries(context.headers)) request.http.headers.set(name, value);
    },
    fetcher: (to, init) => {
      sent.push(JSON.parse(init.body));
      return fetch(to, init);
    },
  });
  const sources = { postern, orders: ordersGraph(orders) };
  const gateway = new ApolloGateway({ supergraphSdl, buildService: ({ name }) => sources[name] });
  const { executor } = await gateway.load();
  return {
    sent,
    stop: () => gateway.stop(),
    ask: async (headers, query, variables) => {
      const request = { query, variables };
      const context = { headers };
      const { data, errors } = await executor({
        request, context, document: parse(query), queryHash: query, metrics: {},
      });
      // Its objects have no prototype, which comparisons mind.
      return JSON.parse(JSON.stringify({ data, errors }));
    },
  };
}
