// What the server signs for a device: bytes of a body with an Ed25519 signature, and the name of the
// key. Each kind of body has its own domain, so that none passes as another.
import { createHash, createPublicKey, type KeyObject, sign, verify } from 'node:crypto';
import { LenscapError } from './errors.ts';

export interface Signed {
  readonly body: Uint8Array;
  readonly signature: Uint8Array;
  readonly keyId: Uint8Array;
}

/** Of each key that was named; naming one takes as long as signing. */
const ids = new WeakMap<KeyObject, Buffer>();

/** Short name of a key, by its public half: first 8 bytes of the SHA-256 of its SPKI DER. */
export function keyId(key: KeyObject): Buffer {
  const known = ids.get(key);
  if (known) return known;
  const publicKey = key.type === 'private' ? createPublicKey(key) : key;
  const der = publicKey.export({ type: 'spki', format: 'der' });
  const id = createHash('sha256').update(der).digest().subarray(0, 8);
  ids.set(key, id);
  return id;
}

/** `domain` as in "lenscap grant v1"; `privateKey` is Ed25519. */
export function signBody(domain: string, body: Uint8Array, privateKey: KeyObject): Signed {
  return {
    body,
    signature: sign(null, signedBytes(domain, body), privateKey),
    keyId: keyId(privateKey),
  };
}

/** The body. @throws GRANT_INVALID when `publicKey` did not sign it in this domain. */
export function verifyBody(domain: string, signed: Signed, publicKey: KeyObject): Uint8Array {
  const { body, signature } = signed;
  const isSigned =
    keyId(publicKey).equals(signed.keyId) &&
    verify(null, signedBytes(domain, body), publicKey, signature);
  if (!isSigned)
    throw new LenscapError('GRANT_INVALID', 'it is not signed by the pinned key; it is ignored');
  return body;
}

function signedBytes(domain: string, body: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from(`${domain}\n`), body]);
}
