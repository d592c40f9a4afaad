// Sign-up rules: who may make an account, as administrators write it down and as clients find out.
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { clientApp, describeEachSdk, newestSdk, serverApp } from './support/sdk.mjs';
import { assertRejectsKnown, freshEmail, PASSWORD } from './support/check.mjs';
import { freshProject } from './support/project.mjs';
import { rest } from './support/rest.mjs';
import { anonymousUser, magicLink, signUp } from './support/sign_in.mjs';

const rule = (type, condition, more = {}) => ({
  enabled: true,
  displayName: `To ${type}`,
  priority: 0,
  condition,
  action: { type },
  ...more,
});

/** A project with these rules. */
async function projectWithRules(sdk, rules, config = {}) {
  const project = await freshProject(sdk);
  await project.ownedProject.updateConfig({ 'auth.otp.allowSignIn': true, 'auth.signUpRules': rules, ...config });
  return project;
}

const emailAt = (domain) => freshEmail().replace('example.com', domain);

/** Tries the rules of a project out on somebody made up. */
async function tryOut(project, somebody = {}) {
  const json = { email: 'ada@example.com', auth_method: 'password', oauth_provider: null, country_code: null, ...somebody };
  const { status, body } = await rest('POST', '/internal/sign-up-rules-test', { project, accessType: 'admin', json });
  assert.equal(status, 200, JSON.stringify(body));
  return body;
}

async function statistics(project) {
  const { status, body } = await rest('GET', '/internal/sign-up-rules-stats', { project, accessType: 'admin' });
  assert.equal(status, 200, JSON.stringify(body));
  return body;
}

describeEachSdk('sign-up rules in the client', (sdk) => {
  let project;
  before(async () => {
    project = await projectWithRules(sdk, {
      friends: rule('allow', "email.startsWith('friend-')", { priority: 10 }),
      spam: rule('reject', "emailDomain == 'spam.example'", { priority: 5, action: { type: 'reject', message: 'secret' } }),
      watched: rule('restrict', "emailDomain in ['watched.example', 'odd.example']", { priority: 3 }),
      noted: rule('log', "authMethod == 'password'", { priority: 1 }),
    });
  });

  const refusedSignUp = (app, email) =>
    app.signUpWithCredential({ email, password: PASSWORD, noVerificationCallback: true, noRedirect: true });

  test('whoever is rejected is told so, but not why', async () => {
    const email = emailAt('spam.example');
    const app = clientApp(sdk, project);
    await assertRejectsKnown(sdk, refusedSignUp(app, email), 'SignUpRejected');
    assert.equal(await app.getUser(), null);
    const { status, body } = await rest('POST', '/auth/password/sign-up', { project, json: { email, password: PASSWORD } });
    assert.deepEqual([status, body.code], [403, 'SIGN_UP_REJECTED']);
    assert.ok(!JSON.stringify(body).includes('secret'));
    assert.deepEqual((await serverApp(sdk, project).listUsers({ query: email })).length, 0);
  });

  test('the first rule that says allow or reject decides', async () => {
    const { user } = await signUp(sdk, project, { email: `friend-${emailAt('spam.example')}` });
    assert.equal(user.isRestricted, false);
  });

  test('they hold for magic links and for anonymous users who sign up', async () => {
    const email = emailAt('spam.example');
    const app = clientApp(sdk, project);
    const { code } = await magicLink(app, email);
    await assertRejectsKnown(sdk, app.signInWithMagicLink(code, { noRedirect: true }), 'SignUpRejected');
    assert.equal(await app.getUser(), null);

    const anonymous = await anonymousUser(sdk, project);
    await assertRejectsKnown(sdk, refusedSignUp(anonymous.app, email), 'SignUpRejected');
    assert.equal((await anonymous.app.getUser({ or: 'anonymous' })).id, anonymous.user.id);
    const { email: good, user } = await signUp(sdk, project, { app: anonymous.app });
    assert.deepEqual([user.id, user.primaryEmail], [anonymous.user.id, good]);
  });

  test('users whom servers make, and those who sign in, are not asked', async () => {
    const email = emailAt('spam.example');
    const made = await serverApp(sdk, project).createUser({ primaryEmail: email, primaryEmailAuthEnabled: true, password: PASSWORD });
    const app = clientApp(sdk, project);
    assert.equal((await app.signInWithCredential({ email, password: PASSWORD, noRedirect: true })).status, 'ok');
    assert.equal((await app.getUser({ or: 'throw' })).id, made.id);
  });

  test('a restricted user is let in, and shown as one', async () => {
    const email = emailAt('watched.example');
    const app = clientApp(sdk, project);
    assert.equal((await refusedSignUp(app, email)).status, 'ok');
    assert.equal(await app.getUser(), null, 'for pages that do not know of restricted users nobody is signed in');
    const user = await app.getUser({ includeRestricted: true });
    assert.deepEqual(
      [user.primaryEmail, user.isRestricted, user.restrictedReason, user.isAnonymous],
      [email, true, { type: 'restricted_by_administrator' }, false],
    );
    const seen = await serverApp(sdk, project).getUser(user.id);
    assert.equal(seen.restrictedByAdmin, true);
    assert.match(seen.restrictedByAdminPrivateDetails, /watched/);

    await seen.update({ restrictedByAdmin: false, restrictedByAdminReason: null, restrictedByAdminPrivateDetails: null });
    const again = clientApp(sdk, project);
    assert.equal((await again.signInWithCredential({ email, password: PASSWORD, noRedirect: true })).status, 'ok');
    assert.equal((await again.getUser({ or: 'throw' })).isRestricted, false);
  });

  test('where nothing else is said the default decides', async () => {
    const rules = { ours: rule('allow', "emailDomain == 'ours.example'") };
    const closed = await projectWithRules(sdk, rules, { 'auth.signUpRulesDefaultAction': 'reject' });
    await assertRejectsKnown(sdk, refusedSignUp(clientApp(sdk, closed), emailAt('theirs.example')), 'SignUpRejected');
    const { user } = await signUp(sdk, closed, { email: emailAt('ours.example') });
    assert.ok(user);
  });

  test('a rejected address that somebody has tells nothing of it', async () => {
    const email = emailAt('spam.example');
    await serverApp(sdk, project).createUser({ primaryEmail: email, primaryEmailAuthEnabled: true });
    await assertRejectsKnown(sdk, refusedSignUp(clientApp(sdk, project), email), 'SignUpRejected');
  });
});

