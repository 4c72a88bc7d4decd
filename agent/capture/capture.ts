// Supervised capture: child after child, with back-off, as long as consent and the agent want it.
// INVARIANT: every stretch without pictures becomes one Gap, and when run() has resolved there is
// no child.
import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';
import { LenscapError } from '../../proto/errors.ts';
import type { Gap } from '../../proto/gap.ts';
import type { SegmentHeader } from '../../proto/segment.ts';
import type { Stream } from '../../proto/stream.ts';
import type { MediaTime } from '../clock.ts';
import type { Rest } from '../recording/rest.ts';
import type { Roll } from '../recording/roll.ts';
import { backoffMs, failuresInRow } from './backoff.ts';
import { EncoderChoice } from './encoder-choice.ts';
import { type Absence, type Mark, Outage } from './outage.ts';
import { Session } from './session.ts';
import type { CaptureConfig, Eyes, Permit, SessionEnd } from './session-terms.ts';
import { type ShotDeps, takeShot } from './shot.ts';
import type { Still } from './stills.ts';

export type { CaptureConfig, Eyes, Permit } from './session-terms.ts';
export type { Still } from './stills.ts';

/** What a capture tells of itself. */
export interface Figures {
  readonly framesCaptured: number;
  /** Null: there was none yet. */
  readonly lastPictureMonoUs: number | null;
}

/** Takes what was captured, in order; a stream comes before its segments. Must not throw. */
export interface CaptureSink {
  stream(stream: Stream): void;
  segment(header: SegmentHeader, chunks: readonly Uint8Array[]): void;
  gap(gap: Gap): void;
}

export interface CaptureDeps {
  /** The settings in force; read when a session begins, and by adjust(). */
  readonly config: () => CaptureConfig;
  readonly log: Logger;
  readonly clock: MediaTime;
  /** From 0 up to 1. */
  readonly random: () => number;
  /** Kernel boot id, a UUID. */
  readonly bootId: string;
  readonly sink: CaptureSink;
  /** Which stretches of time are to be recorded; absent: all. */
  readonly roll?: Roll;
  /** Gets small gray pictures and loudness while the settings want them. */
  readonly eyes?: Eyes;
  /** A session ended by a failure; where it is the microphone's, pictures go on without it. */
  readonly onFailed?: (error: LenscapError, isMicrophone: boolean) => void;
  /** Environment of the child beyond the least it needs, e.g. GST_PLUGIN_PATH. */
  readonly childEnv?: Readonly<Record<string, string>>;
}

type Failed = Extract<SessionEnd, { kind: 'failed' }>;

/** How long a broken microphone is left alone; after that the next restart tries it again. */
const MICROPHONE_REST_US = 60e6;

/** What a capture follows without a break of consent: a run before it, or an agent before this one. */
export type Predecessor = 'run' | Mark;

export class Capture {
  readonly #deps: CaptureDeps;
  readonly #encoders = new EncoderChoice();
  readonly #outage: Outage;
  #session: Session | undefined;
  #firstPictureUs: number | undefined;
  #framesCaptured = 0;
  #framesMissing = 0;
  #lastPictureMonoUs: number | null = null;
  #soundFromUs = 0;
  /** Aborted when settings have changed: masks of before are none of now. */
  #outdated = new AbortController();

  constructor(deps: CaptureDeps) {
    this.#deps = deps;
    const { clock, bootId, sink } = deps;
    this.#outage = new Outage({ clock, bootId, onGap: (gap) => sink.gap(gap) });
  }

