// Which stretch has no pictures, and why. INVARIANT: each stretch becomes one Gap, from the end of
// the last segment (or the beginning) to the start of the next; its reason is that of its begin.
import { randomBytes } from 'node:crypto';
import type { ErrorCode } from '../../proto/errors.ts';
import type { Gap, GapReason } from '../../proto/gap.ts';
import type { Clock } from '../clock.ts';

export interface OutageDeps {
  readonly clock: Clock;
  readonly bootId: string;
  readonly epoch: number;
  readonly onGap: (gap: Gap) => void;
}

export class Outage {
  readonly #deps: OutageDeps;
  #coveredMonoUs: number;
  #cause: { readonly reason: GapReason; readonly code: ErrorCode } | undefined;

  /** Pictures are due from now on. */
  constructor(deps: OutageDeps) {
    this.#deps = deps;
    this.#coveredMonoUs = deps.clock.monoUs();
  }

  /** The pictures ended; later causes of the same outage change nothing. */
  begin(reason: GapReason, code: ErrorCode): void {
    this.#cause ??= { reason, code };
  }

  /** There are pictures for this stretch of monotonic time; an outage before it is over. */
  covered(startMonoUs: number, durationUs: number): void {
    this.endAt(startMonoUs);
    this.#coveredMonoUs = startMonoUs + durationUs;
  }

  /** Hands over the Gap of an outage that lasts, up to `monoUs`. */
  endAt(monoUs: number): void {
    const cause = this.#cause;
    this.#cause = undefined;
    const durationUs = Math.round(monoUs - this.#coveredMonoUs);
    if (cause === undefined || durationUs < 1) return;
    const { clock, bootId, epoch, onGap } = this.#deps;
    onGap({
      gapId: randomBytes(16).toString('hex'),
      bootId,
      startAtUs: this.#coveredMonoUs + clock.wallUs() - clock.monoUs(),
      startMonoUs: this.#coveredMonoUs,
      durationUs,
      reason: cause.reason,
      epoch,
      code: cause.code,
    });
  }
}
