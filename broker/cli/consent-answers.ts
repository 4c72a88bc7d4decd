// What the owner's API answers about policies and consent, as far as the command line
// uses it. The OpenAPI document of the server is the reference.

export interface ScopePolicy {
  readonly purpose: string;
  readonly fields: readonly string[];
  readonly retentionDays: number;
  readonly recipients: readonly string[];
}

export interface PolicyAnswer {
  readonly version: number;
  readonly sha256: string;
  readonly document: {
    readonly title: string;
    readonly controller: { readonly name: string; readonly contact: string };
    readonly text: readonly string[];
    readonly scopes: Readonly<Record<string, ScopePolicy>>;
  };
}

interface PolicyReference {
  readonly version: number;
  readonly language: string;
  readonly sha256: string;
}

export interface ConsentState {
  readonly epoch: number;
  readonly event: string;
  readonly at: string;
  readonly scopes: readonly string[];
  readonly policy: PolicyReference | null;
  readonly policyInForce: { readonly version: number; readonly sha256: string };
  readonly appliedEpoch: number;
  readonly appliedAt: string | null;
}

export interface ConsentRecord {
  readonly epoch: number;
  readonly event: string;
  readonly scopes: readonly string[];
  readonly policy: PolicyReference | null;
  readonly actor: string;
  readonly how: string;
  readonly at: string;
}

export interface ReceiptRow {
  readonly device_id: string;
  readonly epoch: number;
  readonly record: string;
  readonly prev_hash: string;
  readonly hash: string;
  readonly signature: string;
}

export interface Receipt {
  readonly schema: string;
  readonly receiptId: string;
  readonly issuedAt: string;
  readonly deviceId: string;
  readonly consentKey: string;
  readonly algorithm: string;
  readonly policies: Readonly<Record<string, string>>;
  readonly chain: readonly ReceiptRow[];
}
