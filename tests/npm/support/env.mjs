// The address and keys of the server under test, from the environment (the contract is in README.md). Nothing is started here.

/** The value of a setting of the suites. */
export function required(name) {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set; tests/npm/README.md says what the suites need`);
  return value;
}

function keySet(prefix) {
  return {
    publishableClientKey: required(`POSTERN_${prefix}_PUBLISHABLE_CLIENT_KEY`),
    secretServerKey: required(`POSTERN_${prefix}_SECRET_SERVER_KEY`),
    superSecretAdminKey: required(`POSTERN_${prefix}_SUPER_SECRET_ADMIN_KEY`),
  };
}

/** Base URL of the server, without a trailing slash. */
export const baseUrl = required('POSTERN_URL').replace(/\/$/, '');
/** The project whose users own projects. */
export const internal = { projectId: 'internal', ...keySet('INTERNAL') };
/** The ready-made demo project. */
export const demo = { projectId: required('POSTERN_DEMO_PROJECT_ID'), ...keySet('DEMO') };
/** Base URL of the local mailbox, without a trailing slash. */
export const mailboxUrl = required('POSTERN_MAILBOX_URL').replace(/\/$/, '');
