// What the owner's API answers about cameras themselves, and about setup codes, as far as the command line
// uses it. The OpenAPI document of the server is the reference.

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
  /** What the operator of the service calls it by. */
  readonly labels: Readonly<Record<string, string>>;
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
