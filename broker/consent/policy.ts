// The policy: what is collected, for what, how long, who gets it, how to stop it. A published policy
// is fixed by the SHA-256 of its very bytes; consent is always to one hash.
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { LenscapError } from '../../proto/errors.ts';
import { SCOPES, type Scope } from '../../proto/scopes.ts';
import { documentChecker } from '../../proto/validate.ts';

export interface ScopePolicy {
  readonly purpose: string;
  readonly fields: readonly string[];
  /** Days after receipt; 0 = not kept. */
  readonly retentionDays: number;
  readonly recipients: readonly string[];
}

export interface PolicyDocument {
  /** Grows with each publication, from 1. */
  readonly version: number;
  /** BCP 47. */
  readonly language: string;
  readonly title: string;
  readonly controller: { readonly name: string; readonly contact: string };
  /** Paragraphs in plain language. */
  readonly text: readonly string[];
  readonly scopes: Readonly<Record<Scope, ScopePolicy>>;
}

/** A policy as published. */
export interface Policy {
  readonly document: PolicyDocument;
  /** Hex, of the published bytes. */
  readonly sha256: string;
}

const words = { type: 'string', minLength: 1, maxLength: 4000 };
const list = { type: 'array', items: words, maxItems: 100 };
const scopePolicy = {
  type: 'object',
  required: ['purpose', 'fields', 'retentionDays', 'recipients'],
  additionalProperties: false,
  properties: {
    purpose: words,
    fields: { ...list, minItems: 1 },
    retentionDays: { type: 'integer', minimum: 0, maximum: 3650 },
    recipients: list,
  },
};

const checkPolicy = documentChecker<PolicyDocument>(
  {
    type: 'object',
    required: ['version', 'language', 'title', 'controller', 'text', 'scopes'],
    additionalProperties: false,
    properties: {
      version: { type: 'integer', minimum: 1 },
      language: { type: 'string', pattern: '^[a-z]{2,3}(-[A-Za-z0-9]+)*$' },
      title: words,
      controller: {
        type: 'object',
        required: ['name', 'contact'],
        additionalProperties: false,
        properties: { name: words, contact: words },
      },
      text: { ...list, minItems: 1 },
      scopes: {
        type: 'object',
        required: [...SCOPES],
        additionalProperties: false,
        properties: Object.fromEntries(SCOPES.map((scope) => [scope, scopePolicy])),
      },
    },
  },
  'CONFIG_INVALID',
);

/** @throws CONFIG_INVALID with every fault. */
export function parsePolicy(bytes: string, name: string): Policy {
  let json: unknown;
  try {
    json = JSON.parse(bytes);
  } catch (error) {
    throw new LenscapError('CONFIG_INVALID', `${name} is no JSON`, { cause: error });
  }
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  return { document: checkPolicy(json, name), sha256 };
}

/** The text that ships with the server, published at first start. */
export function defaultPolicyBytes(): string {
  return readFileSync(new URL('./default-policy.json', import.meta.url), 'utf8');
}

/** Whether `next` collects more under a scope than `before`, keeps it longer, or gives it to more. */
export function widens(before: ScopePolicy, next: ScopePolicy): boolean {
  return (
    next.purpose !== before.purpose ||
    next.retentionDays > before.retentionDays ||
    next.fields.some((field) => !before.fields.includes(field)) ||
    next.recipients.some((recipient) => !before.recipients.includes(recipient))
  );
}
