// What a setup code has come to, told from its row. Pure.
import type { Tables } from '../store/schema.ts';

export const CLAIM_STATES = ['open', 'answered', 'used', 'expired', 'void', 'cancelled'] as const;
export type ClaimState = (typeof CLAIM_STATES)[number];

/**
 * `answered`: a board got its identity and has not connected with it yet; only it may ask again.
 * `void`: too many wrong proofs.
 */
export function claimState(
  row: Tables['claims'],
  nowUs: number,
  limits: { readonly failures: number },
): ClaimState {
  if (row.used_at_us !== null) return 'used';
  if (row.cancelled_at_us !== null) return 'cancelled';
  if (row.key_sha256 !== null) return 'answered';
  if (row.failures >= limits.failures) return 'void';
  return row.expires_at_us <= nowUs ? 'expired' : 'open';
}
