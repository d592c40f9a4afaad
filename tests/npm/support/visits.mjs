// What people do who sign in with another site: on a page of the application, there, and back again.
import { PASSWORD } from './check.mjs';

/** A page of the application, and what people do there. */
export async function openVisitor(browser, site, provider) {
  const page = await browser.context.newPage();
  page.setDefaultTimeout(15_000);

  /** Loads a page of the application with nobody signed in, here or there, or with this user. */
  async function open(email, path = '/') {
    await browser.context.clearCookies();
    await page.goto(site.origin + path);
    if (!email) return;
    await page.evaluate(
      async (credential) => {
        const { status, error } = await app.signInWithCredential({ ...credential, noRedirect: true });
        if (status !== 'ok') throw error;
      },
      { email, password: PASSWORD },
    );
  }

  /** Presses the button, and is asked there who it is. */
  async function leave() {
    await page.evaluate((id) => {
      window.outcome = app.signInWithOAuth(id).catch((error) => error.errorCode ?? String(error));
    }, provider.id);
    await page.waitForURL(`${provider.issuer}/interaction/**`);
  }

  /** Has the user link an account, and is asked there who it is. */
  async function leaveToLink(options) {
    await page.evaluate(
      async ([id, options]) => {
        const user = await app.getUser({ or: 'throw' });
        void user.linkConnectedAccount(id, options);
      },
      [provider.id, options],
    );
    await page.waitForURL(`${provider.issuer}/interaction/**`);
  }

  /** Says who it is, or that it does not want to; the browser is led back. */
  async function answer(account) {
    if (account) await page.getByLabel('Account').fill(account.sub);
    await page.getByRole('button', { name: account ? 'Continue' : 'Cancel' }).click();
    await page.waitForURL(`${site.origin}/handler/oauth-callback?**`);
  }

  const callBack = () =>
    page.evaluate(() => {
      window.outcome = app.callOAuthCallback().catch((error) => error.errorCode ?? String(error));
    });

  /** Comes back; answers who is signed in on the page where the client leads. */
  async function comeBack(path) {
    await callBack();
    await page.waitForURL(site.origin + path);
    return page.evaluate(async () => {
      const { id, primaryEmail, primaryEmailVerified, displayName, isAnonymous } = await app.getUser({ or: 'throw' });
      return { id, primaryEmail, primaryEmailVerified, displayName, isAnonymous };
    });
  }

  /** Comes back in vain; answers what the server told, what the client made of it, and who is signed in. */
  async function failToComeBack() {
    const told = new URL(page.url()).searchParams.get('errorCode');
    await callBack();
    const outcome = await page.evaluate(() => window.outcome);
    return { told, outcome, user: await page.evaluate(async () => (await app.getUser())?.id ?? null) };
  }

  /** The whole way. */
  async function signIn(account, path = '/signed-in') {
    await open();
    await leave();
    await answer(account);
    return comeBack(path);
  }

  /** Signs in in vain. */
  async function failToSignIn(account) {
    await open();
    await leave();
    await answer(account);
    return failToComeBack();
  }

  /** An access token of the user's only linked account: `{accessToken}`, or `{code}` of the client's error. */
  const accessToken = (scopes) =>
    page.evaluate(async (scopes) => {
      const [account] = await (await app.getUser({ or: 'throw' })).listConnectedAccounts();
      const { status, data, error } = await account.getAccessToken({ scopes });
      return status === 'ok' ? data : { code: error.errorCode };
    }, scopes);

  return { page, open, leave, leaveToLink, answer, callBack, comeBack, failToComeBack, signIn, failToSignIn, accessToken };
}