describe('sign-up rules for administrators', () => {
  test('what applied is counted, by rule, hour and action', async () => {
    const project = await projectWithRules(newestSdk, {
      spam: rule('reject', "emailDomain == 'spam.example'", { priority: 5 }),
      watched: rule('restrict', "emailDomain == 'watched.example'", { priority: 4 }),
      noted: rule('log', "email.contains('@')", { priority: 9 }),
      idle: rule('reject', "emailDomain == 'nobody.example'"),
    });
    const refused = clientApp(newestSdk, project).signUpWithCredential({
      email: emailAt('spam.example'),
      password: PASSWORD,
      noVerificationCallback: true,
    });
    await assertRejectsKnown(newestSdk, refused, 'SignUpRejected');
    await signUp(newestSdk, project);
    const app = clientApp(newestSdk, project);
    const { code } = await magicLink(app, emailAt('watched.example'));
    assert.equal((await app.signInWithMagicLink(code, { noRedirect: true })).status, 'ok');
    await tryOut(project, { email: 'x@spam.example' });

    const { rule_triggers: triggers, ...totals } = await statistics(project);
    assert.deepEqual(totals, {
      analytics_hours: 48,
      total_triggers: 5,
      triggers_by_action: { allow: 0, reject: 1, restrict: 1, log: 3 },
    });
    const counts = Object.fromEntries(triggers.map((of) => [of.rule_id, [of.total_count, of.all_time_count]]));
    assert.deepEqual(counts, { spam: [1, 1], watched: [1, 1], noted: [3, 3], idle: [0, 0] });
    for (const { hourly_counts: hours, total_count } of triggers) {
      assert.equal(hours.length, 48);
      assert.equal(hours.reduce((sum, { count }) => sum + count, 0), total_count);
      const times = hours.map(({ hour }) => new Date(hour).getTime());
      assert.ok(times.every((time, place) => time % 3_600_000 === 0 && (place === 0 || time - times[place - 1] === 3_600_000)));
      assert.ok(Math.abs(Date.now() - times.at(-1)) < 2 * 3_600_000, 'the last one is the present hour');
    }
  });

  test('rules are tried out on somebody made up', async () => {
    const project = await projectWithRules(newestSdk, {
      broken: rule('reject', "email == 'unclosed", { priority: 90 }),
      arithmetic: rule('reject', '1 + 1 == 2', { priority: 80 }),
      unknown: rule('reject', "ip == '127.0.0.1'", { priority: 70 }),
      text: rule('reject', 'email', { priority: 60 }),
      off: rule('reject', 'true', { priority: 50, enabled: false }),
      empty: { enabled: true, priority: 40, action: { type: 'reject' } },
      robots: rule('restrict', 'riskScores.bot >= 80', { priority: 30 }),
      abroad: rule('allow', "countryCode in ['DE', 'AT'] && !(authMethod == 'oauth') && email.matches('^a.*@')", { priority: 20 }),
      last: rule('reject', "oauthProvider == 'github' || emailDomain.endsWith('.example')", { priority: 10 }),
    });
    const { context, evaluations, outcome } = await tryOut(project, {
      email: 'Ada@Spam.Example',
      auth_method: 'oauth',
      oauth_provider: 'github',
      country_code: 'DE',
      risk_scores: { bot: 85, free_trial_abuse: 3 },
    });
    assert.deepEqual({ ...context, email: context.email.toLowerCase() }, {
      email: 'ada@spam.example',
      email_domain: 'spam.example',
      country_code: 'DE',
      auth_method: 'oauth',
      oauth_provider: 'github',
      risk_scores: { bot: 85, free_trial_abuse: 3 },
    });
    assert.deepEqual(
      evaluations.map(({ rule_id, status, action, enabled }) => [rule_id, status, action.type, enabled]),
      [
        ['broken', 'error', 'reject', true],
        ['arithmetic', 'error', 'reject', true],
        ['unknown', 'error', 'reject', true],
        ['text', 'error', 'reject', true],
        ['off', 'disabled', 'reject', false],
        ['empty', 'missing_condition', 'reject', true],
        ['robots', 'matched', 'restrict', true],
        ['abroad', 'not_matched', 'allow', true],
        ['last', 'matched', 'reject', true],
      ],
    );
    for (const { status, error } of evaluations) assert.equal(typeof error, status === 'error' ? 'string' : 'undefined');
    assert.equal(evaluations[7].display_name, 'To allow');
    assert.deepEqual(outcome, {
      should_allow: false,
      decision: 'reject',
      decision_rule_id: 'last',
      restricted_because_of_rule_id: 'robots',
    });

    const german = await tryOut(project, { country_code: 'DE' });
    assert.deepEqual(german.outcome, {
      should_allow: true,
      decision: 'allow',
      decision_rule_id: 'abroad',
      restricted_because_of_rule_id: null,
    });
    const nobody = await tryOut(project, { email: null });
    assert.deepEqual([nobody.context.email_domain, nobody.outcome.decision], ['', 'default-allow']);

    // Rules that cannot be used keep nobody out.
    const { user } = await signUp(newestSdk, project);
    assert.ok(user);
    assert.equal((await statistics(project)).total_triggers, 0);
  });

  test('they are for administrators', async () => {
    const project = await projectWithRules(newestSdk, {});
    for (const accessType of ['client', 'server']) {
      assert.equal((await rest('GET', '/internal/sign-up-rules-stats', { project, accessType })).status, 401);
      assert.equal((await rest('POST', '/internal/sign-up-rules-test', { project, accessType, json: {} })).status, 401);
    }
    const json = { email: 'a@example.com', auth_method: 'letter', oauth_provider: null, country_code: null };
    const { status, body } = await rest('POST', '/internal/sign-up-rules-test', { project, accessType: 'admin', json });
    assert.deepEqual([status, body.code], [400, 'SCHEMA_ERROR']);
  });
});
