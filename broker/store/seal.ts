// Encryption at rest: account key -> key per object by HKDF-SHA256 -> AES-256-GCM. Account and full
// identity of the object are authenticated, so that a mix-up fails to open instead of showing
// somebody else's pictures. Layout: "LCB1", 12 bytes nonce, ciphertext, 16 bytes tag.
import { createCipheriv, createDecipheriv, hkdfSync, randomFillSync } from 'node:crypto';
import { LenscapError } from '../../proto/errors.ts';

const MAGIC = Buffer.from('LCB1');
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
/** Bytes that sealing adds. */
export const SEAL_OVERHEAD_BYTES = MAGIC.length + NONCE_BYTES + TAG_BYTES;
/** Pieces of this size cost a fifth less CPU than one of half a megabyte. */
const PIECE_BYTES = 128 * 1024;

/** What names an object for good, e.g. ['segment', account, device, stream, '17', epoch]. */
export type Identity = readonly string[];

function keyAndContext(accountKey: Buffer, identity: Identity): { key: Buffer; context: Buffer } {
  const context = Buffer.from(JSON.stringify(['lenscap', 1, ...identity]));
  const key = Buffer.from(hkdfSync('sha256', accountKey, '', context, 32));
  return { key, context };
}

/** The sealed form as pieces to be written one after another, each an allocation of its own. */
export function seal(accountKey: Buffer, identity: Identity, plain: Uint8Array): Buffer[] {
  const { key, context } = keyAndContext(accountKey, identity);
  const head = Buffer.alloc(MAGIC.length + NONCE_BYTES);
  MAGIC.copy(head);
  const nonce = randomFillSync(head.subarray(MAGIC.length));
  const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(context);
  const pieces = [head];
  for (let at = 0; at < plain.byteLength; at += PIECE_BYTES)
    pieces.push(cipher.update(plain.subarray(at, at + PIECE_BYTES)));
  pieces.push(cipher.final(), cipher.getAuthTag());
  return pieces;
}

/** @throws STORE_CORRUPT when it is damaged, of another identity, or of another account. */
export function unseal(accountKey: Buffer, identity: Identity, sealed: Uint8Array): Buffer {
  const { key, context } = keyAndContext(accountKey, identity);
  const nonceEnd = MAGIC.length + NONCE_BYTES;
  const end = sealed.byteLength - TAG_BYTES;
  if (end < nonceEnd || !MAGIC.equals(sealed.subarray(0, MAGIC.length)))
    throw new LenscapError('STORE_CORRUPT', `${identity.join('/')} is not a sealed object`);
  const nonce = sealed.subarray(MAGIC.length, nonceEnd);
  const decipher = createDecipheriv('aes-256-gcm', key, nonce)
    .setAAD(context)
    .setAuthTag(sealed.subarray(end));
  try {
    return Buffer.concat([decipher.update(sealed.subarray(nonceEnd, end)), decipher.final()]);
  } catch (error) {
    throw new LenscapError('STORE_CORRUPT', `${identity.join('/')} does not open`, {
      cause: error,
    });
  }
}
