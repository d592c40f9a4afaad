// The outbox through the official clients: looking at mails, holding them back, correcting them, and what servers answer.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { describe, test } from 'node:test';
import { adminApp, describeEachSdk, newestSdk } from './support/sdk.mjs';
import { assertRecent, assertRejectsKnown, assertRejectsStatus, eventually, freshEmail } from './support/check.mjs';
import { demo } from './support/env.mjs';
import { adminHeaders, clientHeaders, graphql, graphqlAnswer, serverHeaders } from './support/graphql.mjs';
import { later, outbox } from './support/outbox.mjs';
import { rest } from './support/rest.mjs';
import { template } from './support/smtp.mjs';

const DARK = 'a0172b5d-cff0-463b-83bb-85124697373a';
const HOUR_MILLIS = 60 * 60 * 1000;
const MORE = template('Hi {{ user.displayName }}', 'More {{ variables.what }}', { variables: { 'what?': 'tea' } });

describeEachSdk('outbox: reading', (sdk) => {
  const it = outbox(sdk);

  test('lists come newest first, page by page, each page beginning at the cursor', async () => {
    const ids = [];
    for (let count = 0; count < 5; count += 1) ids.unshift((await it.waiting()).id);
    const whole = await it.admin.listOutboxEmails();
    assert.deepEqual(whole.items.map(({ id }) => id), ids);
    assert.equal(whole.nextCursor, null);
    const first = await it.admin.listOutboxEmails({ limit: 2 });
    assert.deepEqual(first.items.map(({ id }) => id), ids.slice(0, 2));
    assert.equal(first.nextCursor, ids[2]);
    const second = await it.admin.listOutboxEmails({ limit: 3, cursor: first.nextCursor });
    assert.deepEqual([second.items.map(({ id }) => id), second.nextCursor], [ids.slice(2), null]);
  });

  test('lists tell mails apart by where they stand', async () => {
    const [sent, waiting, broken] = [await it.send(), await it.waiting(), await it.waiting()];
    await it.admin.updateOutboxEmail(broken.id, { tsxSource: '{% block' });
    await it.until(broken.id, 'render-error');
    await it.until(sent.id, 'sent');
    const has = async (filter, { id }) => (await it.admin.listOutboxEmails(filter)).items.some((item) => item.id === id);
    for (const [mail, status, simpleStatus] of [
      [sent, 'sent', 'ok'],
      [waiting, 'scheduled', 'in-progress'],
      [broken, 'render-error', 'error'],
    ]) {
      const shown = await it.admin.getOutboxEmail(mail.id);
      assert.deepEqual([shown.status, shown.simpleStatus], [status, simpleStatus]);
      for (const other of [sent, waiting, broken]) {
        assert.equal(await has({ status }, other), other === mail, status);
        assert.equal(await has({ simpleStatus }, other), other === mail, simpleStatus);
        assert.equal(await has({ status, simpleStatus }, other), other === mail);
      }
    }
  });

  test('what no list can be asked for is refused with a text', async () => {
    const queries = ['limit=0', 'limit=101', 'limit=many', 'limit=1.5', 'status=lost', 'simple_status=fine', `cursor=${randomUUID()}`];
    for (const query of queries) {
      const answer = await rest('GET', `/emails/outbox?${query}`, { project: it.project, accessType: 'server' });
      assert.deepEqual([answer.status, typeof answer.body], [400, 'string'], query);
    }
    const whole = await rest('GET', '/emails/outbox?limit=100', { project: it.project, accessType: 'server' });
    assert.deepEqual([whole.status, whole.body.is_paginated, whole.body.pagination], [200, true, { next_cursor: null }]);
    const byBrowser = await rest('GET', '/emails/outbox', { project: it.project });
    assert.deepEqual([byBrowser.status, byBrowser.body.code], [401, 'INSUFFICIENT_ACCESS_TYPE']);
  });

  test('a mail that is not there, or another project’s, is not found', async () => {
    const { id } = await it.waiting();
    await assertRejectsStatus(it.admin.getOutboxEmail(randomUUID()), 404);
    await assertRejectsStatus(it.admin.pauseOutboxEmail(randomUUID()), 404);
    await assertRejectsStatus(adminApp(sdk, demo).getOutboxEmail(id), 404);
    await assertRejectsStatus(adminApp(sdk, demo).cancelOutboxEmail(id), 404);
    assert.equal((await it.admin.getOutboxEmail(id)).status, 'scheduled');
  });
});

