// Signing in with another site by the ready-made pages of the official React client, and linking accounts by its hooks.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';
import { startBrowser } from './support/browser.mjs';
import { PASSWORD } from './support/check.mjs';
import { freshProject, signedInMember } from './support/project.mjs';
import { startProvider } from './support/provider.mjs';
import { startReactSite } from './support/react_site.mjs';
import { newestSdk, serverApp } from './support/sdk.mjs';

describe('signing in with another site with React', () => {
  let browser;
  let provider;
  let project;
  let site;
  let page;
  before(async () => {
    [browser, provider, project] = await Promise.all([startBrowser(), startProvider(), freshProject()]);
    await project.ownedProject.updateConfig(provider.config);
    site = await startReactSite(project);
  });
  after(async () => {
    await browser?.close();
    site?.close();
    provider?.close();
  });
  beforeEach(async () => {
    await browser.context.clearCookies();
    page = await browser.context.newPage();
    page.setDefaultTimeout(15_000);
  });
  afterEach(() => page.close());

  /** For whoever wants to look at the pages. */
  async function picture(name) {
    const directory = process.env.POSTERN_TEST_SCREENSHOTS;
    if (directory) await page.screenshot({ path: join(directory, `oauth_react-${name}.png`), fullPage: true });
  }

  const button = (name) => page.getByRole('button', { name });

  /** Says at the provider who it is, or that it does not want to. */
  async function answer(account) {
    await page.waitForURL(`${provider.issuer}/interaction/**`);
    if (account) await page.getByLabel('Account').fill(account.sub);
    await button(account ? 'Continue' : 'Cancel').click();
  }

  /** Who is signed in on the page of the application. */
  async function user(path) {
    await page.waitForURL(site.origin + path);
    return page.locator('#user').textContent();
  }

  async function signUp(account) {
    await page.goto(`${site.origin}/handler/sign-up`);
    await button('Sign up with acme').click();
    await answer(account);
    return user('/welcome');
  }

  test('somebody signs up, out and in again', async () => {
    const account = provider.account();
    await page.goto(`${site.origin}/handler/sign-up`);
    await button('Sign up with acme').waitFor();
    await picture('sign-up');
    const ada = await signUp(account);
    await picture('welcome');
    assert.equal(await page.getByRole('heading').textContent(), 'Ada There');
    assert.equal((await serverApp(newestSdk, project).getUser(ada)).primaryEmail, account.email);

    await button('Sign out').click();
    await button('Sign in').click();
    await page.waitForURL(`${site.origin}/handler/sign-in**`);
    await button('Sign in with acme').waitFor();
    await picture('sign-in');
    // The provider still knows who it is, and asks nothing.
    await button('Sign in with acme').click();
    assert.equal(await user('/'), ada);
  });

  test('a user links an account and reads an access token', async () => {
    const { email, created } = await signedInMember(newestSdk, project, 'Bob');
    await page.goto(`${site.origin}/handler/sign-in`);
    await page.getByLabel('Email').fill(email);
    await page.getByLabel('Password', { exact: true }).fill(PASSWORD);
    await page.getByRole('button', { name: 'Sign In', exact: true }).click();
    assert.equal(await user('/'), created.id);
    const account = provider.account();
    await button('Link Acme').click();
    await answer(account);
    assert.equal(await user('/'), created.id);
    const token = page.locator(`[data-account="${account.sub}"]`);
    assert.equal(await provider.whose(await token.textContent()), account.sub);
    await picture('linked');

    await provider.revoke(account.sub);
    await page.reload();
    await token.getByText('no access').waitFor();
    await picture('revoked');
  });

  test('who says no there is told so here', async () => {
    await page.goto(`${site.origin}/handler/sign-up`);
    await button('Sign up with acme').click();
    await answer(null);
    await page.getByText('OAuth provider access denied').waitFor();
    await picture('denied');
    await button('Sign in again').click();
    await page.waitForURL(`${site.origin}/handler/sign-in**`);
  });

  test('who comes while the provider is in trouble is told so here', async () => {
    await page.goto(`${site.origin}/handler/sign-up`);
    await button('Sign up with acme').click();
    provider.setDown(true);
    try {
      await answer(provider.account());
      await page.getByText('OAuth provider is temporarily unavailable').waitFor();
    } finally {
      provider.setDown(false);
    }
    await picture('unavailable');
  });

  test('an account of somebody else is linked to nobody', async () => {
    const account = provider.account();
    await signUp(account);
    await browser.context.clearCookies();
    await signUp(provider.account());
    await browser.context.clearCookies({ domain: '127.0.0.1' });
    await button('Link Acme').click();
    await answer(account);
    await page.getByText('Failed to connect account').waitFor();
    await picture('somebody-else');
  });
});
