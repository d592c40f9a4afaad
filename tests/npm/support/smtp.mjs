// A mail server of a project's own: a real SMTP server program, which keeps what it is handed or refuses it.
import { randomBytes } from 'node:crypto';
import { simpleParser } from 'mailparser';
import { SMTPServer } from 'smtp-server';
import { eventually } from './check.mjs';
import { freshProject } from './project.mjs';

/**
 * Starts a server on a free loopback port that wants a user and a password. `mails` holds what came: what mailparser tells
 * (`subject`, `html`, `text`, `from`, …) with `to` (the addresses of the envelope), `header(name)`, `queuedAs` (what the
 * server called it) and `receivedAt`.
 */
export async function startMailServer() {
  const [username, password] = ['postern', randomBytes(12).toString('hex')];
  const mails = [];
  const refusals = new Map();
  const server = new SMTPServer({
    disabledCommands: ['STARTTLS'],
    allowInsecureAuth: true,
    closeTimeout: 500,
    onAuth: (auth, _session, done) => {
      const isRight = auth.username === username && auth.password === password;
      done(isRight ? null : reply(535, '5.7.8 wrong user or password'), { user: username });
    },
    onRcptTo: ({ address }, _session, done) => done(refusals.get(address) ?? null),
    onData: (stream, session, done) => {
      simpleParser(stream).then((mail) => {
        const queuedAs = randomBytes(8).toString('hex');
        const to = session.envelope.rcptTo.map(({ address }) => address);
        const header = (name) => unfolded(mail.headerLines.find(({ key }) => key === name.toLowerCase())?.line);
        mails.push({ ...mail, to, header, queuedAs, receivedAt: Date.now() });
        done(null, `2.0.0 Ok: queued as ${queuedAs}`);
      }, done);
    },
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const settings = {
    host: '127.0.0.1',
    port: server.server.address().port,
    username,
    password,
    senderName: 'The Shop',
    senderEmail: 'shop@tenant.example',
  };
  const mailsTo = (address) => mails.filter(({ to }) => to.includes(address));
  return {
    settings,
    mails,
    mailsTo,
    /** Waits for the mail of this number to the address. */
    mailTo: (address, { number = 1, ...options } = {}) =>
      eventually(`mail number ${number} to ${address}`, () => mailsTo(address)[number - 1], options),
    /** From now on the address is refused with these words. */
    refuse: (address, code, text) => refusals.set(address, reply(code, text)),
    /** And now no longer. */
    accept: (address) => refusals.delete(address),
    close: () => new Promise((resolve) => server.close(resolve)),
  };
}

/** A project whose mails leave through this server. */
export async function projectWithServer(sdk, server, options) {
  const project = await freshProject(sdk, options);
  await project.ownedProject.updateConfig({ 'emails.server': { isShared: false, ...server.settings } });
  return project;
}

/** A template of the format of ours, with this subject and content; without a category unless there is one. */
export function template(subject, content, { category, variables } = {}) {
  return [
    `{% block subject %}${subject}{% endblock %}`,
    category && `{% block category %}${category}{% endblock %}`,
    variables && `{% block variables %}${JSON.stringify(variables)}{% endblock %}`,
    `{% block content %}<mj-section><mj-column><mj-text>${content}</mj-text></mj-column></mj-section>{% endblock %}`,
  ].filter(Boolean).join('\n');
}

function reply(code, text) {
  return Object.assign(new Error(text), { responseCode: code });
}

function unfolded(line) {
  return line?.slice(line.indexOf(':') + 1).replace(/\r?\n(?=[ \t])/g, '').trim();
}