describeEachSdk('outbox: changing', (sdk) => {
  const it = outbox(sdk);

  test('a paused mail waits beyond its time, shows nothing of its content, and goes on', async () => {
    const { id, email } = await it.waiting();
    const paused = await it.admin.pauseOutboxEmail(id);
    assert.deepEqual([paused.status, paused.simpleStatus, paused.isPaused, paused.hasRendered], ['paused', 'in-progress', true, false]);
    assert.equal(paused.subject, undefined);
    assert.equal((await it.sendNow(id)).status, 'paused');
    // One that was put in behind it is through, so it would be too.
    const other = await it.send();
    await it.mailServer.mailTo(other.email);
    assert.deepEqual(it.mailServer.mailsTo(email), []);
    assert.notEqual((await it.admin.unpauseOutboxEmail(id)).status, 'paused');
    await it.mailServer.mailTo(email);
    await it.until(id, 'sent');
  });

  test('a cancelled mail is skipped, whatever else is asked, and can be changed no more', async () => {
    const { id, email } = await it.waiting();
    await it.admin.pauseOutboxEmail(id);
    const cancelled = await it.patch(id, { cancel: true, is_paused: true, tsx_source: MORE, scheduled_at_millis: 0 });
    assert.equal(cancelled.status, 200);
    const { status, simple_status, is_paused, skipped_reason, skipped_details, tsx_source } = cancelled.body;
    assert.deepEqual([status, simple_status, is_paused, skipped_reason, skipped_details], ['skipped', 'ok', false, 'MANUALLY_CANCELLED', {}]);
    assert.notEqual(tsx_source, MORE);
    assertRecent(cancelled.body.skipped_at_millis);
    const details = { email_id: id, status: 'SKIPPED' };
    await assertRejectsKnown(sdk, it.admin.cancelOutboxEmail(id), 'EmailNotEditable', { details });
    assert.deepEqual(it.mailServer.mailsTo(email), []);
  });

  test('a mail that has left is not changed', async () => {
    const { id } = await it.send();
    await it.until(id, 'sent');
    const details = { email_id: id, status: 'SENT' };
    for (const change of [{ isPaused: true }, { cancel: true }, { tsxSource: MORE }, { scheduledAtMillis: Number(later()) }]) {
      await assertRejectsKnown(sdk, it.admin.updateOutboxEmail(id, change), 'EmailNotEditable', { details });
    }
    assert.equal((await it.patch(id, { to: { type: 'custom-emails', emails: [freshEmail()] } })).body.code, 'EMAIL_NOT_EDITABLE');
  });

  test('a mail that is put off keeps its content and leaves when it is called', async () => {
    const { id, email } = await it.waiting();
    const at = Number(later()) + HOUR_MILLIS;
    const moved = await it.admin.updateOutboxEmail(id, { scheduledAtMillis: at });
    assert.deepEqual([moved.status, Number(moved.scheduledAt), moved.subject], ['scheduled', at, 'Hello']);
    await it.sendNow(id);
    assert.equal((await it.mailServer.mailTo(email)).subject, 'Hello');
  });

  test('another source, theme and variables make another mail, under the subject given at first', async () => {
    const { id, email } = await it.waiting();
    const edited = await it.admin.updateOutboxEmail(id, { tsxSource: MORE, themeId: DARK });
    assert.deepEqual([edited.tsxSource, edited.themeId], [MORE, DARK]);
    const rendered = await it.until(id, 'scheduled');
    assert.match(rendered.html, /More /);
    assert.equal(rendered.subject, 'Hello');
    const varied = await it.patch(id, { variables: { what: 'milk' }, theme_id: null, scheduled_at_millis: Date.now(), skip_deliverability_check: true });
    assert.deepEqual([varied.status, varied.body.variables, varied.body.theme_id, varied.body.skip_deliverability_check], [
      200,
      { what: 'milk' },
      null,
      true,
    ]);
    const mail = await it.mailServer.mailTo(email);
    assert.match(mail.html, /More milk/);
    assert.equal(mail.subject, 'Hello');
  });

  test('a mail goes to others instead', async () => {
    const [one, two] = [freshEmail('one'), freshEmail('two')];
    const first = await it.waiting();
    const to = { type: 'custom-emails', emails: [one, two] };
    const moved = await it.patch(first.id, { to, scheduled_at_millis: Date.now() });
    assert.deepEqual([moved.status, moved.body.to], [200, to]);
    assert.deepEqual((await it.mailServer.mailTo(one)).to, [one, two]);

    const second = await it.waiting();
    await it.patch(second.id, { to: { type: 'user-custom-emails', user_id: second.user.id, emails: [] }, scheduled_at_millis: 0 });
    await it.mailServer.mailTo(second.email);

    const third = await it.waiting();
    await it.patch(third.id, { to: { type: 'custom-emails', emails: [] }, scheduled_at_millis: 0 });
    const skipped = await it.until(third.id, 'skipped');
    assert.deepEqual([skipped.skippedReason, skipped.simpleStatus], ['NO_EMAIL_PROVIDED', 'ok']);
    for (const { email } of [first, third]) assert.deepEqual(it.mailServer.mailsTo(email), []);
  });

  test('address and account are looked at when a mail leaves', async () => {
    const [moved, gone] = [await it.waiting(), await it.waiting()];
    const address = freshEmail('new');
    await moved.user.update({ primaryEmail: address });
    await gone.user.delete();
    await it.sendNow(moved.id);
    await it.sendNow(gone.id);
    await it.mailServer.mailTo(address);
    assert.equal((await it.until(gone.id, 'skipped')).skippedReason, 'USER_ACCOUNT_DELETED');
    for (const { email } of [moved, gone]) assert.deepEqual(it.mailServer.mailsTo(email), []);
  });

  test('a change that makes no sense is a schema error and changes nothing', async () => {
    const { id } = await it.waiting();
    const whole = { status: 200, body: (await it.patch(id, {})).body };
    for (const change of [
      { cancel: false },
      { is_paused: 'perhaps' },
      { scheduled_at_millis: 'soon' },
      { theme_id: 'dark' },
      { variables: [] },
      { to: { type: 'everybody' } },
      { to: { type: 'custom-emails', emails: ['not an address'] } },
      { to: { type: 'user-primary-email' } },
      { subject: 'another' },
    ]) {
      const answer = await it.patch(id, change);
      assert.deepEqual([answer.status, answer.body.code], [400, 'SCHEMA_ERROR'], JSON.stringify(change));
    }
    const { status, body } = await it.patch(id, {});
    assert.deepEqual({ status, body }, whole);
  });
});

