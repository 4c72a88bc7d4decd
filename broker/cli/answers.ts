// What the owner's API answers, as far as the command line uses it. The OpenAPI document of the
// server is the reference.

export interface Device {
  readonly id: string;
  readonly name: string;
  readonly state: string;
  /** Why it is suspended: `clone` or `operator`. */
  readonly stateReason: string | null;
  /** When it confirmed that it forgot everything. */
  readonly releasedAt: string | null;
  readonly certificateEnd: string | null;
  /** Only under device_info. */
  readonly agentVersion: string | null;
  /** What waits on the camera; only under device_info. */
  readonly spool: {
    readonly state: string;
    readonly code: string | null;
    readonly items: number;
    readonly bytes: number;
  } | null;
  readonly createdAt: string;
  readonly connected: boolean;
  readonly lastSeenAt: string | null;
  readonly cap: 'on' | 'off';
  readonly scopes: readonly string[];
  readonly epoch: number;
  readonly appliedEpoch: number;
  readonly segments: number;
  readonly bytes: number;
  readonly lastSegmentEndAt: string | null;
}

/** All that is held of what a camera told of itself; null: nothing of that kind. */
export interface Held {
  /** Parts of device information that were agreed to. */
  readonly parts: readonly string[];
  readonly info: {
    readonly receivedAt: string;
    readonly parts: readonly string[];
    readonly model: string | null;
    readonly serial: string | null;
    readonly firmwareVersion: string | null;
    readonly agentVersion: string | null;
    readonly interfaces:
      | readonly {
          readonly name: string;
          readonly mac: string | null;
          readonly addresses: readonly string[];
        }[]
      | null;
    readonly storage: { readonly totalBytes: number; readonly freeBytes: number } | null;
  } | null;
  readonly health: {
    readonly receivedAt: string;
    readonly part: string;
    readonly spool: NonNullable<Device['spool']>;
    readonly temperatureCelsius: number | null;
    readonly memoryTotalBytes: number;
    readonly memoryAvailableBytes: number;
    readonly cpuPercent: number;
    readonly flashWearPercent: number | null;
    readonly clockOffsetMs: number | null;
    readonly framesCaptured: number;
    readonly framesDropped: number;
    readonly segmentsSent: number;
    readonly bytesSent: number;
    readonly roundTripMs: number | null;
    readonly connectionsLost: number;
    readonly signalDbm: number | null;
    readonly uptimeS: number;
  } | null;
  readonly reported: {
    readonly receivedAt: string;
    readonly part: string;
    readonly version: number;
    readonly state: string;
    readonly inForce: number;
    readonly at: string;
    readonly code: string | null;
    readonly detail: string;
    readonly faults: readonly { readonly path: string; readonly message: string }[];
    readonly settings: Readonly<Record<string, unknown>>;
  } | null;
}

/** A setup code, in the one answer that has it. */
export interface MadeClaim {
  readonly claimId: string;
  readonly code: string;
  readonly expiresAt: string;
  /** `png` is base64. */
  readonly qr: { readonly svg: string; readonly png: string };
}

export interface Claim {
  readonly claimId: string;
  readonly name: string;
  /** `open`, `answered`, `used`, `expired`, `void` or `cancelled`. */
  readonly state: string;
  readonly createdAt: string;
  readonly expiresAt: string;
  readonly failures: number;
  readonly lastFailure: string | null;
  readonly deviceId: string | null;
  readonly isReadmission: boolean;
}

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

export interface Segment {
  readonly streamId: string;
  readonly sequence: number;
  readonly startAt: string;
  readonly startAtUs: number;
  readonly durationUs: number;
  readonly bytes: number;
  readonly sha256: string;
  readonly epoch: number;
  readonly scopes: readonly string[];
  /** Added to what the clock of the camera said. */
  readonly timeCorrectedUs: number;
  readonly timeEstimated: boolean;
  readonly receivedAt: string;
}

export interface Gap {
  readonly startAt: string;
  readonly startAtUs: number;
  readonly durationUs: number;
  readonly reason: string;
  readonly code: string | null;
  readonly timeCorrectedUs: number;
  readonly timeEstimated: boolean;
}

/** What became of every second of a stretch of time. */
export interface Account {
  readonly stretches: readonly {
    readonly from: string;
    readonly to: string;
    readonly fromUs: number;
    readonly toUs: number;
    readonly durationUs: number;
    readonly kind: string;
    readonly reasons: readonly string[];
  }[];
  readonly totals: Readonly<Record<string, number>>;
}

/** Something that happened at a camera or before it. */
export interface Happening {
  readonly eventId: string;
  readonly kind: string;
  readonly startAt: string;
  readonly startAtUs: number;
  readonly durationUs: number;
  readonly lasts: boolean;
  readonly peak: number;
  readonly code: string | null;
  readonly detail: string;
  readonly alert: boolean;
  readonly epoch: number;
  readonly timeCorrectedUs: number;
  readonly timeEstimated: boolean;
  readonly receivedAt: string;
}

export interface Snapshot {
  readonly snapshotId: string;
  readonly startAt: string;
  readonly startAtUs: number;
  readonly cause: string;
  readonly causeId: string | null;
  readonly width: number;
  readonly height: number;
  readonly bytes: number;
  readonly sha256: string;
  readonly epoch: number;
  readonly timeCorrectedUs: number;
  readonly timeEstimated: boolean;
  readonly receivedAt: string;
}

export interface EventPage {
  readonly events: readonly Happening[];
  readonly next: string | null;
}

export interface SnapshotPage {
  readonly snapshots: readonly Snapshot[];
  readonly next: string | null;
}

export interface SegmentPage {
  readonly segments: readonly Segment[];
  readonly gaps: readonly Gap[];
  readonly next: string | null;
}

export interface Play {
  readonly url: string;
  readonly expiresAt: string;
  readonly live: boolean;
}

export interface Manifest {
  readonly asOf: string;
  readonly durationUs: number;
  readonly spansSeveralStreams: boolean;
  readonly pieces: readonly (Omit<Segment, 'receivedAt'> & { readonly mediaStartUs: number })[];
  readonly streams: readonly { readonly streamId: string }[];
  readonly breaks: readonly {
    readonly mediaAtUs: number;
    readonly kind: string;
    readonly from: string;
    readonly to: string;
    readonly closedUpUs: number;
    readonly reasons: readonly string[];
  }[];
  readonly gaps: readonly Gap[];
  readonly events: readonly Happening[];
  readonly snapshots: readonly Snapshot[];
  readonly account: Account;
}

/** `time`, `level`, and further fields by what it is about. */
export type LogLine = Readonly<Record<string, unknown>>;

export interface LogBatchAnswer {
  readonly receivedAt: string;
  /** Lines that the camera dropped before these. */
  readonly dropped: number;
  readonly lines: readonly LogLine[];
}

export interface LogPage {
  readonly batches: readonly LogBatchAnswer[];
  readonly next: string;
  readonly more: boolean;
}
