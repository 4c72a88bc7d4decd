// Which parts of device information may be known, by the policy that was agreed to, and what has to go
// when they change. Pure.
import { INFO_FIELDS, type InfoField } from '../../proto/info.ts';
import type { Scope } from '../../proto/scopes.ts';
import { parsePolicy } from './policy.ts';

/** What an owner agreed to: scopes, under the policy with this hash. */
interface Agreed {
  readonly scopes: readonly Scope[];
  readonly policy: { readonly sha256: string } | null;
}

/** A policy as it was published. */
interface Published {
  readonly sha256: string;
  readonly document: string;
}

/** In the order of the table; other words of a policy stand for nothing that is sent. */
export function infoParts(
  { scopes, policy }: Agreed,
  policies: readonly Published[],
): readonly InfoField[] {
  if (policy === null || !scopes.includes('device_info')) return [];
  const text = policies.find(({ sha256 }) => sha256 === policy.sha256)?.document;
  if (text === undefined) return [];
  const { fields } = parsePolicy(text, 'policy').document.scopes.device_info;
  return INFO_FIELDS.filter((field) => fields.includes(field));
}

/**
 * Kinds of messages of a device that may stay stored when the parts change. Device information that
 * holds a part too many goes as a whole; the camera sends the rest again.
 */
export function staying(before: readonly InfoField[], after: readonly InfoField[]): string[] {
  const isInfoWhole = before.every((part) => after.includes(part));
  return [
    ...(after.length > 0 && isInfoWhole ? ['info'] : []),
    ...(after.includes('health') ? ['health'] : []),
    ...(after.includes('configuration') ? ['reported'] : []),
  ];
}
