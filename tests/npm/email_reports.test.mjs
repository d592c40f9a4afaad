// What becomes of mails that left: counts and capacity in the official clients, and what a provider (Resend) reports, signed
// by the library that it names in its docs (svix).
import assert from 'node:assert/strict';
import { randomBytes, randomUUID } from 'node:crypto';
import { before, test } from 'node:test';
import { Webhook as StandardWebhook } from 'standardwebhooks';
import { Webhook as SvixWebhook } from 'svix';
import { describeEachSdk, serverApp } from './support/sdk.mjs';
import { assertRejectsKnown } from './support/check.mjs';
import { baseUrl, demo } from './support/env.mjs';
import { outbox } from './support/outbox.mjs';

const HOUR_MILLIS = 60 * 60 * 1000;
/** What a project may send in an hour at first, as the contract says, and how that grows with what it sent in a month. */
const perHour = (sentInMonth, penaltyFactor = 1) => Math.max((200 + (4 * sentInMonth) / 30 / 24) * penaltyFactor, 50);

describeEachSdk('emails: capacity', (sdk) => {
  const it = outbox(sdk);

  test('what was sent is counted, and what was skipped or refused is not', async () => {
    const none = { sent: 0, bounced: 0, marked_as_spam: 0 };
    const { stats, capacity } = await it.server.getEmailDeliveryStats();
    assert.deepEqual(stats, { hour: none, day: none, week: none, month: none });
    assert.ok(Math.abs(capacity.rate_per_second - perHour(0) / 3600) < 1e-9);
    assert.deepEqual(capacity, {
      rate_per_second: capacity.rate_per_second,
      boost_multiplier: 1,
      penalty_factor: 1,
      is_boost_active: false,
      boost_expires_at: null,
    });

    const refused = await it.waiting();
    it.mailServer.refuse(refused.email, 554, 'no');
    await it.sendNow(refused.id);
    await it.until(refused.id, 'server-error');
    await it.admin.cancelOutboxEmail((await it.waiting()).id);
    for (let count = 0; count < 2; count += 1) await it.until((await it.send()).id, 'sent');
    const after = await serverApp(sdk, it.project).getEmailDeliveryStats();
    const two = { ...none, sent: 2 };
    assert.deepEqual(after.stats, { hour: two, day: two, week: two, month: two });
    assert.ok(Math.abs(after.capacity.rate_per_second - perHour(2) / 3600) < 1e-9);
  });

  test('a boost lets four times as much leave for four hours, and is not had twice', async () => {
    const before = (await serverApp(sdk, it.project).getEmailDeliveryStats()).capacity;
    await it.server.activateEmailCapacityBoost();
    const { capacity } = await it.server.getEmailDeliveryStats();
    const left = Date.parse(capacity.boost_expires_at) - Date.now();
    assert.ok(Math.abs(left - 4 * HOUR_MILLIS) < 60_000, capacity.boost_expires_at);
    assert.equal(capacity.boost_expires_at, new Date(capacity.boost_expires_at).toISOString());
    assert.deepEqual([capacity.is_boost_active, capacity.boost_multiplier], [true, 4]);
    assert.ok(Math.abs(capacity.rate_per_second - 4 * before.rate_per_second) < 1e-9);
    await assertRejectsKnown(sdk, it.server.activateEmailCapacityBoost(), 'EmailCapacityBoostAlreadyActive', {
      details: { expires_at: capacity.boost_expires_at },
    });
  });
});

