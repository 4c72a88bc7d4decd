// What else is settled with the server over the connection, beside media: a part hears one noun and
// may publish. It knows nothing of the connection but this.
import type { DownNoun, UpNoun } from '../../proto/topics.ts';
import type { Captured } from '../spool/spool.ts';

/** The connection as an errand sees it. */
export interface Line {
  /** Resolves when the server has acknowledged. @throws UPLINK_LOST, IDENTITY_REFUSED. */
  publish(noun: UpNoun, payload: Uint8Array): Promise<void>;
  /** Asks for a new connection as soon as nothing is unacknowledged. */
  reconnect(): void;
  /** Whether it goes over a network that costs by volume, as of now. Absent: it does not. */
  isMetered?(): boolean;
}

export interface Opening {
  readonly noun: UpNoun;
  readonly payload: Uint8Array;
}

export interface Errand {
  /** What it hears; null for nothing. */
  readonly noun: DownNoun | null;
  /** In order of arrival, and before the acknowledgements that arrive later. Never throws. */
  receive(payload: Uint8Array): void;
  /**
   * What has to be the very first publish of each connection, ahead of `run` and of all media; null
   * for nothing. Asked once, right after the first grant of the connection. Never throws.
   */
  opening?(): Opening | null;
  /** What it has under way that was captured, so that a withdrawal cuts it off; null for nothing. */
  underWay?(): Captured | null;
  /** Begins with the first grant of each connection, and ends with it. Never rejects. */
  run(line: Line, signal: AbortSignal): Promise<void>;
}
