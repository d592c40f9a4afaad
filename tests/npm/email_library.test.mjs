// What mails are made from, through the official admin app: templates, themes, drafts and previews; and trying a server out.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { before, test } from 'node:test';
import { adminApp, clientApp, describeEachSdk, serverApp } from './support/sdk.mjs';
import {
  assertRecent,
  assertRejectsKnown,
  assertRejectsStatus,
  CALLBACK_URL,
  eventually,
  freshEmail,
  PASSWORD,
  UUID,
} from './support/check.mjs';
import { codeIn } from './support/mailbox.mjs';
import { outbox } from './support/outbox.mjs';
import { freshProject } from './support/project.mjs';
import { rest } from './support/rest.mjs';
import { template } from './support/smtp.mjs';

const BUILT_IN_TEMPLATES = [
  ['e7d009ce-8d47-4528-b245-5bf119f2ffa3', 'Email Verification'],
  ['a70fb3a4-56c1-4e42-af25-49d25603abd0', 'Password Reset'],
  ['822687fe-8d0a-4467-a0d1-416b6e639478', 'Magic Link/OTP'],
  ['e84de395-2076-4831-9c19-8e9a96a868e4', 'Team Invitation'],
  ['066dd73c-36da-4fd0-b6d6-ebf87683f8bc', 'Sign In Invitation'],
  ['70372aee-0441-4d80-974c-2e858e40123a', 'Payment Receipt'],
  ['f64b1afe-27ec-4a28-a277-7178f3261f9a', 'Payment Failed'],
];
const PASSWORD_RESET = BUILT_IN_TEMPLATES[1][0];
const BUILT_IN_THEMES = [
  { id: '1df07ae6-abf3-4a40-83a5-a1a2cbe336ac', displayName: 'Default Light' },
  { id: 'a0172b5d-cff0-463b-83bb-85124697373a', displayName: 'Default Dark' },
  { id: 'c7e2d94f-8a1b-4e6d-b3f5-9d0a2e7c1b8f', displayName: 'Default Colorful' },
];
const DARK = BUILT_IN_THEMES[1].id;
const GOOD = template('Welcome, {{ user.displayName }}', 'To {{ variables.where }}', { category: 'Transactional', variables: { where: 'Rome' } });
const THEME = '<mjml><mj-body>{{ children }}<mj-section><mj-column><mj-text>OURS of {{ project.displayName }}</mj-text></mj-column></mj-section></mj-body></mjml>';

