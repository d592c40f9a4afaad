// The five minutes of the README as a person goes through them: its commands in a shell, its pages in a real browser.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { Webhook } from 'standardwebhooks';
import { startBrowser } from './support/browser.mjs';
import { eventually, freshEmail } from './support/check.mjs';
import { baseUrl, demo } from './support/env.mjs';
import { block, curlCommand, run } from './support/readme.mjs';

const shell = {
  PROJECT: demo.projectId,
  CLIENT_KEY: demo.publishableClientKey,
  ADMIN_KEY: demo.superSecretAdminKey,
};

/** GraphiQL's editor of queries: replaces what it holds. */
async function writeQuery(page, query) {
  await page.locator('.graphiql-query-editor .CodeMirror').click();
  await page.keyboard.press('ControlOrMeta+A');
  await page.keyboard.insertText(query);
  // GraphiQL reads what was typed after a pause, and only then knows a subscription; at the same moment it stores the text.
  await page.waitForFunction((text) => localStorage.getItem('graphiql:query') === text, query);
}

/** What GraphiQL shows as the answer, once it satisfies `isWanted`. */
function answerIn(page, what, isWanted) {
  return eventually(what, async () => {
    const text = await page.locator('.result-window .CodeMirror').evaluate((element) => element.CodeMirror.getValue());
    return isWanted(text) && text;
  });
}

async function freePort() {
  const server = createServer();
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** The receiver of the README in a process of its own; `printed()` is what it said so far. */
async function startReceiver(directory, port) {
  const source = block('js', 'createServer', '8200');
  writeFileSync(join(directory, 'receiver.mjs'), source.replaceAll('8200', String(port)));
  const child = spawn(process.execPath, ['receiver.mjs'], { cwd: directory, stdio: ['ignore', 'pipe', 'inherit'] });
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (chunk) => (text += chunk));
  const receiver = { printed: () => text, stop: () => child.kill() };
  await eventually('the receiver listens', () => text.includes('listening'));
  return receiver;
}

describe('the tour of the README', () => {
  const email = freshEmail('ada');
  const directory = mkdtempSync(join(tmpdir(), 'postern-tour-'));
  let browser;
  let receiver;
  let signedUp;

  before(async () => {
    browser = await startBrowser();
  });
  after(async () => {
    await browser?.close();
    receiver?.stop();
    rmSync(directory, { recursive: true, force: true });
  });

  test('1: somebody signs up', async () => {
    const answer = await run(curlCommand('signUpWithPassword'), shell, { 'ada@example.com': email });
    signedUp = answer.data.signUpWithPassword;
    assert.equal(signedUp.user.primaryEmail, email);
    assert.equal(signedUp.user.primaryEmailVerified, false);
  });

  test('2: the mail is in the mailbox, its link leads to a page, and the button there verifies the address', async () => {
    const page = await browser.context.newPage();
    await page.goto(`${baseUrl}/mailbox`);
    await page.locator('#messages button', { hasText: email }).click();
    const link = page.frameLocator('#frame').locator('a[href*="/verify/email"]').first();
    const [verification] = await Promise.all([browser.context.waitForEvent('page'), link.click()]);
    await verification.waitForLoadState();
    await verification.locator('button').click();
    await verification.locator('h1.good').waitFor();
    browser.assertNoFaults();
  });

  test('3: GraphiQL knows the demo project and reads the user back', async () => {
    const page = await browser.context.newPage();
    await page.goto(`${baseUrl}/graphiql`);
    const headers = page.locator('.graphiql-editor-tool .CodeMirror').filter({ visible: true });
    const seen = await headers.evaluate((element) => element.CodeMirror.getValue());
    assert.equal(JSON.parse(seen)['x-stack-project-id'], demo.projectId);
    await writeQuery(page, block('graphql', 'users('));
    await page.keyboard.press('ControlOrMeta+Enter');
    const answer = await answerIn(page, 'the answer to the query', (text) => text.includes(email));
    const { node } = JSON.parse(answer).data.users.edges.find((edge) => edge.node.primaryEmail === email);
    assert.equal(node.id, signedUp.user.id);
    assert.equal(node.primaryEmailVerified, true);
    // The schema was read: the documentation names its types. The dialog brings a style sheet of its own, under the page's nonce.
    await page.getByRole('button', { name: 'Show Documentation Explorer' }).click();
    await page.locator('.graphiql-doc-explorer-content').getByText('Mutation', { exact: true }).waitFor();
    await page.getByRole('button', { name: 'Open settings dialog' }).click();
    await page.getByText('Clear storage').waitFor();
    browser.assertNoFaults();
  });

  test('4: a change arrives at the receiver, signed, and at a subscription in GraphiQL', async () => {
    const page = await browser.context.newPage();
    await page.goto(`${baseUrl}/graphiql`);
    await writeQuery(page, 'subscription { events(types: ["user.updated"]) { type createdAt } }');
    // Listened for from the beginning: by the time that the socket could be awaited, the frame may have been sent.
    let isSubscribed = false;
    page.on('websocket', (socket) => {
      socket.on('framesent', (frame) => {
        isSubscribed ||= String(frame.payload).includes('"subscribe"');
      });
    });
    await page.keyboard.press('ControlOrMeta+Enter');
    await eventually('GraphiQL to subscribe', () => isSubscribed);

    const port = await freePort();
    receiver = await startReceiver(directory, port);
    const registered = await run(curlCommand('createWebhookEndpoint'), shell, { 'localhost:8200': `localhost:${port}` });
    const { secret } = registered.data.createWebhookEndpoint;
    const changed = await run(curlCommand('display_name'), { ...shell, TOKEN: signedUp.accessToken });
    assert.equal(changed.display_name, 'Ada');

    const line = await eventually('a delivery', () => receiver.printed().split('\n').find((text) => text.includes('user.updated')));
    const [, id, timestamp, signature, body] = line.match(/^(\S+) (\d+) (v1,.*?) (\{.*)$/);
    const headers = { 'webhook-id': id, 'webhook-timestamp': timestamp, 'webhook-signature': signature };
    new Webhook(secret).verify(body, headers);
    assert.equal(JSON.parse(body).data.display_name, 'Ada');

    await answerIn(page, 'the event', (text) => text.includes('user.updated'));
    browser.assertNoFaults();
  });
});
