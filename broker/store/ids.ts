// Random names. Device ids are lower-case base32 so that they can be read out and typed.
import { randomBytes } from 'node:crypto';

const BASE32 = 'abcdefghijklmnopqrstuvwxyz234567';

/** 80 random bits: `cam-` and 16 characters. */
export function newDeviceId(): string {
  const characters = Array.from(randomBytes(16), (byte) => BASE32[byte & 31]);
  return `cam-${characters.join('')}`;
}

/** 128 random bits as 32 hex characters. */
export function newId(): string {
  return randomBytes(16).toString('hex');
}
