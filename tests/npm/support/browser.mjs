// A real browser: Debian's Chromium, driven by playwright-core, with a user data directory of its own.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chromium } from 'playwright-core';
import { baseUrl } from './env.mjs';

const FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

/**
 * Starts a browser, with these options of playwright's contexts. `faults` holds what pages complained about: errors and
 * warnings on the console (violations of a content security policy among them), exceptions, answers that are errors, requests
 * that failed or that went anywhere but to the server.
 */
export async function startBrowser(options = {}) {
  const directory = mkdtempSync(join(tmpdir(), 'postern-browser-'));
  const executablePath = process.env.POSTERN_TEST_CHROMIUM || '/usr/bin/chromium';
  const context = await chromium.launchPersistentContext(directory, { executablePath, headless: true, args: FLAGS, ...options });
  const faults = [];
  context.on('console', (message) => {
    if (['error', 'warning'].includes(message.type())) faults.push(`console: ${message.text()} (${message.location().url})`);
  });
  context.on('weberror', (error) => faults.push(`exception: ${error.error()}`));
  context.on('request', (request) => {
    const isOurs = request.url().startsWith(`${baseUrl}/`) || request.url().startsWith('data:');
    if (!isOurs) faults.push(`a request to elsewhere: ${request.url()}`);
  });
  context.on('requestfailed', (request) => faults.push(`failed: ${request.url()} ${request.failure()?.errorText}`));
  context.on('response', (response) => {
    if (response.status() >= 400) faults.push(`${response.status()}: ${response.url()}`);
  });
  return {
    context,
    faults,
    assertNoFaults: () => assert.deepEqual(faults, []),
    close: async () => {
      await context.close();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}
