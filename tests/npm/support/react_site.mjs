// A web application of a project, made with React: the files in `react`, as Vite packs them.
import { mkdtempSync, rmSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'vite';
import { baseUrl } from './env.mjs';

const root = fileURLToPath(new URL('../react', import.meta.url));

/** Serves the application on a free port. `origin` is its own. */
export async function startReactSite(project) {
  const directory = mkdtempSync(join(tmpdir(), 'postern-react-'));
  await build({ root, configFile: false, logLevel: 'silent', build: { outDir: directory, emptyOutDir: true } });
  const { projectId, publishableClientKey } = project;
  const settings = JSON.stringify({ baseUrl, projectId, publishableClientKey });
  const page = (await readFile(join(directory, 'index.html'), 'utf8')).replace('window.settings = {}', `window.settings = ${settings}`);
  const server = createServer(async (request, response) => {
    const script = request.url.match(/^\/assets\/[\w-]+\.js$/)?.[0];
    response.writeHead(200, { 'content-type': `text/${script ? 'javascript' : 'html'}; charset=utf-8` });
    response.end(script ? await readFile(join(directory, script)) : page);
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    origin: `http://localhost:${server.address().port}`,
    close: () => {
      server.closeAllConnections();
      server.close();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}
