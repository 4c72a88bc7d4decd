// The key for which a certificate is being asked. INVARIANT: it is on disk before its request leaves,
// and until its certificate is; so an answer that was lost can be asked for again with the same key.
import { createPrivateKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { documentChecker } from '../../proto/validate.ts';
import { cleanAfter, readSecret, removeFile, replaceSecret } from '../durable-file.ts';

/** What the key is for: an exchange by a code or as a board of the factory, or a renewal. */
export interface Purpose {
  readonly purpose: 'claim' | 'board' | 'renewal';
  /** Id of the exchange, or SHA-256 of the certificate. */
  readonly for: string;
}

interface Content extends Purpose {
  /** PEM. */
  readonly privateKey: string;
}

const checkContent = documentChecker<Content>(
  {
    type: 'object',
    required: ['purpose', 'for', 'privateKey'],
    additionalProperties: false,
    properties: {
      purpose: { enum: ['claim', 'board', 'renewal'] },
      for: { type: 'string', minLength: 1, maxLength: 128 },
      privateKey: { type: 'string', pattern: '^-----BEGIN ', maxLength: 4096 },
    },
  },
  'STORE_CORRUPT',
);

/** A board asks by its label again and again, beside whatever else is being asked. */
const SUFFIXES = { claim: 'pending', renewal: 'pending', board: 'pending-board' } as const;

/** Path of the file for the identity at `identityPath`. */
function pathOf(identityPath: string, purpose: Purpose['purpose']): string {
  return `${identityPath}.${SUFFIXES[purpose]}`;
}

/**
 * The key for this purpose: the one that was made for it before, or a new one.
 * @throws STORE_FULL, STORE_FAILED.
 */
export function pendingKey(identityPath: string, purpose: Purpose): KeyObject {
  return savedKey(identityPath, purpose) ?? freshKey(identityPath, purpose);
}

/** After it, no key is pending for this purpose. @throws STORE_FAILED. */
export function forgetPendingKey(identityPath: string, { purpose }: Purpose): void {
  cleanAfter(pathOf(identityPath, purpose));
  removeFile(pathOf(identityPath, purpose));
}

/** After it, no key is pending at all. @throws STORE_FAILED. */
export function forgetPendingKeys(identityPath: string): void {
  cleanPendingKeys(identityPath);
  for (const suffix of new Set(Object.values(SUFFIXES))) removeFile(`${identityPath}.${suffix}`);
}

/** Removes what a crash left of a key that was being written. @throws STORE_FAILED. */
export function cleanPendingKeys(identityPath: string): void {
  for (const suffix of new Set(Object.values(SUFFIXES))) cleanAfter(`${identityPath}.${suffix}`);
}

/** What cannot be read was never answered: a new key takes its place. */
function savedKey(identityPath: string, { purpose, ...of }: Purpose): KeyObject | undefined {
  try {
    const text = readSecret(pathOf(identityPath, purpose));
    if (text === null) return undefined;
    const saved = checkContent(JSON.parse(text), 'the pending key');
    if (saved.purpose !== purpose || saved.for !== of.for) return undefined;
    return createPrivateKey(saved.privateKey);
  } catch {
    return undefined;
  }
}

function freshKey(identityPath: string, purpose: Purpose): KeyObject {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const content: Content = {
    purpose: purpose.purpose,
    for: purpose.for,
    privateKey: pemOf(privateKey),
  };
  replaceSecret(pathOf(identityPath, purpose.purpose), JSON.stringify(content));
  return privateKey;
}

/** PKCS #8, PEM. */
export function pemOf(privateKey: KeyObject): string {
  return privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
}
