// What bench and load generator say to each other over the IPC channel.

export interface Device {
  readonly deviceId: string;
  readonly key: string;
  readonly certificate: string;
}

export interface LoadSpec {
  readonly port: number;
  /** PEM. */
  readonly ca: string;
  readonly servername: string;
  readonly devices: readonly Device[];
  readonly segmentBytes: number;
  readonly window: number;
  /** Segments of each connection; 0 = until stopped. */
  readonly perDevice: number;
  readonly epochs: readonly number[];
}

export interface LoadResult {
  /** Segments acknowledged and not refused. */
  readonly accepted: number;
  readonly refused: number;
  /** How often each code was the reason to refuse. */
  readonly codes: Readonly<Record<string, number>>;
  readonly bytes: number;
  readonly wallMs: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly cipher: string;
}

export type ToGenerator =
  | { readonly kind: 'start'; readonly spec: LoadSpec }
  /** Begins a new run of capture under another epoch. */
  | { readonly kind: 'epoch'; readonly device: number; readonly epoch: number }
  | { readonly kind: 'stop' };

export type FromGenerator =
  | { readonly kind: 'ready'; readonly cipher: string }
  | { readonly kind: 'done'; readonly result: LoadResult }
  | { readonly kind: 'failed'; readonly why: string };
