// The account of what an agent that crashed did not record, as far as it is known. Pure.
// INVARIANT: a stretch in which nothing was wanted, or allowed, is never told as a failure.
import type { Gap, GapReason } from '../../proto/gap.ts';
import { gapIdOf, laterMark, type Mark } from '../capture/outage.ts';

/** Why there are no pictures though nothing is wrong. */
export type RestReason = Extract<GapReason, 'lease_expired' | 'not_wanted' | 'no_motion'>;

/** Such a stretch, so far; monotonic time of the boot it is in. */
export interface Rest {
  readonly reason: RestReason;
  readonly epoch: number;
  readonly fromMonoUs: number;
  readonly untilMonoUs: number;
}

/** What an earlier run left of one. */
export interface PastRest extends Rest {
  readonly bootId: string;
  /** Wall time of its end. */
  readonly untilAtUs: number;
}

export interface Account {
  /** Of the stretches that are known. */
  readonly gaps: readonly Gap[];
  /** From where on nothing is known. */
  readonly before: Mark | null;
}

/**
 * `before`: up to where there are pictures, as far as that is known. What lies between them and the
 * rest may be stored all the same, which counts before any Gap.
 */
export function accountOf(before: Mark | null, rest: PastRest | null, bootId: string): Account {
  if (rest === null) return { gaps: [], before };
  const end = endOf(rest);
  if (laterMark(end, before, bootId) !== end) return { gaps: [], before };
  const isOfItsBoot = before?.bootId === rest.bootId;
  const fromMonoUs = Math.max(rest.fromMonoUs, isOfItsBoot ? before.endMonoUs : 0);
  const untold = isOfItsBoot && before.endMonoUs < fromMonoUs ? before : null;
  const stretches = [
    ...(untold === null ? [] : [gapOf(rest, 'agent_stopped', untold.endMonoUs, fromMonoUs)]),
    gapOf(rest, rest.reason, fromMonoUs, rest.untilMonoUs),
  ];
  return { gaps: stretches.filter(({ durationUs }) => durationUs >= 1), before: end };
}

function endOf({ bootId, epoch, untilMonoUs, untilAtUs }: PastRest): Mark {
  return { bootId, epoch, endMonoUs: untilMonoUs, endAtUs: untilAtUs };
}

function gapOf(rest: PastRest, reason: GapReason, fromMonoUs: number, toMonoUs: number): Gap {
  const { bootId, epoch, untilMonoUs, untilAtUs } = rest;
  return {
    gapId: gapIdOf(bootId, reason, fromMonoUs),
    bootId,
    startAtUs: Math.max(0, untilAtUs - (untilMonoUs - fromMonoUs)),
    startMonoUs: fromMonoUs,
    durationUs: Math.round(toMonoUs - fromMonoUs),
    reason,
    epoch,
    code: null,
  };
}
