// Runs the suites with node's own test runner: `node run.mjs [SUITE]` (only the file SUITE.test.mjs).
// Why not `node --test DIRECTORY`: its meaning changed between Node 20 and 22. The clients keep timers alive for seconds after
// the last test, hence --test-force-exit.
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
const suite = process.argv[2];

if (!existsSync(join(here, 'node_modules'))) {
  console.error('tests/npm/node_modules is missing: run `npm ci` in tests/npm');
  process.exit(2);
}
const files = readdirSync(here)
  .filter((name) => (suite ? name === `${suite}.test.mjs` : name.endsWith('.test.mjs')))
  .sort()
  .map((name) => join(here, name));
if (files.length === 0) {
  console.error(`no suite is called ${JSON.stringify(suite)}`);
  process.exit(2);
}
const { status, error } = spawnSync(process.execPath, ['--test', '--test-force-exit', '--test-reporter=spec', ...files], { stdio: 'inherit' });
if (error) throw error;
process.exit(status ?? 1);
