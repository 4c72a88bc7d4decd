// Which stretch has no pictures, and why. INVARIANT: each stretch becomes one Gap, from the end of
// the last segment (or the beginning) to the start of the next; its reason is that of its begin.
import { createHash } from 'node:crypto';
import type { ErrorCode } from '../../proto/errors.ts';
import type { Gap, GapReason } from '../../proto/gap.ts';
import type { Clock, RecordedUntil } from '../clock.ts';
import type { Rest, RestReason } from '../recording/rest.ts';

export interface OutageDeps {
  readonly clock: Clock;
  readonly bootId: string;
  readonly onGap: (gap: Gap) => void;
}

/** Up to where there are pictures, and their consent epoch. */
export interface Mark extends RecordedUntil {
  readonly epoch: number;
}

/** Why nothing is captured, under which epoch. */
export interface Absence {
  readonly epoch: number;
  readonly reason: 'lease_expired' | 'not_wanted' | 'source_lost';
  readonly code: ErrorCode | null;
}

/** The later of two marks: by monotonic time within a boot, this boot before others, else by wall time. */
export function laterMark(one: Mark | null, other: Mark | null, bootId: string): Mark | null {
  if (one === null || other === null) return one ?? other;
  if (one.bootId === other.bootId) return one.endMonoUs >= other.endMonoUs ? one : other;
  if (one.bootId === bootId) return one;
  return other.bootId === bootId || other.endAtUs > one.endAtUs ? other : one;
}

export class Outage {
  readonly #deps: OutageDeps;
  #covered: Mark;
  #epoch = 0;
  /** End of the last pictures that were not wanted. */
  #quietUntilUs = 0;
  #cause: { readonly reason: GapReason; readonly code: ErrorCode | null } | undefined;

  constructor(deps: OutageDeps) {
    this.#deps = deps;
    this.#covered = this.#markAt(deps.clock.monoUs());
  }

  /** Pictures are due from now on, under this epoch; what was before does not count. */
  due(epoch: number): void {
    this.#epoch = epoch;
    this.#cause = undefined;
    this.#covered = this.#markAt(this.#deps.clock.monoUs());
  }

  /** Pictures go on under this epoch; they were due all the time since the last ones, or `since`. */
  resume(epoch: number, since: Mark | null): void {
    this.#epoch = epoch;
    if (since !== null) this.#covered = since;
    this.begin(since === null ? 'capture_restarted' : 'agent_stopped', null);
  }

  /**
   * No pictures from now on, though consent to them lasts. `since`: up to where there are some, 'run'
   * for those of this outage's own capture, null where they are due from now on.
   */
  absent(absence: Absence, since: Mark | 'run' | null): void {
    if (since === null) this.due(absence.epoch);
    // A stop of the agent before that is told apart.
    else if (since !== 'run') this.resume(absence.epoch, since);
    this.begin(absence.reason, absence.code);
  }

  /**
   * The pictures ended. Later causes of the same outage change nothing, but for one: what the agent
   * did itself, or had to, ends where something else goes wrong.
   */
  begin(reason: GapReason, code: ErrorCode | null): void {
    const before = this.#cause?.reason;
    if (yieldsTo(before, reason))
      this.endAt(before === 'no_motion' ? this.#quietUntilUs : this.#deps.clock.monoUs());
    this.#cause ??= { reason, code };
  }

  /**
   * There are pictures for this stretch, and none of them is wanted as nothing moves; an outage before
   * it is over. If they are handed over after all, they are said to be covered later on.
   */
  quiet(startMonoUs: number, durationUs: number): void {
    if (this.#cause?.reason !== 'no_motion') this.endAt(startMonoUs);
    this.#quietUntilUs = startMonoUs + durationUs;
    this.#cause ??= { reason: 'no_motion', code: null };
  }

  /** There are pictures for this stretch of monotonic time; an outage before it is over. */
  covered(startMonoUs: number, durationUs: number): void {
    this.endAt(startMonoUs);
    this.#covered = this.#markAt(startMonoUs + durationUs);
  }

  /** Hands over the Gap of an outage that lasts, up to `monoUs`. */
  endAt(monoUs: number): void {
    const cause = this.#cause;
    if (cause === undefined) return;
    this.#cause = undefined;
    const { bootId, endMonoUs, endAtUs, epoch } = this.#covered;
    // Between boots only the wall clocks can be compared; a clock set back leaves no Gap.
    const isSameBoot = bootId === this.#deps.bootId;
    const end = this.#markAt(monoUs);
    const durationUs = Math.round(isSameBoot ? monoUs - endMonoUs : end.endAtUs - endAtUs);
    if (!isSameBoot || durationUs >= 1) this.#covered = end;
    if (durationUs < 1) return;
    this.#deps.onGap({
      gapId: gapIdOf(bootId, cause.reason, endMonoUs),
      bootId,
      startAtUs: isSameBoot ? this.#wallUs(endMonoUs) : endAtUs,
      startMonoUs: endMonoUs,
      durationUs,
      reason: cause.reason,
      epoch,
      code: cause.code,
    });
  }

  /** The stretch in which nothing is to be recorded, so far; null where there is none now. */
  resting(): Rest | null {
    const reason = this.#cause?.reason;
    if (!isOwn(reason)) return null;
    const { epoch, endMonoUs } = this.#covered;
    const untilUs = reason === 'no_motion' ? this.#quietUntilUs : this.#deps.clock.monoUs();
    const [fromMonoUs, untilMonoUs] = [Math.round(endMonoUs), Math.round(untilUs)];
    return untilMonoUs > fromMonoUs ? { reason, epoch, fromMonoUs, untilMonoUs } : null;
  }

  #markAt(monoUs: number): Mark {
    const { bootId } = this.#deps;
    return { bootId, endMonoUs: monoUs, endAtUs: this.#wallUs(monoUs), epoch: this.#epoch };
  }

  #wallUs(monoUs: number): number {
    const { clock } = this.#deps;
    return monoUs + clock.wallUs() - clock.monoUs();
  }
}

/** Of a Gap by its begin, so that it is the same one when it is told again after a crash. */
export function gapIdOf(bootId: string, reason: GapReason, startMonoUs: number): string {
  const identity = createHash('sha256').update(`${bootId} ${reason} ${Math.round(startMonoUs)}`);
  return identity.digest('hex').slice(0, 32);
}

function yieldsTo(before: GapReason | undefined, reason: GapReason): boolean {
  const isOver = isOwn(before) || isRestart(before);
  return isOver && reason !== before && !isRestart(reason);
}

/** Nothing is wrong: there is nothing that may or should be captured. */
function isOwn(reason: GapReason | undefined): reason is RestReason {
  return reason === 'lease_expired' || reason === 'not_wanted' || reason === 'no_motion';
}

function isRestart(reason: GapReason | undefined): boolean {
  return reason === 'agent_stopped' || reason === 'capture_restarted';
}