describeEachSdk('outbox: what servers answer', (sdk) => {
  const it = outbox(sdk);
  test('a server that refuses for good ends the mail with its words; another content sends it anew', async () => {
    const { id, email } = await it.waiting();
    it.mailServer.refuse(email, 554, '5.7.1 not from you');
    await it.sendNow(id);
    const failed = await it.until(id, 'server-error');
    assert.deepEqual([failed.simpleStatus, failed.sendRetries, failed.nextSendRetryAt], ['error', 1, null]);
    assert.match(failed.serverError, /5\.7\.1 not from you/);
    assertRecent(failed.errorAt);
    const [attempt, ...others] = failed.sendAttemptErrors;
    assert.deepEqual(others, []);
    assert.deepEqual([attempt.attemptNumber, attempt.externalDetails], [1, { errorType: 'REJECTED' }]);
    assert.match(attempt.externalMessage, /not from you/);
    assertRecent(new Date(attempt.timestamp));

    it.mailServer.accept(email);
    await it.admin.updateOutboxEmail(id, { tsxSource: MORE });
    assert.match((await it.mailServer.mailTo(email)).html, /More/);
    const sent = await it.until(id, 'sent');
    assert.deepEqual([sent.sendRetries, sent.sendAttemptErrors], [0, null]);
  });

  test('a server that refuses for now is asked again within a minute', async () => {
    const { id, email } = await it.waiting();
    it.mailServer.refuse(email, 450, '4.2.0 come back later');
    await it.sendNow(id);
    const retried = await eventually('the first try failed', async () => {
      const mail = await it.admin.getOutboxEmail(id);
      return mail.sendRetries === 1 && mail;
    });
    assert.deepEqual([retried.status, retried.simpleStatus], ['scheduled', 'in-progress']);
    assert.equal(retried.sendAttemptErrors[0].externalDetails.errorType, 'TEMPORARY');
    const wait = Number(retried.nextSendRetryAt) - Date.parse(retried.sendAttemptErrors[0].timestamp);
    assert.ok(wait >= 20_000 && wait <= 60_000, `${wait} ms`);
    assert.equal((await it.admin.cancelOutboxEmail(id)).nextSendRetryAt, null);
  });

  test('a wrong password ends the mail at once, and the right one lets the next through', async () => {
    await it.project.ownedProject.updateConfig({ 'emails.server.password': 'wrong' });
    const { id } = await it.send();
    const failed = await it.until(id, 'server-error');
    assert.equal(failed.sendAttemptErrors[0].externalDetails.errorType, 'AUTH_FAILED');
    assert.ok(!failed.serverError.includes('wrong user or password'), 'what a server says of credentials is not repeated');
    await it.project.ownedProject.updateConfig({ 'emails.server.password': it.mailServer.settings.password });
    const { email } = await it.send();
    await it.mailServer.mailTo(email);
  });
});

