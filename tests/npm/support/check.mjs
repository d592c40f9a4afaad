// Assertions and values that several suites need.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';

export const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
/** The random strings of the contract: 45 characters of lower-case base32 without i, l, o, u. */
export const RANDOM_45 = /^[0-9a-hjkmnp-tv-z]{45}$/;

export const PASSWORD = 'correct horse battery staple';
/** Localhost is trusted in a new project, so mails may link here. */
export const CALLBACK_URL = 'http://localhost:3000/handler/email-verification';

/** An address that nobody used before, so that suites can run again and again on one server. */
export function freshEmail(label = 'user') {
  return `${label}-${randomBytes(8).toString('hex')}@example.com`;
}

/** Asserts that `error` is the client's own typed error of this code, with exactly these details. */
export function assertKnownError(sdk, error, name, { details } = {}) {
  const type = sdk.KnownErrors[name];
  assert.ok(type, `the client knows ${name}`);
  assert.ok(type.isInstance(error), `expected ${name}, got ${error?.stack ?? error}`);
  if (details !== undefined) assert.deepEqual(error.details, details);
}

/** Asserts that the promise is rejected with the client's typed error. */
export async function assertRejectsKnown(sdk, promise, name, options) {
  let error;
  try {
    await promise;
  } catch (e) {
    error = e;
  }
  assert.ok(error, `expected ${name}, but the call succeeded`);
  assertKnownError(sdk, error, name, options);
}

/** Asserts that the promise is rejected because the server answered a plain-text error of this status. */
export async function assertRejectsStatus(promise, status) {
  await assert.rejects(promise, (error) => {
    assert.match(String(error.message), new RegExp(`Failed to send request to .*: ${status} `));
    return true;
  });
}

/** Asserts that a time lies within the last minute or, for skewed clocks, a few seconds ahead. */
export function assertRecent(date) {
  const age = Date.now() - Number(date);
  assert.ok(age > -5_000 && age < 60_000, `${date} is ${age} ms old`);
}

/** Polls until `probe` answers something truthy; fails after the deadline and says what was waited for. */
export async function eventually(what, probe, { deadlineMillis = 20_000, everyMillis = 50 } = {}) {
  const deadline = Date.now() + deadlineMillis;
  for (;;) {
    const value = await probe();
    if (value) return value;
    if (Date.now() > deadline) assert.fail(`waited ${deadlineMillis} ms in vain for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, everyMillis));
  }
}
