// Prints the licence texts of all packages that the lock file of a directory names: node licences.mjs DIRECTORY
// Packages with the same text share it. A package that carries no text is listed with the licence it declares.
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

const directory = process.argv[2];
const { packages } = JSON.parse(readFileSync(join(directory, 'package-lock.json'), 'utf8'));
const textsOf = (path) =>
  readdirSync(join(directory, path))
    .filter((name) => /^(licen[cs]e|copying|notice)/i.test(name))
    .sort()
    .map((name) => readFileSync(join(directory, path, name), 'utf8').trim());

const users = new Map();
const silent = [];
for (const [path, { version, license }] of Object.entries(packages)) {
  if (path === '') continue;
  const name = `${path.split('node_modules/').pop()} ${version} (${license})`;
  const texts = textsOf(path);
  if (texts.length === 0) silent.push(name);
  for (const text of texts) users.set(text, [...(users.get(text) ?? []), name]);
}

const rule = '='.repeat(80);
console.log('The files beside this one are GraphiQL and what its page needs. They contain code and fonts of the packages below.');
for (const [text, names] of users) console.log(`\n${rule}\n${names.join('\n')}\n${rule}\n\n${text}`);
console.log(`\n${rule}\nWithout a text of their own, under the licence they declare:\n${silent.join('\n')}`);
