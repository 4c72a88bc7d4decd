// What comes out of a capture child, up to where it is handed on: segments, stills and small gray
// pictures. INVARIANT: all of it goes through what is held back for the masks, and after drop()
// nothing is handed on any more.

import type { LenscapError } from '../../proto/errors.ts';
import { toLenscapError } from '../../proto/errors.ts';
import type { Stream } from '../../proto/stream.ts';
import { HeldBack } from './held-back.ts';
import { Recorder } from './recorder.ts';
import { keyframeWaitMs } from './session-limits.ts';
import type { Permit, SessionDeps } from './session-terms.ts';
import { type Still, Stills } from './stills.ts';

const MAX_SEGMENT_BYTES = 12 << 20;
const MAX_SEGMENT_CHUNKS = 1900;

export interface OutputEvents {
  stream(stream: Stream): void;
  /** So many pictures came, and so many are missing among them. */
  pictures(count: number, missing: number): void;
  gray(frame: Uint8Array): void;
  /** Whether stills are to come out of the child. */
  openStill(isOpen: boolean): void;
  /** What came is damaged; what was whole before it may be handed on. */
  damaged(error: LenscapError): void;
  /** Masks are not black, or nothing shows that they are; nothing is handed on any more. */
  unmasked(what: string): void;
}

export class Output {
  readonly held: HeldBack;
  readonly #events: OutputEvents;
  readonly #recorder: Recorder;
  readonly #stills: Stills;

  constructor(deps: SessionDeps, permit: Pick<Permit, 'epoch'>, events: OutputEvents) {
    const { config, clock } = deps;
    const monoUs = (): number => clock.monoUs();
    this.#events = events;
    const held = new HeldBack({
      monoUs,
      onGray: (frame) => events.gray(frame),
      onBroken: (what) => events.unmasked(what),
    });
    this.held = held;
    this.#stills = new Stills({
      monoUs,
      hand: (act) => held.hand(act),
      open: (isOpen) => events.openStill(isOpen),
    });
    this.#recorder = new Recorder({
      clock,
      bootId: deps.bootId,
      epoch: permit.epoch,
      limits: {
        targetUs: config.segment.durationMs * 1000,
        keyframeWaitUs: keyframeWaitMs(config) * 1000,
        maxBytes: MAX_SEGMENT_BYTES,
        maxChunks: MAX_SEGMENT_CHUNKS,
      },
      roll: deps.roll,
      clockJumpUs: config.capture.clockJumpMs * 1000,
      onQuiet: (startMonoUs, durationUs) => held.hand(() => deps.onQuiet(startMonoUs, durationUs)),
      onStream: (stream) => held.hand(() => events.stream(stream)),
      onSegment: (header, chunks) => held.hand(() => deps.onSegment(header, chunks)),
      onVideo: (count, missing) => events.pictures(count, missing),
    });
  }

  /** Bytes of the muxer. */
  media(bytes: Buffer): void {
    this.#take(() => {
      this.held.media();
      this.#recorder.push(bytes);
    });
  }

  /** Bytes of small gray pictures. */
  gray(bytes: Buffer): void {
    this.held.gray(bytes);
  }

  /** Bytes of stills. */
  still(bytes: Buffer): void {
    this.#take(() => this.#stills.push(bytes));
  }

  /** The next still. @throws CAPTURE_STALLED when `signal` aborts before it comes. */
  nextStill(signal: AbortSignal): Promise<Still> {
    return this.#stills.next(signal);
  }

  /** Nothing more comes: the segment under way is handed on, as far as masks are proven. */
  finish(): void {
    this.#recorder.finish();
    this.held.finish();
  }

  /** Drops what is held, and all that would come after it. */
  drop(): void {
    this.held.drop();
    this.#recorder.close();
  }

  #take(act: () => void): void {
    try {
      act();
    } catch (error) {
      this.#events.damaged(toLenscapError(error, 'CAPTURE_FAILED'));
    }
  }
}
