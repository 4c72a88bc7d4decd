// What the owner's API answers about the log of a camera, as far as the command line
// uses it. The OpenAPI document of the server is the reference.

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