describeEachSdk('email templates', (sdk) => {
  const it = outbox(sdk);

  test('a template is made, changed once it renders, and removed', async () => {
    const before = await it.admin.listEmailTemplates();
    assert.deepEqual(before.map(({ id, displayName }) => [id, displayName]), BUILT_IN_TEMPLATES);
    const { id } = await it.admin.createEmailTemplate('Welcome');
    assert.match(id, UUID);
    const made = (await it.admin.listEmailTemplates()).at(-1);
    assert.deepEqual([made.id, made.displayName, made.themeId], [id, 'Welcome', undefined]);
    const { renderedHtml } = await it.admin.updateEmailTemplate(id, GOOD, DARK);
    assert.match(renderedHtml, /To Rome/, 'with the examples that it declares');
    const changed = (await it.admin.listEmailTemplates()).at(-1);
    assert.deepEqual(changed, { id, displayName: 'Welcome', themeId: DARK, tsxSource: GOOD });
    for (const [themeId, shown] of [[undefined, DARK], [false, false], [null, undefined]]) {
      await it.admin.updateEmailTemplate(id, GOOD, themeId);
      assert.equal((await it.admin.listEmailTemplates()).at(-1).themeId, shown);
    }
    await it.admin.deleteEmailTemplate(id);
    assert.deepEqual(await it.admin.listEmailTemplates(), before);
    await assertRejectsStatus(it.admin.deleteEmailTemplate(id), 404);
    await assertRejectsStatus(it.admin.updateEmailTemplate(id, GOOD), 404);
  });

  test('a source that does not render, or says no subject or category, is refused with the reason', async () => {
    const { id } = await it.admin.createEmailTemplate('Broken');
    const [{ tsxSource }] = (await it.admin.listEmailTemplates()).slice(-1);
    for (const source of [
      '{% block subject %}',
      template('', 'x', { category: 'Transactional' }),
      template('s', 'x'),
      template('s', '{{ variables.unknown.deeper }}', { category: 'Transactional' }),
      template('s', '{% for a in range(9999) %}{% for b in range(9999) %}x{% endfor %}{% endfor %}', { category: 'Transactional' }),
      'import { Subject } from "@stackframe/emails"; export function EmailTemplate() { return <Subject value="s" />; }',
    ]) {
      await assertRejectsKnown(sdk, it.admin.updateEmailTemplate(id, source), 'EmailRenderingError');
    }
    await assertRejectsStatus(it.admin.updateEmailTemplate(id, GOOD, randomUUID()), 400);
    await assertRejectsKnown(sdk, it.admin.createEmailTemplate(''), 'SchemaError');
    assert.equal((await it.admin.listEmailTemplates()).at(-1).tsxSource, tsxSource, 'nothing changed');
    await it.admin.deleteEmailTemplate(id);
  });

  test('a changed built-in template changes what the project’s own actions mail, until it is removed', async () => {
    const email = freshEmail();
    await it.server.createUser({ primaryEmail: email, primaryEmailAuthEnabled: true, primaryEmailVerified: true, password: PASSWORD });
    const forgot = () => clientApp(sdk, it.project).sendForgotPasswordEmail(email, { callbackUrl: CALLBACK_URL });
    const source = template('Ours: reset', '<a href="{{ variables.passwordResetLink }}">go</a>', {
      category: 'Transactional',
      variables: { passwordResetLink: 'https://example.com' },
    });
    await it.admin.updateEmailTemplate(PASSWORD_RESET, source);
    await forgot();
    const mail = await it.mailServer.mailTo(email);
    assert.equal(mail.subject, 'Ours: reset');
    const code = codeIn({ text: mail.html, html: mail.html }, CALLBACK_URL);
    const [shown] = (await it.admin.listOutboxEmails({ limit: 1 })).items;
    assert.deepEqual([shown.emailProgrammaticCallTemplateId, shown.isHighPriority], [PASSWORD_RESET, true]);
    assert.ok(!JSON.stringify(shown).includes(code), 'the outbox does not tell the code');
    await it.admin.deleteEmailTemplate(PASSWORD_RESET);
    await forgot();
    assert.equal((await it.mailServer.mailTo(email, { number: 2 })).subject, 'Reset your password at Test project');
  });

  test('with the shared server templates are the built-in ones and cannot be changed', async () => {
    const admin = adminApp(sdk, await freshProject(sdk));
    assert.deepEqual((await admin.listEmailTemplates()).map(({ id, displayName }) => [id, displayName]), BUILT_IN_TEMPLATES);
    await assertRejectsKnown(sdk, admin.createEmailTemplate('Mine'), 'RequiresCustomEmailServer');
    await assertRejectsKnown(sdk, admin.updateEmailTemplate(PASSWORD_RESET, GOOD), 'RequiresCustomEmailServer');
    await assertRejectsKnown(sdk, admin.deleteEmailTemplate(PASSWORD_RESET), 'RequiresCustomEmailServer');
  });
});

describeEachSdk('email themes', (sdk) => {
  let project;
  let admin;
  before(async () => {
    project = await freshProject(sdk);
    admin = adminApp(sdk, project);
  });
  const read = (id) => rest('GET', `/internal/email-themes/${id}`, { project, accessType: 'admin' });

  test('a theme is made from the default one, changed, worn and removed, with the shared server too', async () => {
    assert.deepEqual(await admin.listEmailThemes(), BUILT_IN_THEMES);
    const { id } = await admin.createEmailTheme('Ours');
    assert.match(id, UUID);
    assert.deepEqual(await admin.listEmailThemes(), [...BUILT_IN_THEMES, { id, displayName: 'Ours' }]);
    const light = await read(BUILT_IN_THEMES[0].id);
    assert.deepEqual((await read(id)).body, { id, display_name: 'Ours', tsx_source: light.body.tsx_source });
    const changed = await rest('PATCH', `/internal/email-themes/${id}`, { project, accessType: 'admin', json: { tsx_source: THEME } });
    assert.deepEqual([changed.status, changed.body], [200, { display_name: 'Ours' }]);
    await admin.updateEmailTheme(id, THEME);
    assert.equal((await read(id)).body.tsx_source, THEME);
    assert.match(await admin.getEmailPreview({ templateTsxSource: GOOD, themeId: id }), /OURS of Test project/);

    await project.ownedProject.updateConfig({ 'emails.selectedThemeId': id });
    assert.match(await admin.getEmailPreview({ templateTsxSource: GOOD }), /OURS/);
    await assertRejectsStatus(admin.deleteEmailTheme(id), 400);
    await project.ownedProject.updateConfig({ 'emails.selectedThemeId': DARK });
    await admin.deleteEmailTheme(id);
    assert.deepEqual(await admin.listEmailThemes(), BUILT_IN_THEMES);
    const gone = await read(id);
    assert.deepEqual([gone.status, typeof gone.body], [404, 'string']);
    await assertRejectsStatus(admin.updateEmailTheme(id, THEME), 404);
  });

  test('a theme in which no mail renders is refused', async () => {
    const { id } = await admin.createEmailTheme('Broken');
    for (const source of ['<mjml>', '{{ children', 'export function EmailTheme() {}']) {
      await assertRejectsKnown(sdk, admin.updateEmailTheme(id, source), 'EmailRenderingError');
    }
  });
});

