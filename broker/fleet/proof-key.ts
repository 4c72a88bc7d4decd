// The key that checks the proofs of a claim, as it lies in the index: sealed by the account's key, so
// that neither a stolen index nor a backup of it lets anybody claim a board.
import type { ClaimRow } from '../store/claims.ts';
import { type Identity, seal, unseal } from '../store/seal.ts';

type Named = Pick<ClaimRow, 'account_id' | 'claim_id'>;

const identityOf = ({ account_id, claim_id }: Named): Identity => ['claim', account_id, claim_id];

export function sealProofKey(accountKey: Buffer, claim: Named, proofKey: Buffer): Buffer {
  return Buffer.concat(seal(accountKey, identityOf(claim), proofKey));
}

/** @throws STORE_CORRUPT when it is damaged or another claim's. */
export function openProofKey(
  accountKey: Buffer,
  claim: Named & Pick<ClaimRow, 'sealed_proof_key'>,
): Buffer {
  return unseal(accountKey, identityOf(claim), claim.sealed_proof_key);
}
