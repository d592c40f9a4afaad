// The code blocks of the README, so that what people copy from there is what is tested.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { promisify } from 'node:util';
import { baseUrl } from './env.mjs';

const readme = readFileSync(new URL('../../../README.md', import.meta.url), 'utf8');

/** The one code block of this language that contains all the words. */
export function block(language, ...words) {
  const blocks = [...readme.matchAll(/^```(\w+)\n([\s\S]*?)^```/gm)];
  const found = blocks.filter(([, of, text]) => of === language && words.every((word) => text.includes(word)));
  assert.equal(found.length, 1, `the README has one ${language} block with ${words.join(' and ')}`);
  return found[0][2];
}

/** The one curl command of the README that contains the word. */
export function curlCommand(word) {
  const commands = [...readme.matchAll(/^curl (?:.*\\\n)*.*$/gm)].map(([command]) => command);
  const found = commands.filter((command) => command.includes(word));
  assert.equal(found.length, 1, `the README has one curl command with ${word}`);
  return found[0];
}

/** Runs a command of the README against the server under test, with other replacements, and answers the JSON it prints. */
export async function run(command, env, replacements = {}) {
  let text = command.replaceAll('localhost:8102', new URL(baseUrl).host);
  for (const [from, to] of Object.entries(replacements)) {
    assert.ok(text.includes(from), `the command of the README names ${from}`);
    text = text.replaceAll(from, to);
  }
  const { stdout } = await promisify(execFile)('bash', ['-c', text], { env: { ...process.env, ...env } });
  return JSON.parse(stdout);
}