describeEachSdk('email drafts', (sdk) => {
  let project;
  let admin;
  before(async () => {
    project = await freshProject(sdk);
    admin = adminApp(sdk, project);
  });
  const call = (method, id, json) => rest(method, `/internal/email-drafts/${id}`, { project, accessType: 'admin', json });

  test('drafts are kept as they are written, last changed first, unfinished ones too', async () => {
    assert.deepEqual(await admin.listEmailDrafts(), []);
    const first = await admin.createEmailDraft({ displayName: 'First' });
    const second = await admin.createEmailDraft({ displayName: 'Second', themeId: false, tsxSource: '{% unfinished' });
    const [newest, oldest] = await admin.listEmailDrafts();
    assert.deepEqual(newest, { id: second.id, displayName: 'Second', themeId: false, tsxSource: '{% unfinished', sentAt: null });
    assert.deepEqual([oldest.id, oldest.themeId], [first.id, undefined]);
    assert.match(oldest.tsxSource, /Marketing/, 'it begins as a marketing mail');

    await admin.updateEmailDraft(first.id, { displayName: 'Once first', themeId: DARK });
    const [changed] = await admin.listEmailDrafts();
    assert.deepEqual(changed, { ...oldest, displayName: 'Once first', themeId: DARK });
    const one = await call('GET', first.id);
    assert.deepEqual([one.status, one.body], [
      200,
      { id: first.id, display_name: 'Once first', tsx_source: oldest.tsxSource, theme_id: DARK, sent_at_millis: null },
    ]);
    const patched = await call('PATCH', first.id, { tsx_source: GOOD, theme_id: null });
    assert.deepEqual([patched.status, patched.body], [200, { ok: 'ok' }]);
    assert.equal((await call('GET', first.id)).body.theme_id, undefined);

    await admin.deleteEmailDraft(second.id);
    const deleted = await call('DELETE', first.id);
    assert.deepEqual([deleted.status, deleted.body], [200, { ok: 'ok' }]);
    await admin.refreshEmailDrafts();
    assert.deepEqual(await admin.listEmailDrafts(), []);
    for (const method of ['GET', 'DELETE']) assert.equal((await call(method, first.id)).status, 404);
    assert.equal((await call('PATCH', first.id, {})).status, 404);
  });

  test('with the shared server a draft is not sent', async () => {
    const { id: draftId } = await admin.createEmailDraft({ displayName: 'News' });
    await assertRejectsKnown(sdk, serverApp(sdk, project).sendEmail({ userIds: [], draftId }), 'RequiresCustomEmailServer');
    assert.equal((await call('GET', draftId)).body.sent_at_millis, null);
  });
});

describeEachSdk('email previews', (sdk) => {
  let project;
  let admin;
  before(async () => {
    project = await freshProject(sdk, { displayName: 'Bakery' });
    admin = adminApp(sdk, project);
  });
  const render = (json) => rest('POST', '/emails/render-email', { project, accessType: 'admin', json });

  test('a preview shows a template to John Doe with its examples, in any theme', async () => {
    const html = await admin.getEmailPreview({ templateTsxSource: template('s', 'Dear {{ user.displayName }} of {{ project.displayName }}') });
    assert.match(html, /Dear John Doe of Bakery/);
    assert.match(html, /Sent by Bakery/, 'the selected theme');
    assert.doesNotMatch(await admin.getEmailPreview({ templateTsxSource: GOOD, themeId: false }), /Sent by/);
    assert.match(await admin.getEmailPreview({ templateTsxSource: GOOD, themeTsxSource: THEME }), /To Rome[^]*OURS of Bakery/);
    for (const [templateId] of BUILT_IN_TEMPLATES) {
      for (const { id: themeId } of BUILT_IN_THEMES) assert.match(await admin.getEmailPreview({ templateId, themeId }), /Bakery/);
    }
    const marked = await admin.getEmailPreviewWithEditableMarkers({ templateTsxSource: GOOD, editableSource: 'both' });
    assert.match(marked.html, /To Rome/);
    const whole = await render({ template_tsx_source: GOOD });
    assert.deepEqual([whole.status, whole.body.subject, whole.body.notification_category], [200, 'Welcome, John Doe', 'Transactional']);
    assert.deepEqual((await admin.listOutboxEmails()).items, [], 'no mail is made');
  });

  test('what does not render, is not there or makes no sense is refused', async () => {
    await assertRejectsKnown(sdk, admin.getEmailPreview({ templateTsxSource: '{{' }), 'EmailRenderingError');
    await assertRejectsKnown(sdk, admin.getEmailPreview({ templateTsxSource: GOOD, themeTsxSource: '<mjml' }), 'EmailRenderingError');
    await assertRejectsStatus(admin.getEmailPreview({ templateId: randomUUID() }), 400);
    await assertRejectsStatus(admin.getEmailPreview({ templateTsxSource: GOOD, themeId: randomUUID() }), 400);
    await assertRejectsKnown(sdk, admin.getEmailPreview({}), 'SchemaError');
    await assertRejectsKnown(sdk, admin.getEmailPreview({ templateTsxSource: GOOD, templateId: randomUUID() }), 'SchemaError');
    await assertRejectsKnown(sdk, admin.getEmailPreview({ templateTsxSource: GOOD, themeId: DARK, themeTsxSource: THEME }), 'SchemaError');
    const failed = await render({ template_tsx_source: '{{' });
    assert.deepEqual([failed.status, failed.body.code, typeof failed.body.details.error], [400, 'EMAIL_RENDERING_ERROR', 'string']);
    const byServer = await rest('POST', '/emails/render-email', { project, accessType: 'server', json: { template_tsx_source: GOOD } });
    assert.deepEqual([byServer.status, byServer.body.code], [401, 'INSUFFICIENT_ACCESS_TYPE']);
  });
});

