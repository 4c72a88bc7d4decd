// Scopes of consent and the rule at commit. Agent, broker and collector all decide by this file.
import type { lenscap } from './wire.ts';

export const SCOPES = [
  'video',
  'audio',
  'snapshot',
  'live',
  'device_info',
  'device_log',
  'location',
] as const;
export type Scope = (typeof SCOPES)[number];

/** Whether a string from outside names a scope. */
export function isScope(value: string): value is Scope {
  return (SCOPES as readonly string[]).includes(value);
}

/** Number on the wire of a scope. */
export function scopeToWire(scope: Scope): lenscap.v1.Scope {
  return SCOPES.indexOf(scope) + 1;
}

/** Scope of a number on the wire; undefined when it is not one. */
export function scopeFromWire(wire: number): Scope | undefined {
  return SCOPES[wire - 1];
}

/** For each scope granted now: the epoch since which it has been granted without interruption. */
export type GrantedSince = ReadonlyMap<Scope, number>;

/**
 * The rule at commit: something captured under `epoch` that holds `scopes` may be taken in only if
 * each of its scopes is granted now and has been without interruption since that epoch.
 */
export function mayTakeIn(
  item: { readonly epoch: number; readonly scopes: readonly Scope[] },
  granted: GrantedSince,
): boolean {
  if (item.scopes.length === 0) return false;
  return item.scopes.every((scope) => {
    const since = granted.get(scope);
    return since !== undefined && since <= item.epoch;
  });
}

/** What `granted` becomes when at `epoch` exactly `scopes` are in force. */
export function nextGranted(
  granted: GrantedSince,
  epoch: number,
  scopes: readonly Scope[],
): Map<Scope, number> {
  return new Map(scopes.map((scope) => [scope, granted.get(scope) ?? epoch]));
}
