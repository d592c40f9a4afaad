// Sending mails to users with the official clients, through a mail server of the project's own.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, test } from 'node:test';
import { adminApp, describeEachSdk, serverApp } from './support/sdk.mjs';
import {
  assertRecent,
  assertRejectsKnown,
  assertRejectsStatus,
  eventually,
  freshEmail,
  RANDOM_45,
  UUID,
} from './support/check.mjs';
import { baseUrl } from './support/env.mjs';
import { freshProject, signedInMember } from './support/project.mjs';
import { rest } from './support/rest.mjs';
import { projectWithServer, startMailServer, template } from './support/smtp.mjs';

const DEFAULT_LIGHT = '1df07ae6-abf3-4a40-83a5-a1a2cbe336ac';
const MARKETING = '4f6f8873-3d04-46bd-8bef-18338b1a1b4c';
const TRANSACTIONAL = '7bb82d33-2f54-4a3d-9d23-82739e0d66ef';
const HOUR_MILLIS = 60 * 60 * 1000;

describeEachSdk('emails: sending', (sdk) => {
  let mailServer;
  let project;
  let server;
  let admin;
  before(async () => {
    mailServer = await startMailServer();
    project = await projectWithServer(sdk, mailServer, { displayName: 'Shop' });
    server = serverApp(sdk, project);
    admin = adminApp(sdk, project);
  });
  after(() => mailServer.close());

  async function newUser(displayName = 'Ada', options = {}) {
    const email = freshEmail(displayName.toLowerCase());
    return { email, user: await server.createUser({ displayName, primaryEmail: email, ...options }) };
  }

  const ofUser = async (user) =>
    (await admin.listOutboxEmails()).items.filter(({ to }) => to.userId === user.id);

  /** The only mail of the user in the outbox, once it stands there. */
  const untilStatus = (user, status) =>
    eventually(`the mail is ${status}`, async () => {
      const [mail, ...others] = await ofUser(user);
      assert.deepEqual(others, []);
      return mail?.status === status && mail;
    });

  async function newTemplate(source, themeId) {
    const { id } = await admin.createEmailTemplate('Template');
    await admin.updateEmailTemplate(id, source, themeId);
    return id;
  }

  test('HTML reaches the primary address in the project’s theme, from the project’s sender', async () => {
    const { email, user } = await newUser();
    await server.sendEmail({ userIds: [user.id], subject: 'Hello <Ada>', html: '<p>Good {{ morning }} & {% bye %}</p>' });
    const mail = await mailServer.mailTo(email);
    assert.deepEqual(mail.to, [email]);
    assert.equal(mail.from.text, '"The Shop" <shop@tenant.example>');
    assert.equal(mail.subject, 'Hello <Ada>');
    assert.ok(mail.html.includes('<p>Good {{ morning }} & {% bye %}</p>'), mail.html);
    assert.match(mail.html, /Shop/, 'the theme names the project');
    assert.match(mail.text, /Good \{\{ morning \}\} & \{% bye %\}/);
    assert.equal(mail.header('List-Unsubscribe'), undefined, 'it has no category');

    const shown = await untilStatus(user, 'sent');
    assert.match(shown.id, UUID);
    assert.equal(mail.header('X-Entity-Ref-ID'), shown.id);
    for (const time of ['createdAt', 'updatedAt', 'scheduledAt', 'startedRenderingAt', 'renderedAt', 'startedSendingAt', 'deliveredAt']) {
      assertRecent(shown[time]);
    }
    const { subject, to, variables, createdWith, emailDraftId, emailProgrammaticCallTemplateId, themeId } = shown;
    assert.deepEqual({ subject, to, variables, createdWith, emailDraftId, emailProgrammaticCallTemplateId, themeId }, {
      subject: 'Hello <Ada>',
      to: { type: 'user-primary-email', userId: user.id },
      variables: {},
      createdWith: 'programmatic-call',
      emailDraftId: null,
      emailProgrammaticCallTemplateId: null,
      themeId: DEFAULT_LIGHT,
    });
    const { isTransactional, isHighPriority, notificationCategoryId, hasRendered, hasDelivered, canHaveDeliveryInfo, sendRetries } = shown;
    assert.deepEqual(
      { isTransactional, isHighPriority, notificationCategoryId, hasRendered, hasDelivered, canHaveDeliveryInfo, sendRetries },
      {
        isTransactional: false,
        isHighPriority: false,
        notificationCategoryId: null,
        hasRendered: true,
        hasDelivered: true,
        canHaveDeliveryInfo: false,
        sendRetries: 0,
      },
    );
  });

  test('HTML without a theme is the whole mail, and without a subject it has an empty one', async () => {
    const { email, user } = await newUser();
    await server.sendEmail({ userIds: [user.id], themeId: false, html: '<b>bare</b>' });
    const mail = await mailServer.mailTo(email);
    assert.equal(mail.html.trim(), '<b>bare</b>');
    assert.equal(mail.subject ?? '', '');
    assert.equal((await untilStatus(user, 'sent')).themeId, null);
  });

  test('a template takes variables, and a given subject goes before its own', async () => {
    const source = template('{{ user.displayName }}, buy {{ variables.what }}', 'At {{ project.displayName }}: {{ variables.what }}', {
      category: 'Transactional',
      variables: { what: 'tea', 'price?': 1 },
    });
    const templateId = await newTemplate(source);
    const { email, user } = await newUser();
    await server.sendEmail({ userIds: [user.id], templateId, variables: { what: '<b>milk</b>' } });
    const mail = await mailServer.mailTo(email);
    assert.equal(mail.subject, 'Ada, buy <b>milk</b>');
    assert.match(mail.html, /At Shop: &lt;b&gt;milk&lt;\/b&gt;/);
    const shown = await untilStatus(user, 'sent');
    assert.deepEqual(
      [shown.emailProgrammaticCallTemplateId, shown.variables, shown.isTransactional, shown.notificationCategoryId, shown.tsxSource],
      [templateId, { what: '<b>milk</b>' }, true, TRANSACTIONAL, source],
    );

    await server.sendEmail({ userIds: [user.id], templateId, variables: { what: 'milk' }, subject: 'Mine' });
    assert.equal((await mailServer.mailTo(email, { number: 2 })).subject, 'Mine');
  });

  test('variables that a template does not take end as an error of rendering', async () => {
    const templateId = await newTemplate(template('{{ variables.what }}', 'x', { category: 'Transactional', variables: { what: 'tea' } }));
    const { email, user } = await newUser();
    await server.sendEmail({ userIds: [user.id], templateId, variables: { what: 5 } });
    const failed = await untilStatus(user, 'render-error');
    assert.equal(failed.simpleStatus, 'error');
    assert.match(failed.renderError, /what/);
    assert.equal(failed.hasRendered, false);
    assert.deepEqual(mailServer.mailsTo(email), []);
  });

  test('a draft is sent in its own theme and notes when', async () => {
    const source = template('News', 'From the draft', { category: 'Marketing' });
    const { id: draftId } = await admin.createEmailDraft({ displayName: 'June', tsxSource: source, themeId: false });
    const { email, user } = await newUser();
    await server.sendEmail({ userIds: [user.id], draftId });
    const mail = await mailServer.mailTo(email);
    assert.equal(mail.subject, 'News');
    assert.match(mail.html, /From the draft/);
    const shown = await untilStatus(user, 'sent');
    assert.deepEqual([shown.createdWith, shown.emailDraftId, shown.themeId], ['draft', draftId, null]);
    await admin.refreshEmailDrafts();
    const draft = (await admin.listEmailDrafts()).find(({ id }) => id === draftId);
    assertRecent(draft.sentAt);
  });

  test('a draft whose theme is gone is sent in the selected one', async () => {
    const { id: themeId } = await admin.createEmailTheme('Gone');
    const tsxSource = template('News', 'x', { category: 'Marketing' });
    const { id: draftId } = await admin.createEmailDraft({ displayName: 'July', tsxSource, themeId });
    await admin.deleteEmailTheme(themeId);
    const { email, user } = await newUser();
    await server.sendEmail({ userIds: [user.id], draftId });
    assert.match((await mailServer.mailTo(email)).html, /Sent by Shop/);
  });

  test('a mail to all users reaches everybody once, and who has no address is skipped', async () => {
    const ownServer = await startMailServer();
    const own = await freshProject(sdk);
    await own.ownedProject.update({ config: { emailConfig: { type: 'standard', ...ownServer.settings } } });
    const app = serverApp(sdk, own);
    const emails = [freshEmail('ada'), freshEmail('bob'), freshEmail('cleo')];
    for (const primaryEmail of emails) await app.createUser({ primaryEmail });
    const nameless = await app.createUser({ displayName: 'No address' });
    await app.sendEmail({ allUsers: true, subject: 'All', html: '<p>all</p>' });
    for (const email of emails) await ownServer.mailTo(email);
    const outbox = await eventually('all four ended', async () => {
      const { items } = await adminApp(sdk, own).listOutboxEmails({ simpleStatus: 'ok' });
      return items.length === 4 && items;
    });
    const skipped = outbox.filter(({ status }) => status === 'skipped');
    assert.deepEqual(skipped.map(({ to, skippedReason }) => [to.userId, skippedReason]), [[nameless.id, 'USER_HAS_NO_PRIMARY_EMAIL']]);
    assert.equal(ownServer.mails.length, 3);
    await ownServer.close();
  });

  test('a mail to more users than are written at once reaches every one of them once', async () => {
    const ownServer = await startMailServer();
    const app = serverApp(sdk, await projectWithServer(sdk, ownServer));
    const emails = Array.from({ length: 130 }, () => freshEmail('many'));
    for (let from = 0; from < emails.length; from += 10) {
      await Promise.all(emails.slice(from, from + 10).map((primaryEmail) => app.createUser({ primaryEmail })));
    }
    await app.sendEmail({ allUsers: true, subject: 'Many', html: '<p>many</p>' });
    await eventually('all mails', () => ownServer.mails.length >= emails.length, { deadlineMillis: 60_000 });
    assert.deepEqual(ownServer.mails.flatMap(({ to }) => to).sort(), [...emails].sort());
    await ownServer.close();
  });

  test('a user named twice gets one mail, and nobody named is no error', async () => {
    const { email, user } = await newUser();
    const answer = await rest('POST', '/emails/send-email', {
      project,
      accessType: 'server',
      json: { user_ids: [user.id], subject: 'One', html: 'x', is_high_priority: true, scheduled_at_millis: 0 },
    });
    assert.deepEqual([answer.status, answer.body], [200, { results: [{ user_id: user.id }] }]);
    await mailServer.mailTo(email);
    assert.equal((await untilStatus(user, 'sent')).isHighPriority, true);
    const nobody = await rest('POST', '/emails/send-email', { project, accessType: 'server', json: { user_ids: [], html: 'x' } });
    assert.deepEqual([nobody.status, nobody.body], [200, { results: [] }]);
  });

  test('marketing says how to be rid of it, and whoever unsubscribes gets no more of it', async () => {
    const { email, user } = await newUser();
    const send = (subject, options) => server.sendEmail({ userIds: [user.id], subject, html: '<p>sale</p>', ...options });
    await send('Sale', { notificationCategoryName: 'Marketing' });
    const mail = await mailServer.mailTo(email);
    assert.equal(mail.header('List-Unsubscribe-Post'), 'List-Unsubscribe=One-Click');
    const link = mail.header('List-Unsubscribe').replace(/^<|>$/g, '');
    assert.equal(new URL(link).origin, baseUrl);
    const code = new URL(link).searchParams.get('code');
    assert.match(code, RANDOM_45);
    assert.ok(mail.text.includes(link) && mail.html.includes(code), 'people find the link too');
    const sent = await untilStatus(user, 'sent');
    assert.deepEqual([sent.notificationCategoryId, sent.isTransactional], [MARKETING, false]);
    assert.ok(!JSON.stringify(sent).includes(code), 'the outbox does not tell the link');

    // Opening the link asks first; what a mail program posts acts.
    assert.match(await (await fetch(link)).text(), /<button/);
    const wanted = async () => (await serverApp(sdk, project).getUser(user.id)).listNotificationCategories();
    assert.deepEqual((await wanted()).map(({ name, enabled, canDisable }) => [name, enabled, canDisable]), [
      ['Transactional', true, false],
      ['Marketing', true, true],
    ]);
    const posted = await fetch(link, { method: 'POST', body: new URLSearchParams({ 'List-Unsubscribe': 'One-Click' }) });
    assert.equal(posted.status, 200);
    const marketing = (await wanted()).find(({ name }) => name === 'Marketing');
    assert.equal(marketing.enabled, false);

    await send('Sale again', { notificationCategoryName: 'Marketing' });
    const skipped = await eventually('the second is skipped', async () => {
      const mails = await ofUser(user);
      return mails.find(({ status }) => status === 'skipped');
    });
    assert.deepEqual([skipped.skippedReason, skipped.skippedDetails], ['USER_UNSUBSCRIBED', {}]);
    await send('Not marketing', {});
    assert.equal((await mailServer.mailTo(email, { number: 2 })).subject, 'Not marketing');
    await marketing.setEnabled(true);
    await send('Back', { notificationCategoryName: 'Marketing' });
    assert.equal((await mailServer.mailTo(email, { number: 3 })).subject, 'Back');
  });

  test('a user who switches marketing off gets none, and the category of a template counts', async () => {
    const { created, own, email } = await signedInMember(sdk, project, 'Bob');
    const marketing = (await own.listNotificationCategories()).find(({ name }) => name === 'Marketing');
    assert.deepEqual([marketing.id, marketing.enabled, marketing.canDisable], [MARKETING, true, true]);
    await marketing.setEnabled(false);
    assert.equal((await own.listNotificationCategories()).find(({ name }) => name === 'Marketing').enabled, false);
    const templateId = await newTemplate(template('Sale', 'x', { category: 'Marketing' }));
    await server.sendEmail({ userIds: [created.id], templateId });
    assert.equal((await untilStatus(created, 'skipped')).skippedReason, 'USER_UNSUBSCRIBED');
    await server.sendEmail({ userIds: [created.id], templateId, notificationCategoryName: 'Transactional', subject: 'Bill' });
    const mail = await mailServer.mailTo(email);
    assert.equal(mail.subject, 'Bill');
    assert.equal(mail.header('List-Unsubscribe'), undefined);
  });

  test('a mail for later is rendered at once and leaves in time', async () => {
    const { email, user } = await newUser();
    const scheduledAt = new Date(Date.now() + HOUR_MILLIS);
    await server.sendEmail({ userIds: [user.id], subject: 'Later', html: 'x', scheduledAt });
    const waiting = await untilStatus(user, 'scheduled');
    assert.equal(Number(waiting.scheduledAt), Number(scheduledAt));
    assert.deepEqual([waiting.subject, waiting.simpleStatus, waiting.hasRendered], ['Later', 'in-progress', true]);

    const soon = await newUser('Bob');
    const soonAt = Date.now() + 1500;
    await server.sendEmail({ userIds: [soon.user.id], subject: 'Soon', html: 'x', scheduledAt: new Date(soonAt) });
    assert.ok((await mailServer.mailTo(soon.email)).receivedAt >= soonAt);
    assert.deepEqual(mailServer.mailsTo(email), []);
  });

  test('the shared server sends no mails to users', async () => {
    const own = await freshProject(sdk);
    const app = serverApp(sdk, own);
    const user = await app.createUser({ primaryEmail: freshEmail() });
    const mail = { subject: 's', html: 'x' };
    await assertRejectsKnown(sdk, app.sendEmail({ ...mail, userIds: [user.id] }), 'RequiresCustomEmailServer');
    await assertRejectsKnown(sdk, app.sendEmail({ ...mail, userIds: [randomUUID()] }), 'RequiresCustomEmailServer');
    await assertRejectsKnown(sdk, app.sendEmail(mail), 'RequiresCustomEmailServer');
  });

  test('one unknown user keeps the mail from all', async () => {
    const { email, user } = await newUser();
    const [unknown, another] = [randomUUID(), randomUUID()];
    const sending = server.sendEmail({ userIds: [user.id, unknown, another], subject: 's', html: 'x' });
    await assertRejectsKnown(sdk, sending, 'UserIdDoesNotExist', { details: { user_id: unknown } });
    assert.deepEqual(await ofUser(user), []);
    assert.deepEqual(mailServer.mailsTo(email), []);
  });

  test('a category, template or draft that is not there is refused with a text', async () => {
    const { user } = await newUser();
    const userIds = [user.id];
    await assertRejectsStatus(server.sendEmail({ userIds, html: 'x', notificationCategoryName: 'Gossip' }), 400);
    await assertRejectsStatus(server.sendEmail({ userIds, templateId: randomUUID() }), 400);
    await assertRejectsStatus(server.sendEmail({ userIds, draftId: randomUUID() }), 400);
    assert.deepEqual(await ofUser(user), []);
  });

  test('a call that says too much, too little or nonsense is a schema error', async () => {
    const { user } = await newUser();
    const userIds = [user.id];
    for (const options of [
      { html: 'x' },
      { html: 'x', userIds, allUsers: true },
      { userIds },
      { userIds, html: 'x', templateId: randomUUID() },
      { userIds, html: 'x', draftId: randomUUID() },
      { userIds, html: 'x', variables: {} },
      { userIds, html: 'x', themeId: 'dark' },
      { userIds: ['me'], html: 'x' },
      { userIds, templateId: 'mine' },
    ]) {
      await assertRejectsKnown(sdk, server.sendEmail(options), 'SchemaError');
    }
    for (const odd of [{ all_users: false, html: 'x' }, { user_ids: userIds, html: 'x', cc: [] }, { user_ids: userIds, html: [] }]) {
      const answer = await rest('POST', '/emails/send-email', { project, accessType: 'server', json: odd });
      assert.deepEqual([answer.status, answer.body.code], [400, 'SCHEMA_ERROR'], JSON.stringify(odd));
    }
    const byBrowser = await rest('POST', '/emails/send-email', { project, json: { user_ids: userIds, html: 'x' } });
    assert.deepEqual([byBrowser.status, byBrowser.body.code], [401, 'INSUFFICIENT_ACCESS_TYPE']);
    assert.deepEqual(await ofUser(user), []);
  });
});
