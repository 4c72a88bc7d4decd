// What one life of a capture child is given, and how it can end. Types only.
import type { Logger } from 'pino';
import type { AgentConfig } from '../../proto/agent-config.ts';
import type { LenscapError } from '../../proto/errors.ts';
import type { GapReason } from '../../proto/gap.ts';
import type { SegmentHeader } from '../../proto/segment.ts';
import type { Stream } from '../../proto/stream.ts';
import type { MediaTime } from '../clock.ts';
import type { Roll } from '../recording/roll.ts';
import type { EncoderChoice } from './encoder-choice.ts';

export type CaptureConfig = Pick<
  AgentConfig,
  | 'source'
  | 'video'
  | 'audio'
  | 'segment'
  | 'capture'
  | 'recording'
  | 'motion'
  | 'masks'
  | 'overlay'
  | 'clock'
  | 'label'
>;

/** Looks at small gray pictures, and listens to how loud it is; as long as the settings want that. */
export interface Eyes {
  /** GRAY8 of GRAY_WIDTH x GRAY_HEIGHT, behind the masks. */
  gray(frame: Uint8Array, monoUs: number): void;
  /** Decibels of full scale. */
  sound(db: number, monoUs: number): void;
}

/** What the consent in force allows. Pictures are implied. */
export interface Permit {
  readonly epoch: number;
  readonly audio: boolean;
  /** Aborted when consent ends: the capture is killed on the spot and drops what it holds. */
  readonly revoked: AbortSignal;
}

export interface SessionDeps {
  readonly config: CaptureConfig;
  readonly log: Logger;
  readonly clock: MediaTime;
  readonly bootId: string;
  readonly encoders: EncoderChoice;
  readonly childEnv: Readonly<Record<string, string>>;
  readonly roll: Roll | undefined;
  /** Pictures that are not wanted; they may be handed over later all the same. */
  readonly onQuiet: (startMonoUs: number, durationUs: number) => void;
  readonly onStream: (stream: Stream) => void;
  readonly onSegment: (header: SegmentHeader, chunks: readonly Uint8Array[]) => void;
  /** So many pictures were captured. */
  readonly onPictures: (count: number) => void;
  /** So many that should have been there were not. */
  readonly onMissing: (count: number) => void;
  readonly eyes: Eyes | undefined;
}

export type SessionEnd =
  | { readonly kind: 'stopped' | 'revoked' | 'played' }
  | {
      readonly kind: 'failed';
      readonly error: LenscapError;
      readonly reason: GapReason;
      /** The microphone broke, not the camera. */
      readonly isMicrophone: boolean;
    };