describeEachSdk('emails: reports of a provider', (sdk) => {
  const it = outbox(sdk);
  const secret = `whsec_${randomBytes(24).toString('base64')}`;
  before(() => it.project.ownedProject.updateConfig({ 'emails.server.reportSecret': secret }));

  async function post(body, headers, to = it.project.projectId) {
    const url = `${baseUrl}/api/v1/integrations/resend/webhooks/${to}`;
    const response = await fetch(url, { method: 'POST', headers: { 'content-type': 'application/json', ...headers }, body });
    return { status: response.status, body: await response.text() };
  }

  const event = (type, data, at = new Date()) => JSON.stringify({ type: `email.${type}`, created_at: at.toISOString(), data });

  /** The headers of a sender of this family. */
  function signed(body, { by = secret, family = 'svix', id = `msg_${randomUUID()}`, at = new Date() } = {}) {
    const webhook = family === 'svix' ? new SvixWebhook(by) : new StandardWebhook(by);
    return {
      [`${family}-id`]: id,
      [`${family}-timestamp`]: String(Math.floor(at.getTime() / 1000)),
      [`${family}-signature`]: webhook.sign(id, at, body),
    };
  }

  async function report(type, data, options) {
    const body = event(type, data);
    const answer = await post(body, signed(body, options));
    assert.equal(answer.status, 200, answer.body);
  }

  /** A mail that was taken, and how the provider names it. */
  async function sent() {
    const { id, email } = await it.send();
    await it.until(id, 'sent');
    const mail = await it.mailServer.mailTo(email);
    const headers = [{ name: 'X-Entity-Ref-ID', value: mail.header('X-Entity-Ref-ID') }];
    return { id, data: { email_id: randomUUID(), to: [email], subject: mail.subject, headers }, mail };
  }

  test('delivered, opened, clicked and called spam: the outbox tells it', async () => {
    const { id, data } = await sent();
    await report('delivery_delayed', data);
    const delayed = await it.until(id, 'delivery-delayed');
    assert.equal(delayed.simpleStatus, 'ok');
    assert.ok(delayed.deliveryDelayedAt > 0);
    await report('delivered', data);
    const delivered = await it.until(id, 'sent');
    assert.deepEqual([delivered.canHaveDeliveryInfo, delivered.hasDelivered], [true, true]);
    await report('opened', data, { family: 'webhook' });
    const opened = await it.until(id, 'opened');
    assert.ok(opened.openedAt >= opened.deliveredAt);
    await report('clicked', data);
    const clicked = await it.until(id, 'clicked');
    assert.ok(clicked.clickedAt >= opened.openedAt);
    await report('complained', data);
    const spam = await it.until(id, 'marked-as-spam');
    assert.deepEqual([spam.simpleStatus, spam.canHaveDeliveryInfo, spam.hasDelivered], ['ok', true, true]);
    assert.ok(spam.markedAsSpamAt > 0);
  });

  test('a mail is known by what the server called it when it took it', async () => {
    const { id, mail } = await sent();
    await report('opened', { email_id: mail.queuedAs });
    await it.until(id, 'opened');
  });

  test('a mail that came back is an error, counts against the project and is not changed', async () => {
    const { id, data } = await sent();
    await report('bounced', { ...data, bounce: { type: 'Permanent', message: 'nobody of that name' } });
    const bounced = await it.until(id, 'bounced');
    assert.deepEqual([bounced.simpleStatus, bounced.hasDelivered], ['error', false]);
    assert.ok(bounced.bouncedAt > 0);
    assert.ok((await it.admin.listOutboxEmails({ status: 'bounced' })).items.some((item) => item.id === id));
    assert.ok((await it.admin.listOutboxEmails({ simpleStatus: 'error' })).items.some((item) => item.id === id));
    const details = { email_id: id, status: 'BOUNCED' };
    await assertRejectsKnown(sdk, it.admin.pauseOutboxEmail(id), 'EmailNotEditable', { details });
    const { stats, capacity } = await serverApp(sdk, it.project).getEmailDeliveryStats();
    assert.equal(stats.hour.bounced, 1);
    const { sent: taken, bounced: back, marked_as_spam: spam } = stats.hour;
    assert.ok(Math.abs(capacity.penalty_factor - Math.max(0.1, 1 - (back + 50 * spam) / taken)) < 1e-9);
  });

  test('a report that comes twice, or of what nobody knows, is taken and changes nothing', async () => {
    const { id, data } = await sent();
    await report('opened', data, { id: 'msg_once' });
    await it.until(id, 'opened');
    await report('bounced', data, { id: 'msg_once' });
    await report('contact.created', { id: randomUUID() });
    await report('bounced', { email_id: randomUUID(), headers: [{ name: 'X-Entity-Ref-ID', value: randomUUID() }] });
    // One more, behind them all.
    await report('clicked', data);
    await it.until(id, 'clicked');
  });

  test('what is not signed by the project’s secret, now, is refused with a text', async () => {
    const { id, data } = await sent();
    const body = event('bounced', data);
    const other = `whsec_${randomBytes(24).toString('base64')}`;
    for (const [what, headers, to, sentBody = body] of [
      ['no signature', {}],
      ['another secret', signed(body, { by: other })],
      ['another body', signed(body), undefined, body.replace('bounced', 'opened')],
      ['an old time', signed(body, { at: new Date(Date.now() - 10 * 60 * 1000) })],
      ['another project', signed(body), demo.projectId],
      ['no project', signed(body), randomUUID()],
    ]) {
      const answer = await post(sentBody, headers, to);
      assert.equal(answer.status, 400, `${what}: ${answer.body}`);
      assert.ok(!answer.body.startsWith('{'), what);
    }
    await report('clicked', data);
    await it.until(id, 'clicked');
    const nonsense = 'no JSON';
    assert.equal((await post(nonsense, signed(nonsense))).status, 400);
  });
});
