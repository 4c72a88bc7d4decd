// The settings of a camera, group by group, as types; defaults, units and ranges are in
// settings-schema.ts. Both the board's own configuration (agent-config.ts) and what is pushed to it
// (device-config.ts) are made of them.

/** Shares of the picture, from its left and its top, 0 to 1. */
export type Point = readonly [x: number, y: number];
export type Polygon = readonly Point[];

export interface VideoConfig {
  readonly width: number;
  readonly height: number;
  readonly frameRate: number;
  readonly bitrateKbps: number;
  readonly keyframeIntervalMs: number;
  readonly rotation: 0 | 90 | 180 | 270;
  readonly flip: 'none' | 'horizontal' | 'vertical';
  readonly brightness: number;
  readonly encoder: string;
}

export interface AudioConfig {
  readonly on: boolean;
  readonly source: 'none' | 'source' | 'alsa';
  readonly device: string;
  readonly codec: 'aac' | 'opus';
  readonly bitrateKbps: number;
  readonly gainDb: number;
  readonly eventDb: number | null;
}

export const DAYS = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'] as const;
export type Day = (typeof DAYS)[number];

/** A stretch of the week by the clock on the wall; `to` not after `from` means on the next day. */
export interface Hours {
  readonly days: readonly Day[];
  /** HH:MM, 00:00 to 23:59. */
  readonly from: string;
  /** HH:MM, up to 24:00. */
  readonly to: string;
}

export interface RecordingConfig {
  readonly mode: 'continuous' | 'motion' | 'off';
  /** Null: always. */
  readonly schedule: readonly Hours[] | null;
  readonly preRollMs: number;
  readonly postRollMs: number;
}

export interface MotionConfig {
  readonly on: boolean;
  readonly sensitivityPercent: number;
  /** Empty: the whole picture. */
  readonly zones: readonly Polygon[];
}

/** What can be changed from afar, and the hardware's part of the same groups. */
export interface Settings {
  readonly video: VideoConfig;
  readonly audio: AudioConfig;
  readonly segment: { readonly durationMs: number };
  readonly recording: RecordingConfig;
  readonly motion: MotionConfig;
  readonly masks: readonly Polygon[];
  readonly overlay: { readonly name: boolean; readonly clock: boolean };
  readonly clock: { readonly timeZone: string };
  readonly snapshot: { readonly intervalS: number; readonly onMotion: boolean };
  readonly light: { readonly brightnessPercent: number };
  readonly label: { readonly name: string | null; readonly location: string | null };
  readonly spool: {
    readonly maxBytes: number;
    readonly maxAgeS: number;
    readonly memoryBytes: number;
    readonly flushAfterMs: number;
    readonly minFreeMemoryBytes: number;
    readonly durability: 'sparing' | 'always';
  };
  readonly uplink: {
    readonly window: number;
    readonly backlogPercent: number;
    readonly maxKbps: number;
    readonly meteredInterfaces: readonly string[];
    readonly keepaliveS: number;
    readonly connectTimeoutMs: number;
    readonly ackTimeoutMs: number;
    readonly backoffMinMs: number;
    readonly backoffMaxMs: number;
    readonly drainTimeoutMs: number;
  };
  readonly log: {
    readonly level: 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal';
    readonly maxBytes: number;
    readonly linesPerMinute: number;
  };
}
