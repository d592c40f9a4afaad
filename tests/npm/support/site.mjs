// A web application of a project: pages of an origin of its own, on which the official client runs as a bundler packs it.
import { createServer } from 'node:http';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { baseUrl } from './env.mjs';

const here = dirname(fileURLToPath(import.meta.url));
const bundles = new Map();

/** The client as one script that defines `stack`. */
function bundle(version) {
  const pack = async () => {
    const { outputFiles } = await build({
      stdin: { contents: `export * from 'stack-${version}'`, resolveDir: here },
      bundle: true,
      write: false,
      minify: true,
      format: 'iife',
      globalName: 'stack',
      platform: 'browser',
      define: { 'process.env.NODE_ENV': '"production"' },
      logLevel: 'silent',
    });
    return outputFiles[0].contents;
  };
  if (!bundles.has(version)) bundles.set(version, pack());
  return bundles.get(version);
}

/**
 * Serves the application on a free port. Every path is a page with `app`, which keeps its session in cookies and leads to
 * `/signed-in` and to `/handler/…`; `urls` says where else. `origin` is the application's.
 */
export async function startSite(sdk, project, { host = 'localhost', urls = {} } = {}) {
  const script = await bundle(sdk.version);
  const options = {
    baseUrl,
    projectId: project.projectId,
    publishableClientKey: project.publishableClientKey,
    tokenStore: 'cookie',
    redirectMethod: 'window',
    urls: {
      default: { type: 'handler-component' },
      afterSignIn: '/signed-in',
      mfa: '/handler/mfa',
      oauthCallback: '/handler/oauth-callback',
      ...urls,
    },
    analytics: { enabled: false },
    devTool: false,
  };
  const page = `<!doctype html><html lang="en"><meta charset="utf-8"><link rel="icon" href="data:,"><title>Application</title>
    <script src="/client.js"></script><script>window.app = new stack.StackClientApp(${JSON.stringify(options)});</script>`;
  const server = createServer((request, response) => {
    const isScript = request.url === '/client.js';
    response.writeHead(200, { 'content-type': isScript ? 'text/javascript; charset=utf-8' : 'text/html; charset=utf-8' });
    response.end(isScript ? script : page);
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    origin: `http://${host}:${server.address().port}`,
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}
