// What a verified grant means against the one in force. Pure; the order is the epoch alone.
import type { Grant } from '../../proto/grant.ts';
import type { GrantedSince } from '../../proto/scopes.ts';

export interface InForce {
  readonly grant: Grant;
  /** What is obeyed of it: all of `grant.granted`, less when a narrower grant could not be saved. */
  readonly since: GrantedSince;
}

export type Decision =
  /** Below the highest epoch seen. */
  | { readonly kind: 'stale' }
  /** Another content under the epoch in force. */
  | { readonly kind: 'conflict' }
  /** The grant in force again; `isFresh` unless it was signed before it. */
  | { readonly kind: 'renewal'; readonly isFresh: boolean }
  /** `kept` is what goes on without interruption. */
  | { readonly kind: 'change'; readonly kept: GrantedSince };

/**
 * @param highestEpoch the highest epoch of any verified grant seen, obeyed or not; 0 for none.
 */
export function decide(current: InForce | null, highestEpoch: number, grant: Grant): Decision {
  if (grant.epoch < highestEpoch) return { kind: 'stale' };
  if (current !== null && grant.epoch === current.grant.epoch)
    return isSameConsent(current.grant, grant)
      ? { kind: 'renewal', isFresh: grant.issuedAtUs >= current.grant.issuedAtUs }
      : { kind: 'conflict' };
  const before: GrantedSince = current?.since ?? new Map();
  const kept = new Map([...before].filter(([scope, since]) => grant.granted.get(scope) === since));
  return { kind: 'change', kept };
}

function isSameConsent(one: Grant, other: Grant): boolean {
  return (
    Buffer.from(one.policySha256).equals(other.policySha256) &&
    one.granted.size === other.granted.size &&
    [...one.granted].every(([scope, since]) => other.granted.get(scope) === since)
  );
}

/**
 * Microseconds of the lease that are left for a grant received at a wall time; 0 when it ran out
 * or when the wall clock is before that time and so cannot be trusted.
 */
export function leaseLeftUs(leaseS: number, receivedAtUs: number, nowUs: number): number {
  const elapsedUs = nowUs - receivedAtUs;
  return elapsedUs < 0 ? 0 : Math.max(0, leaseS * 1e6 - elapsedUs);
}
