// Records of the ledger: what they hold, how they are chained and signed, how a chain is checked.
// A record's hash covers the hash before it, so nothing can be changed or left out unseen.
import { createHash, type KeyObject, sign, verify } from 'node:crypto';
import { type GrantedSince, nextGranted, type Scope } from '../../proto/scopes.ts';
import type { LedgerRow } from '../store/consent-rows.ts';

export const EVENTS = [
  'OWNER_CHANGED',
  'GRANTED',
  'WITHDRAWN',
  'EXPIRED',
  'SUSPENDED',
  'RELEASED',
] as const;
export type LedgerEvent = (typeof EVENTS)[number];

/** One record, fields after ISO/IEC TS 27560. Serialized once; the text is what is hashed. */
export interface LedgerRecord {
  readonly schema: 'lenscap-consent-1';
  readonly recordId: string;
  readonly deviceId: string;
  readonly accountId: string;
  readonly epoch: number;
  readonly event: LedgerEvent;
  /** In force from this record on. */
  readonly scopes: readonly Scope[];
  /** Of the policy agreed to; null when nothing is in force. */
  readonly policy: {
    readonly version: number;
    readonly language: string;
    readonly sha256: string;
  } | null;
  /** Who: the account's id, `operator`, `server`, or `device`. */
  readonly actor: string;
  /** By which way, e.g. `api`. */
  readonly how: string;
  readonly at: string;
}

/** Keeps a signature of this key over anything else from passing as a record. */
const DOMAIN = 'lenscap ledger v1\n';

function hashOf(prevHash: string, record: string): string {
  return createHash('sha256').update(`${DOMAIN}${prevHash}\n${record}`).digest('hex');
}

/** The row of a record that follows on `prevHash`. */
export function ledgerRow(record: LedgerRecord, prevHash: string, key: KeyObject): LedgerRow {
  const text = JSON.stringify(record);
  const hash = hashOf(prevHash, text);
  return {
    device_id: record.deviceId,
    epoch: record.epoch,
    record: text,
    prev_hash: prevHash,
    hash,
    signature: sign(null, Buffer.from(hash, 'hex'), key).toString('base64'),
  };
}

/** What a device's chain lacks: missing, changed, unsigned or misplaced records, one line each. */
export function chainFaults(
  rows: readonly LedgerRow[],
  publicKey: KeyObject,
  deviceEpoch: number,
): string[] {
  const faults: string[] = [];
  let prevHash = '';
  for (const [position, row] of rows.entries()) {
    const name = `record ${row.epoch}`;
    if (row.epoch !== position + 1)
      faults.push(`${name} stands where record ${position + 1} belongs`);
    if (row.prev_hash !== prevHash) faults.push(`${name} does not follow on the record before it`);
    const { deviceId, epoch } = parseRecord(row);
    if (deviceId !== row.device_id || epoch !== row.epoch)
      faults.push(`${name} is record ${epoch} of ${deviceId}`);
    if (hashOf(row.prev_hash, row.record) !== row.hash) faults.push(`${name} was changed`);
    else if (!isSigned(row, publicKey)) faults.push(`${name} is not signed by the consent key`);
    prevHash = row.hash;
  }
  const last = rows.at(-1)?.epoch ?? 0;
  if (last !== deviceEpoch)
    faults.push(`the ledger ends at ${last}, the device is at ${deviceEpoch}`);
  return faults;
}

/** Where what is granted in the index is not what the chain says, one line each. */
export function grantedFaults(rows: readonly LedgerRow[], granted: GrantedSince): string[] {
  let expected: GrantedSince = new Map();
  for (const row of rows) expected = nextGranted(expected, row.epoch, parseRecord(row).scopes);
  const names = new Set([...expected.keys(), ...granted.keys()]);
  return [...names].flatMap((scope) => {
    const [inIndex, inChain] = [granted.get(scope), expected.get(scope)];
    const said = inIndex === undefined ? 'not granted' : `granted since ${inIndex}`;
    const meant = inChain === undefined ? 'not granted' : `granted since ${inChain}`;
    return inIndex === inChain ? [] : [`${scope} is ${said} in the index, ${meant} by the records`];
  });
}

function isSigned({ hash, signature }: LedgerRow, publicKey: KeyObject): boolean {
  return verify(null, Buffer.from(hash, 'hex'), publicKey, Buffer.from(signature, 'base64'));
}

export function parseRecord(row: Pick<LedgerRow, 'record'>): LedgerRecord {
  const record: LedgerRecord = JSON.parse(row.record);
  return record;
}
