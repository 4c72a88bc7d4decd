// How the camera is that a trial works with: whether pictures came under the settings before it.
// Invariant: what was before the capture began anew by a version says nothing of the next one.
import type { AgentConfig } from '../../proto/agent-config.ts';
import type { LenscapError } from '../../proto/errors.ts';
import type { Clock } from '../clock.ts';

/** Pictures that came so long ago, and three of their intervals, still flow. */
const FRESH_US = 1_000_000;

/** The capture as a trial sees it. */
export interface Pictures {
  /** The camera is to be open: consent and the recording mode want it. */
  isWanted(): boolean;
  /** When the newest picture came, monotonic microseconds; null before the first. */
  lastPictureUs(): number | null;
  /** What it takes to go from one configuration to the other. */
  changeOf(before: AgentConfig, after: AgentConfig): 'none' | 'live' | 'restart';
  /** Sets what can be set while pictures flow, or tells that it cannot. Rejects when it failed. */
  adjust(): Promise<'set' | 'restart'>;
  /** Ends the capture and begins another one; resolves when the old one has ended. */
  restart(): Promise<void>;
  /** Calls back when a capture has failed to give pictures. Returns how to stop that. */
  onFailed(listener: (error: LenscapError) => void): () => void;
}

/** What is known of the camera at one moment; monotonic times. */
export interface Past {
  readonly nowUs: number;
  /** When the capture began anew last, by a version; what was before counts no more. */
  readonly fromUs: number;
  readonly lastPictureUs: number | null;
  /** When a capture failed last. */
  readonly failedUs: number | null;
}

export type Condition = 'flowing' | 'broken' | 'unknown';

/** Whether pictures come. Pure. `freshUs`: one so old says that they do. */
export function conditionOf(past: Past, freshUs: number): Condition {
  const { nowUs, fromUs } = past;
  const pictureUs = Math.max(past.lastPictureUs ?? 0, fromUs);
  if (past.failedUs !== null && past.failedUs > pictureUs) return 'broken';
  return pictureUs > fromUs && nowUs - pictureUs <= freshUs ? 'flowing' : 'unknown';
}

export class CameraCondition {
  readonly #pictures: Pick<Pictures, 'lastPictureUs' | 'restart' | 'onFailed'>;
  readonly #clock: Pick<Clock, 'monoUs'>;
  #restartedUs = 0;
  #failedUs: number | null = null;

  constructor(
    pictures: Pick<Pictures, 'lastPictureUs' | 'restart' | 'onFailed'>,
    clock: Pick<Clock, 'monoUs'>,
  ) {
    this.#pictures = pictures;
    this.#clock = clock;
  }

  /** Notes from now on when a capture fails. Returns how to stop that. */
  follow(): () => void {
    return this.#pictures.onFailed(() => {
      this.#failedUs = this.#clock.monoUs();
    });
  }

  now({ video }: AgentConfig): Condition {
    const past = {
      nowUs: this.#clock.monoUs(),
      fromUs: this.#restartedUs,
      lastPictureUs: this.#pictures.lastPictureUs(),
      failedUs: this.#failedUs,
    };
    return conditionOf(past, FRESH_US + 3_000_000 / video.frameRate);
  }

  /** Begins another capture, of which nothing is known. */
  async restart(): Promise<void> {
    await this.#pictures.restart();
    this.#restartedUs = this.#clock.monoUs();
  }
}
