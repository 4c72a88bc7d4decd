// Checks a consent receipt with nothing but the receipt: chain of hashes, signatures, policy texts.
// Written from the description that receipts carry, not from the server's code, so that one checks
// the other.
import { createHash, createPublicKey, type KeyObject, verify } from 'node:crypto';
import { LenscapError } from '../../proto/errors.ts';
import { keyId } from '../../proto/signed.ts';
import { documentChecker } from '../../proto/validate.ts';
import type { Receipt, ReceiptRow } from './consent-answers.ts';

const text = { type: 'string', maxLength: 1_000_000 };
const rowKeys = ['device_id', 'record', 'prev_hash', 'hash', 'signature'];
const check = documentChecker<Receipt>(
  {
    type: 'object',
    required: ['schema', 'receiptId', 'issuedAt', 'deviceId', 'consentKey', 'policies', 'chain'],
    properties: {
      schema: { const: 'lenscap-receipt-1' },
      receiptId: text,
      issuedAt: text,
      deviceId: text,
      consentKey: text,
      policies: { type: 'object', additionalProperties: text },
      chain: {
        type: 'array',
        minItems: 1,
        items: {
          type: 'object',
          required: ['epoch', ...rowKeys],
          properties: {
            epoch: { type: 'integer' },
            ...Object.fromEntries(rowKeys.map((key) => [key, text])),
          },
        },
      },
    },
  },
  'REQUEST_INVALID',
);

interface Checked {
  readonly deviceId: string;
  readonly records: number;
  /** Name of the key that signed it; compare it with the one of your identity bundle or server. */
  readonly keyId: string;
  /** What is wrong, one line each; empty when the receipt proves what it says. */
  readonly faults: readonly string[];
}

/** @throws REQUEST_INVALID when it is no receipt at all. */
export function checkReceipt(content: string, name: string): Checked {
  const receipt = parse(content, name);
  const key = publicKey(receipt.consentKey);
  const faults: string[] = [];
  let prevHash = '';
  for (const [position, row] of receipt.chain.entries()) {
    faults.push(...rowFaults(row, position + 1, prevHash, key), ...contentFaults(row, receipt));
    prevHash = row.hash;
  }
  const { deviceId, chain } = receipt;
  return { deviceId, records: chain.length, keyId: keyId(key).toString('hex'), faults };
}

function parse(content: string, name: string): Receipt {
  try {
    return check(JSON.parse(content), name);
  } catch (error) {
    if (error instanceof LenscapError) throw error;
    throw new LenscapError('REQUEST_INVALID', `${name} is no JSON`, { cause: error });
  }
}

function publicKey(pem: string): KeyObject {
  try {
    const key = createPublicKey(pem);
    if (key.asymmetricKeyType === 'ed25519') return key;
  } catch {
    // Said below, as for a key of another kind.
  }
  throw new LenscapError('REQUEST_INVALID', 'the key in the receipt is no Ed25519 public key');
}

function rowFaults(row: ReceiptRow, epoch: number, prevHash: string, key: KeyObject): string[] {
  const faults: string[] = [];
  const name = `record ${row.epoch}`;
  if (row.epoch !== epoch) faults.push(`${name} stands where record ${epoch} belongs`);
  if (row.prev_hash !== prevHash) faults.push(`${name} does not follow on the record before it`);
  const hash = createHash('sha256')
    .update(`lenscap ledger v1\n${row.prev_hash}\n${row.record}`)
    .digest();
  if (hash.toString('hex') !== row.hash) faults.push(`${name} was changed`);
  if (!verify(null, hash, key, Buffer.from(row.signature, 'base64')))
    faults.push(`${name} is not signed by the key of the receipt`);
  return faults;
}

interface RecordContent {
  readonly deviceId?: unknown;
  readonly epoch?: unknown;
  readonly policy?: { readonly sha256?: unknown } | null;
}

function contentFaults(row: ReceiptRow, { deviceId, policies }: Receipt): string[] {
  const name = `record ${row.epoch}`;
  let record: RecordContent;
  try {
    record = JSON.parse(row.record);
  } catch {
    return [`${name} is no JSON`];
  }
  const faults: string[] = [];
  if (record.deviceId !== deviceId || row.device_id !== deviceId)
    faults.push(`${name} is of another camera`);
  if (record.epoch !== row.epoch) faults.push(`${name} bears another number inside`);
  const sha256 = record.policy?.sha256;
  if (typeof sha256 !== 'string') return faults;
  const policy = policies[sha256];
  if (policy === undefined || createHash('sha256').update(policy).digest('hex') !== sha256)
    faults.push(`the policy of ${name} is missing or changed`);
  return faults;
}
