// Supervised capture: child after child, with back-off, as long as consent and the agent want it.
// INVARIANT: every stretch without pictures becomes one Gap, and when run() has resolved there is
// no child.
import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { Gap } from '../../proto/gap.ts';
import type { SegmentHeader } from '../../proto/segment.ts';
import type { Stream } from '../../proto/stream.ts';
import type { MediaTime } from '../clock.ts';
import { backoffMs, failuresInRow } from './backoff.ts';
import { EncoderChoice } from './encoder-choice.ts';
import { type Mark, Outage } from './outage.ts';
import { type CaptureConfig, type Permit, Session, type SessionEnd } from './session.ts';

export type { CaptureConfig, Permit } from './session.ts';

/** Takes what was captured, in order; a stream comes before its segments. Must not throw. */
export interface CaptureSink {
  stream(stream: Stream): void;
  segment(header: SegmentHeader, chunks: readonly Uint8Array[]): void;
  gap(gap: Gap): void;
}

export interface CaptureDeps {
  readonly config: CaptureConfig;
  readonly log: Logger;
  readonly clock: MediaTime;
  /** From 0 up to 1. */
  readonly random: () => number;
  /** Kernel boot id, a UUID. */
  readonly bootId: string;
  readonly sink: CaptureSink;
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
  #firstPictureUs: number | undefined;
  #soundFromUs = 0;

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
      const end = await this.#session(permit).run(signal);
      if (end.kind !== 'failed') break;
      this.#outage.begin(end.reason, end.error.code);
      const pictures = { fromUs: this.#firstPictureUs, untilUs: clock.monoUs() };
      failures = failuresInRow(failures, pictures);
      await this.#rest(end, failures, either);
    }
    if (!permit.revoked.aborted) this.#outage.endAt(clock.monoUs());
  }

  /**
   * There is no permit though consent to the pictures of `after` lasts: the lease ran out. The time
   * until the next run, or until close(), becomes a Gap.
   */
  leaseEnded(after: Predecessor): void {
    this.#outage.leaseEnded(after === 'run' ? null : after);
  }

  /** There will be no further run: hands over the Gap of a lease that ran out, if one lasts. */
  close(): void {
    this.#outage.endAt(this.#deps.clock.monoUs());
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

  #session(permit: Permit): Session {
    const { config, log, clock, bootId, sink, childEnv = {} } = this.#deps;
    const deps = {
      config,
      log,
      clock,
      bootId,
      encoders: this.#encoders,
      childEnv,
      onStream: (stream: Stream) => sink.stream(stream),
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
    const { backoffMinMs, backoffMaxMs } = this.#deps.config.capture;
    return backoffMs(failures, { minMs: backoffMinMs, maxMs: backoffMaxMs }, this.#deps.random());
  }
}
