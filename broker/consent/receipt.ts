// The consent receipt: the whole chain of a camera with the policies agreed to and the public key,
// so that anybody can check it without this server. `checkReceipt` is that check.
import { createPublicKey, type KeyObject } from 'node:crypto';
import type { ConsentRows, LedgerRow } from '../store/consent-rows.ts';
import { chainFaults, parseRecord } from './ledger.ts';
import { parsePolicy } from './policy.ts';

export interface Receipt {
  readonly schema: 'lenscap-receipt-1';
  readonly receiptId: string;
  readonly issuedAt: string;
  readonly deviceId: string;
  /** PEM (SPKI, Ed25519). */
  readonly consentKey: string;
  readonly algorithm: string;
  /** Policy texts by SHA-256, byte for byte as agreed to. */
  readonly policies: Readonly<Record<string, string>>;
  readonly chain: readonly LedgerRow[];
}

const ALGORITHM =
  'hash = SHA-256("lenscap ledger v1\\n" + prev_hash + "\\n" + record), hex; signature = Ed25519 over the hash, base64';

export async function makeReceipt(
  rows: ConsentRows,
  deviceId: string,
  publicKey: KeyObject,
  stamp: { readonly receiptId: string; readonly issuedAt: string },
): Promise<Receipt> {
  const chain = await rows.log(deviceId);
  const policies: Record<string, string> = {};
  for (const sha256 of new Set(chain.flatMap((row) => parseRecord(row).policy?.sha256 ?? []))) {
    const policy = await rows.policyByHash(sha256);
    if (policy) policies[sha256] = policy.document;
  }
  return {
    schema: 'lenscap-receipt-1',
    ...stamp,
    deviceId,
    consentKey: publicKey.export({ type: 'spki', format: 'pem' }).toString(),
    algorithm: ALGORITHM,
    policies,
    chain,
  };
}

/** What is wrong with a receipt, one line each; empty when it proves what it says. */
export function checkReceipt(receipt: Receipt): string[] {
  const last = receipt.chain.at(-1)?.epoch ?? 0;
  const faults = chainFaults(receipt.chain, createPublicKey(receipt.consentKey), last);
  for (const row of receipt.chain) {
    const { deviceId, policy, epoch } = parseRecord(row);
    if (deviceId !== receipt.deviceId) faults.push(`record ${epoch} is of ${deviceId}`);
    const text = policy && receipt.policies[policy.sha256];
    if (policy && (!text || parsePolicy(text, 'policy').sha256 !== policy.sha256))
      faults.push(`the policy of record ${epoch} is missing or changed`);
  }
  return faults;
}