  /**
   * Captures until `signal` aborts (the segment under way is handed over, at most 1.5 s), the
   * permit is revoked (it is dropped, nothing is handed over any more) or a file that is not looped
   * was played. Failures of the source are waited out and become Gaps, and so does the time since
   * the last pictures of `after`, which had the same consent to pictures. Resolves when the child process is gone.
   */
  async run(signal: AbortSignal, permit: Permit, after: Predecessor | null = null): Promise<void> {
    const { clock } = this.#deps;
    if (after === null) this.#outage.due(permit.epoch);
    else this.#outage.resume(permit.epoch, after === 'run' ? null : after);
    const either = AbortSignal.any([signal, permit.revoked]);
    for (let failures = 0; !either.aborted; ) {
      this.#firstPictureUs = undefined;
      const session = this.#newSession(permit);
      this.#session = session;
      const end = await session.run(signal);
      this.#session = undefined;
      if (end.kind !== 'failed') break;
      this.#outage.begin(end.reason, end.error.code);
      this.#deps.onFailed?.(end.error, end.isMicrophone);
      const pictures = { fromUs: this.#firstPictureUs, untilUs: clock.monoUs() };
      failures = failuresInRow(failures, pictures);
      await this.#rest(end, failures, either);
    }
    if (!permit.revoked.aborted) this.#outage.endAt(clock.monoUs());
  }

  /**
   * Makes the capture under way as the settings in force say, without a break. `restart`: it cannot be
   * made so while it runs. Where nothing is captured the next capture begins with them.
   * @throws CAPTURE_FAILED, CAPTURE_ENDED when they could not be set; the capture begins anew then.
   */
  async adjust(): Promise<'set' | 'restart'> {
    this.#outdated.abort();
    this.#outdated = new AbortController();
    return (await this.#session?.adjust(this.#deps.config())) ?? 'set';
  }

  /**
   * The next picture, as it is recorded: masked, turned and written upon.
   * @throws CAPTURE_ENDED when nothing is captured, CAPTURE_STALLED when no picture came in time.
   */
  async still(signal: AbortSignal): Promise<Still> {
    if (this.#session === undefined)
      throw new LenscapError('CAPTURE_ENDED', 'nothing is captured now');
    return this.#session.still(signal);
  }

  /** One picture while nothing is captured; given up when the settings change. @throws as takeShot(). */
  shot(signal: AbortSignal, permit: Pick<Permit, 'epoch' | 'revoked'>): Promise<Still> {
    const either = AbortSignal.any([signal, this.#outdated.signal]);
    return takeShot(this.#source(), permit, either);
  }

  /** Since this was made. */
  figures(): Figures {
    return {
      framesCaptured: this.#framesCaptured,
      lastPictureMonoUs: this.#lastPictureMonoUs,
    };
  }

  /**
   * Pictures since this was made: those that were captured, and those that were missing at their time,
   * late or lost before they were encoded. Soon there, also where the child does not answer.
   */
  async frames(): Promise<{ readonly framesCaptured: number; readonly framesDropped: number }> {
    await this.#session?.count();
    return { framesCaptured: this.#framesCaptured, framesDropped: this.#framesMissing };
  }

  /**
   * Nothing is captured though consent to pictures lasts: the time until the next run, or until
   * close(), becomes a Gap. `after`: as for run().
   */
  absent(absence: Absence, after: Predecessor | null): void {
    this.#outage.absent(absence, after);
  }

  /** There will be no further run: hands over the Gap of such an absence, if one lasts. */
  close(): void {
    this.#outage.endAt(this.#deps.clock.monoUs());
  }

  /** The stretch in which nothing is to be recorded, so far; null where there is none now. */
  resting(): Rest | null {
    return this.#outage.resting();
  }

  async #rest({ error, reason, isMicrophone }: Failed, failures: number, signal: AbortSignal) {
    const { log, clock } = this.#deps;
    const waitMs = this.#waitMs(failures);
    const facts = { code: error.code, reason, waitMs, failures };
    log.warn(facts, `capture broken off: ${error.message}`);
    if (isMicrophone) {
      this.#soundFromUs = clock.monoUs() + MICROPHONE_REST_US;
      log.warn('the pictures go on without sound until a later restart of the capture');
    }
    await delay(waitMs, undefined, { signal }).catch(() => undefined);
  }

  #source(): ShotDeps {
    const { config, log, clock, bootId, childEnv = {} } = this.#deps;
    return { config: config(), log, clock, bootId, encoders: this.#encoders, childEnv };
  }

  #newSession(permit: Permit): Session {
    const { clock, sink, eyes, roll } = this.#deps;
    const deps = {
      ...this.#source(),
      eyes,
      roll,
      onPictures: (count: number) => {
        this.#framesCaptured += count;
        this.#lastPictureMonoUs = clock.monoUs();
      },
      onMissing: (count: number) => {
        this.#framesMissing += count;
      },
      onStream: (stream: Stream) => sink.stream(stream),
      onQuiet: (startMonoUs: number, durationUs: number) => {
        this.#firstPictureUs ??= startMonoUs;
        this.#outage.quiet(startMonoUs, durationUs);
      },
      onSegment: (header: SegmentHeader, chunks: readonly Uint8Array[]) => {
        this.#firstPictureUs ??= header.startMonoUs;
        this.#outage.covered(header.startMonoUs, header.durationUs);
        sink.segment(header, chunks);
      },
    };
    const audio = permit.audio && clock.monoUs() >= this.#soundFromUs;
    return new Session(deps, { ...permit, audio });
  }

  #waitMs(failures: number): number {
    const { backoffMinMs, backoffMaxMs } = this.#deps.config().capture;
    return backoffMs(failures, { minMs: backoffMinMs, maxMs: backoffMaxMs }, this.#deps.random());
  }
}
