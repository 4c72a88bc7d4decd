// What the bench and its simulated devices say to each other over the IPC channel. Times are
// milliseconds since 1970, so that they can be compared between processes of one machine.
import type { Device } from './messages.ts';

/** How an agent connects; the defaults of its configuration. */
export interface Uplink {
  readonly keepaliveS: number;
  readonly connectTimeoutMs: number;
  readonly backoffMinMs: number;
  readonly backoffMaxMs: number;
}

export interface FleetSpec {
  readonly port: number;
  /** PEM. */
  readonly ca: string;
  readonly servername: string;
  readonly devices: readonly Device[];
  readonly uplink: Uplink;
  /** First connections of the process that are set up at a time. */
  readonly atATime: number;
  /** Absent: the devices are idle. */
  readonly cameras: CameraSpec | null;
  /** Absent: the devices do not answer to configurations. */
  readonly configured?: ConfiguredSpec;
}

/** What a device does with a configuration; an impostor answers for another one. */
export type Behaviour = 'apply' | 'revert' | 'silent' | 'impostor';

export interface ConfiguredSpec {
  /** By device id. */
  readonly devices: Readonly<
    Record<string, { readonly epoch: number; readonly behaviour: Behaviour }>
  >;
  /** PEM. */
  readonly consentKey: string;
  /** In whose name impostors speak. */
  readonly victim: string;
}

/** A device has a configuration. */
export interface ConfigAnswer {
  readonly atMs: number;
  readonly deviceId: string;
  readonly version: number;
}

/** Segments at a steady pace, queued while there is no connection. */
export interface CameraSpec {
  readonly segmentBytes: number;
  readonly everyMs: number;
  readonly window: number;
  /** Of each device, its consent epoch. */
  readonly epochs: readonly number[];
}

export interface Refusal {
  /** When the attempt began. */
  readonly atMs: number;
  /** It was the device that would not wait any longer. */
  readonly isLate: boolean;
  readonly why: string;
}

/** An acknowledged segment. */
export interface Acked {
  readonly atMs: number;
  readonly latencyMs: number;
  /** Whether a verdict named it. */
  readonly isRefused: boolean;
}

/** What is so now; the lists hold what is new since the last one. */
export interface Status {
  readonly connected: number;
  /** Connections lost so far. */
  readonly losses: number;
  readonly lastUpAtMs: number;
  readonly refusals: readonly Refusal[];
  readonly acked: readonly Acked[];
  readonly answers: readonly ConfigAnswer[];
}

export type ToFleet =
  | { readonly kind: 'start'; readonly spec: FleetSpec }
  /** All connections count as good ones from now on. */
  | { readonly kind: 'settle' }
  /** Every connection breaks at once. */
  | { readonly kind: 'cut' };

export type FromFleet =
  | { readonly kind: 'status'; readonly status: Status }
  | { readonly kind: 'failed'; readonly why: string };