describeEachSdk('email: trying out, inviting, looking back', (sdk) => {
  const it = outbox(sdk);

  test('a server is tried out by a mail that stands in no outbox', async () => {
    const recipientEmail = freshEmail();
    const { status } = await it.admin.sendTestEmail({ recipientEmail, emailConfig: it.mailServer.settings });
    assert.equal(status, 'ok');
    const mail = await it.mailServer.mailTo(recipientEmail);
    assert.equal(mail.from.text, '"The Shop" <shop@tenant.example>');
    assert.ok(mail.text && !mail.html, 'plain text only');
    assert.deepEqual((await it.admin.listOutboxEmails()).items, []);
  });

  test('trying out a server that does not take the mail tells why', async () => {
    const attempt = async (recipientEmail, settings) =>
      it.admin.sendTestEmail({ recipientEmail, emailConfig: { ...it.mailServer.settings, ...settings } });
    const email = freshEmail();
    const wrong = await attempt(email, { password: 'wrong' });
    assert.equal(wrong.status, 'error');
    assert.match(wrong.error.errorMessage, /535/);
    it.mailServer.refuse(email, 550, '5.1.1 nobody of that name');
    assert.match((await attempt(email, {})).error.errorMessage, /nobody of that name/);
    assert.equal((await attempt(email, { host: 'mail.invalid' })).status, 'error');
    assert.deepEqual(it.mailServer.mailsTo(email), []);
    await assertRejectsKnown(sdk, attempt('nobody', {}), 'SchemaError');
  });

  test('an invitation to sign in leads to a trusted URL', async () => {
    const email = freshEmail();
    await it.admin.sendSignInInvitationEmail(email, CALLBACK_URL);
    const mail = await it.mailServer.mailTo(email);
    assert.equal(mail.subject, 'You have been invited to sign in to Test project');
    assert.ok(mail.text.includes(CALLBACK_URL) && mail.html.includes(CALLBACK_URL));
    await assertRejectsKnown(sdk, it.admin.sendSignInInvitationEmail(email, 'https://evil.example/'), 'RedirectUrlNotWhitelisted');
    assert.equal(it.mailServer.mailsTo(email).length, 1);
  });

  test('the newest mails at a glance: to whom, what of, and what went wrong', async () => {
    const invited = freshEmail();
    await it.admin.sendSignInInvitationEmail(invited, CALLBACK_URL);
    await it.mailServer.mailTo(invited);
    const { user, email } = await it.newUser();
    it.mailServer.refuse(email, 554, '5.7.1 not you');
    await it.server.sendEmail({ userIds: [user.id], subject: 'Hello', html: 'x' });
    const [failed, invitation] = await eventually('the mail failed', async () => {
      const listed = await it.admin.listSentEmails();
      return listed[0]?.error && listed;
    });
    assert.match(failed.id, UUID);
    assert.deepEqual([failed.subject, failed.recipient.includes(user.id)], ['Hello', true]);
    assert.match(failed.error, /not you/);
    assertRecent(failed.sentAt);
    assert.deepEqual([invitation.to, invitation.error], [[invited], null]);
  });
});
