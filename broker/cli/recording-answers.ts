// What the owner's API answers about recordings, what happened, and still pictures, as far as the command line
// uses it. The OpenAPI document of the server is the reference.

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
