// The key for which a certificate is being asked. INVARIANT: it is on disk before its request leaves,
// and until its certificate is; so an answer that was lost can be asked for again with the same key.
import { createPrivateKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { documentChecker } from '../../proto/validate.ts';
import { cleanAfter, readSecret, removeFile, replaceSecret } from './durable-file.ts';

/** What the key is for: one exchange, or the renewal of one certificate. */
export interface Purpose {
  readonly purpose: 'claim' | 'renewal';
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
      purpose: { enum: ['claim', 'renewal'] },
      for: { type: 'string', minLength: 1, maxLength: 128 },
      privateKey: { type: 'string', pattern: '^-----BEGIN ', maxLength: 4096 },
    },
  },
  'STORE_CORRUPT',
);

/** Path of the file for the identity at `identityPath`. */
function pathOf(identityPath: string): string {
  return `${identityPath}.pending`;
}

/**
 * The key for this purpose: the one that was made for it before, or a new one.
 * @throws STORE_FULL, STORE_FAILED.
 */
export function pendingKey(identityPath: string, purpose: Purpose): KeyObject {
  return savedKey(identityPath, purpose) ?? freshKey(identityPath, purpose);
}

/** After it, no key is pending. @throws STORE_FAILED. */
export function forgetPendingKey(identityPath: string): void {
  cleanAfter(pathOf(identityPath));
  removeFile(pathOf(identityPath));
}

/** What cannot be read was never answered: a new key takes its place. */
function savedKey(identityPath: string, { purpose, ...of }: Purpose): KeyObject | undefined {
  try {
    const text = readSecret(pathOf(identityPath));
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
  replaceSecret(pathOf(identityPath), JSON.stringify(content));
  return privateKey;
}

/** PKCS #8, PEM. */
export function pemOf(privateKey: KeyObject): string {
  return privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
}
