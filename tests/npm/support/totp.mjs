// Codes of an authenticator (RFC 6238), as an app on a phone shows them.
import { createHmac, randomBytes } from 'node:crypto';

const STEP_MILLIS = 30_000;
/** How long a code must stay good for a test to use it. */
const ENOUGH_MILLIS = 3_000;

/** A secret as authenticators like it: 20 bytes. */
export const newTotpSecret = () => new Uint8Array(randomBytes(20));

/** The six digits of the moment. */
export function totpAt(secret, millis) {
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(Math.floor(millis / STEP_MILLIS)));
  const hash = createHmac('sha1', secret).update(counter).digest();
  const number = hash.readUInt32BE(hash[19] & 0xf) & 0x7fffffff;
  return String(number % 1_000_000).padStart(6, '0');
}

/** The six digits of now; when they are about to change, those that come next, once they are good. */
export async function freshTotp(secret) {
  const left = STEP_MILLIS - (Date.now() % STEP_MILLIS);
  if (left < ENOUGH_MILLIS) await new Promise((resolve) => setTimeout(resolve, left));
  return totpAt(secret, Date.now());
}

/** Six digits that are wrong now. */
export async function wrongTotp(secret) {
  const right = Number(await freshTotp(secret));
  return String((right + 1) % 1_000_000).padStart(6, '0');
}
