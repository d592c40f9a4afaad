// A small HTTP server that receives webhooks, as a user's backend does.
import { createServer } from 'node:http';
import { eventually } from './check.mjs';

/**
 * Starts a receiver on a free loopback port. `answer(delivery, number)` chooses the status (default 204).
 * `deliveries` holds what came: `{method, path, headers, body, receivedAt}`, the body as the exact text.
 */
export async function startReceiver(answer = () => 204) {
  const deliveries = [];
  const server = createServer((request, response) => {
    const chunks = [];
    request.on('data', (chunk) => chunks.push(chunk));
    request.on('end', () => {
      const delivery = {
        method: request.method,
        path: request.url,
        headers: request.headers,
        body: Buffer.concat(chunks).toString('utf8'),
        receivedAt: Date.now(),
      };
      deliveries.push(delivery);
      const status = answer(delivery, deliveries.length);
      response.writeHead(status, status >= 300 && status < 400 ? { location: '/elsewhere' } : {});
      response.end();
    });
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${server.address().port}/hook`,
    deliveries,
    /** Waits for so many deliveries and answers them all. */
    received: (count, options) => eventually(`${count} deliveries`, () => deliveries.length >= count && [...deliveries], options),
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}
