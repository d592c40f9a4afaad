// A project whose mails leave through a server of its own, with its outbox.
import { after, before } from 'node:test';
import { adminApp, serverApp } from './sdk.mjs';
import { eventually, freshEmail } from './check.mjs';
import { rest } from './rest.mjs';
import { projectWithServer, startMailServer } from './smtp.mjs';

const HOUR_MILLIS = 60 * 60 * 1000;

/** In an hour. */
export const later = () => new Date(Date.now() + HOUR_MILLIS);

/** Within a `describe`: a project with a mail server for its tests, and what they do over and over. */
export function outbox(sdk) {
  const it = {};
  before(async () => {
    it.mailServer = await startMailServer();
    it.project = await projectWithServer(sdk, it.mailServer);
    it.server = serverApp(sdk, it.project);
    it.admin = adminApp(sdk, it.project);
  });
  after(() => it.mailServer.close());

  it.newUser = async () => {
    const email = freshEmail();
    return { email, user: await it.server.createUser({ displayName: 'Ada', primaryEmail: email }) };
  };
  it.until = (id, status) =>
    eventually(`the mail is ${status}`, async () => {
      const mail = await it.admin.getOutboxEmail(id);
      return mail.status === status && mail;
    });
  /** Sends a mail to a new user; answers its id, the user and the address. */
  it.send = async (options = {}) => {
    const { email, user } = await it.newUser();
    await it.server.sendEmail({ userIds: [user.id], subject: 'Hello', html: '<p>x</p>', ...options });
    const { items } = await it.admin.listOutboxEmails();
    return { id: items.find(({ to }) => to.userId === user.id).id, email, user };
  };
  /** A mail that waits, rendered, for an hour to come. */
  it.waiting = async () => {
    const mail = await it.send({ scheduledAt: later() });
    await it.until(mail.id, 'scheduled');
    return mail;
  };
  it.patch = (id, json, of = it.project) => rest('PATCH', `/emails/outbox/${id}`, { project: of, accessType: 'server', json });
  it.sendNow = (id) => it.admin.updateOutboxEmail(id, { scheduledAtMillis: Date.now() });
  return it;
}
