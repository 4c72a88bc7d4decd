// What the next record of the ledger says, before it is numbered and signed. Pure.
import { type GrantedSince, SCOPES, type Scope } from '../../proto/scopes.ts';
import type { LedgerRow, NextRecord, PolicyRow, Standing } from '../store/consent-rows.ts';
import { type LedgerEvent, type LedgerRecord, parseRecord } from './ledger.ts';
import { type Policy, parsePolicy, type ScopePolicy, widens } from './policy.ts';

/** What a record says of its own; who, when and its number are added as it is written. */
export type Draft = Pick<LedgerRecord, 'event' | 'scopes' | 'policy'> & Pick<NextRecord, 'state'>;

/** These scopes, under this policy. */
export function draft(event: LedgerEvent, scopes: readonly Scope[], row: PolicyRow): Draft {
  const { document, sha256 } = parsePolicy(row.document, 'policy');
  const { version, language } = document;
  const held = SCOPES.filter((scope) => scopes.includes(scope));
  return { event, scopes: held, policy: { version, language, sha256 } };
}

/** What is left keeps the policy it was agreed to under. */
export function narrowed(
  event: LedgerEvent,
  rest: readonly Scope[],
  last: LedgerRow | undefined,
): Draft {
  const agreed = last ? parseRecord(last).policy : null;
  return { event, scopes: rest, policy: rest.length > 0 ? agreed : null };
}

/** What stays granted, in the order of the table. */
export function without(granted: GrantedSince, scopes: readonly Scope[]): Scope[] {
  return SCOPES.filter((scope) => granted.has(scope) && !scopes.includes(scope));
}

/** The scopes in force of which `next` collects more, or for somebody else, than was agreed to. */
export function widenedScopes({ last, granted, policies }: Standing, next: Policy): Scope[] {
  const agreed = last && parseRecord(last).policy;
  const row = policies.find(({ sha256 }) => sha256 === agreed?.sha256);
  const before = row && parsePolicy(row.document, 'policy').document;
  const isOther = before?.controller.name !== next.document.controller.name;
  return [...granted.keys()].filter((scope) => {
    const known: ScopePolicy | undefined = before?.scopes[scope];
    return isOther || !known || widens(known, next.document.scopes[scope]);
  });
}

/** Hash of the policy that a record is under; empty when there is none. */
export function policyOf(record: string | null): string {
  return record === null ? '' : (parseRecord({ record }).policy?.sha256 ?? '');
}