describe('outbox: GraphQL', () => {
  const it = outbox(newestSdk);
  const SEND = 'mutation ($input: SendEmailInput!) { sendEmail(input: $input) { userIds } }';
  const UPDATE = `mutation ($input: UpdateEmailInput!) {
    updateEmail(input: $input) { email { id status skippedReason scheduledAt } }
  }`;
  const ONE = `query ($id: ID!) { email(id: $id) {
    id status simpleStatus subject html text isPaused toUser { id } toAddresses sendRetries source themeId
  } }`;
  const ALL = `query ($first: Int, $after: String) { emails(first: $first, after: $after) {
    totalCount pageInfo { hasNextPage endCursor } edges { node { id status } }
  } }`;

  test('mails are sent, listed, read and cancelled', async () => {
    const headers = serverHeaders(it.project);
    const { user, email } = await it.newUser();
    const input = { userIds: [user.id], html: '<p>x</p>', subject: 'Graph', noTheme: true };
    const sent = await graphql(headers, SEND, { input });
    assert.deepEqual(sent.sendEmail.userIds, [user.id]);
    const mail = await it.mailServer.mailTo(email);
    const id = mail.header('X-Entity-Ref-ID');
    await it.until(id, 'sent');
    assert.deepEqual((await graphql(headers, ONE, { id })).email, {
      id,
      status: 'SENT',
      simpleStatus: 'OK',
      subject: 'Graph',
      html: '<p>x</p>',
      text: mail.text,
      isPaused: false,
      toUser: { id: user.id },
      toAddresses: [],
      sendRetries: 0,
      source: (await it.admin.getOutboxEmail(id)).tsxSource,
      themeId: null,
    });
    await graphql(headers, SEND, { input: { ...input, scheduledAt: later().toISOString() } });
    const page = (await graphql(headers, ALL, { first: 1 })).emails;
    assert.deepEqual([page.totalCount, page.pageInfo.hasNextPage], [2, true]);
    const next = (await graphql(headers, ALL, { first: 1, after: page.pageInfo.endCursor })).emails;
    assert.deepEqual([next.edges.map(({ node }) => node), next.pageInfo.hasNextPage], [[{ id, status: 'SENT' }], false]);

    const waiting = page.edges[0].node.id;
    const { updateEmail } = await graphql(headers, UPDATE, { input: { id: waiting, cancel: true } });
    assert.deepEqual([updateEmail.email.status, updateEmail.email.skippedReason], ['SKIPPED', 'MANUALLY_CANCELLED']);
    const refused = await graphqlAnswer(headers, UPDATE, { input: { id, isPaused: true } });
    assert.equal(refused.errors[0].extensions.code, 'EMAIL_NOT_EDITABLE');
    assert.equal((await graphql(headers, ONE, { id: randomUUID() })).email, null);
    const byBrowser = await graphqlAnswer(clientHeaders(it.project), ALL, {});
    assert.ok(byBrowser.errors?.length > 0);
  });

  test('administrators see the templates, the built-in ones first', async () => {
    const query = '{ emailTemplates { totalCount edges { node { id displayName source theme themeId } } } }';
    const { emailTemplates } = await graphql(adminHeaders(it.project), query);
    const listed = await it.admin.listEmailTemplates();
    assert.deepEqual(
      emailTemplates.edges.map(({ node }) => node),
      listed.map(({ id, displayName, tsxSource }) => ({ id, displayName, source: tsxSource, theme: 'SELECTED', themeId: null })),
    );
    assert.equal(emailTemplates.totalCount, listed.length);
    assert.ok((await graphqlAnswer(serverHeaders(it.project), query)).errors?.length > 0);
  });
});
