// Supervised capture: child after child, with back-off, as long as consent and the agent want it.
// INVARIANT: every stretch without pictures becomes one Gap, and when run() has resolved there is
// no child.
import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { Gap } from '../../proto/gap.ts';
import type { SegmentHeader } from '../../proto/segment.ts';
import type { Stream } from '../../proto/stream.ts';
import type { Clock } from '../clock.ts';
import { backoffMs } from './backoff.ts';
import { EncoderChoice } from './encoder-choice.ts';
import { Outage } from './outage.ts';
import { type CaptureConfig, type Permit, Session } from './session.ts';

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
  readonly clock: Clock;
  /** From 0 up to 1. */
  readonly random: () => number;
  /** Kernel boot id, a UUID. */
  readonly bootId: string;
  readonly sink: CaptureSink;
  /** Environment of the child beyond the least it needs, e.g. GST_PLUGIN_PATH. */
  readonly childEnv?: Readonly<Record<string, string>>;
}

/** A capture that lasted this long was healthy: the back-off begins anew. */
const HEALTHY_US = 60e6;

export class Capture {
  readonly #deps: CaptureDeps;
  readonly #encoders = new EncoderChoice();

  constructor(deps: CaptureDeps) {
    this.#deps = deps;
  }

  /**
   * Captures until `signal` aborts (the segment under way is handed over, at most 1.5 s), the
   * permit is revoked (it is dropped, nothing is handed over any more) or a file that is not looped
   * was played. Failures of the source are waited out and become Gaps. Resolves when the child
   * process is gone.
   */
  async run(signal: AbortSignal, permit: Permit): Promise<void> {
    const { clock, bootId, sink, log } = this.#deps;
    const outage = new Outage({
      clock,
      bootId,
      epoch: permit.epoch,
      onGap: (gap) => sink.gap(gap),
    });
    const either = AbortSignal.any([signal, permit.revoked]);
    for (let failures = 0; !either.aborted; ) {
      const startedUs = clock.monoUs();
      const end = await this.#session(permit, outage).run(signal);
      if (end.kind !== 'failed') break;
      outage.begin(end.reason, end.error.code);
      failures = clock.monoUs() - startedUs >= HEALTHY_US ? 1 : failures + 1;
      const waitMs = this.#waitMs(failures);
      log.warn(
        { code: end.error.code, reason: end.reason, waitMs, failures },
        `capture broken off: ${end.error.message}`,
      );
      await delay(waitMs, undefined, { signal: either }).catch(() => undefined);
    }
    if (!permit.revoked.aborted) outage.endAt(clock.monoUs());
  }

  #session(permit: Permit, outage: Outage): Session {
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
        outage.covered(header.startMonoUs, header.durationUs);
        sink.segment(header, chunks);
      },
    };
    return new Session(deps, permit);
  }

  #waitMs(failures: number): number {
    const { backoffMinMs, backoffMaxMs } = this.#deps.config.capture;
    return backoffMs(failures, { minMs: backoffMinMs, maxMs: backoffMaxMs }, this.#deps.random());
  }
}
