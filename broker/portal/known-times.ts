// What is known of a camera's time, each kind in order of its beginning, for its time account. Pure.
import type { LedgerRecord } from '../consent/ledger.ts';
import type { GapTime, PieceTime, Stretch } from '../store/time-rows.ts';
import { type Known, kindOfGap, RETENTION, UNHEARD } from './time-account.ts';
import { parseTime } from './times.ts';

const END_OF_TIME_US = Number.MAX_SAFE_INTEGER;
/**
 * Pieces that follow on each other in their stream leave no time between them; what their rounded
 * wall times leave is not a time without pictures.
 */
const JOIN_US = 1_000_000;

/** Runs of pieces, given in order of time: as long as one begins where the one before ends. */
export async function* recorded(pieces: AsyncIterable<PieceTime>): AsyncGenerator<Known, void> {
  const last = new Map<string, number>();
  let run: { fromUs: number; toUs: number } | undefined;
  for await (const { stream_id, sequence, start_at_us, duration_us } of pieces) {
    const isNext = last.get(stream_id) === sequence - 1;
    last.set(stream_id, sequence);
    const endUs = start_at_us + duration_us;
    if (run && start_at_us <= run.toUs + (isNext ? JOIN_US : 0)) {
      run.toUs = Math.max(run.toUs, endUs);
      continue;
    }
    if (run) yield { ...run, kind: 'recorded', reason: null };
    run = { fromUs: start_at_us, toUs: endUs };
  }
  if (run) yield { ...run, kind: 'recorded', reason: null };
}

export async function* missed(gaps: AsyncIterable<GapTime>): AsyncGenerator<Known, void> {
  for await (const { start_at_us: fromUs, duration_us, reason } of gaps)
    yield { fromUs, toUs: fromUs + duration_us, kind: kindOfGap(reason), reason };
}

export function deleted(stretches: readonly Stretch[]): Known[] {
  return stretches.map((stretch) => ({ ...stretch, kind: 'deleted', reason: null }));
}

/** The time under no consent to video; before the first record there is none. */
export function notConsented(log: readonly LedgerRecord[]): Known[] {
  const changes = log.map(({ at, scopes }) => ({
    atUs: parseTime('at', at),
    isGranted: scopes.includes('video'),
  }));
  const from = [{ atUs: 0, isGranted: false }, ...changes];
  return from
    .flatMap(({ atUs, isGranted }, position): Known[] => {
      const toUs = from[position + 1]?.atUs ?? END_OF_TIME_US;
      return isGranted ? [] : [{ fromUs: atUs, toUs, kind: 'not_consented', reason: null }];
    })
    .sort((one, other) => one.fromUs - other.fromUs);
}

/** What time alone says: what is over its retention, not heard yet, or still to come. */
export function byTime(times: {
  readonly nowUs: number;
  readonly heardUntilUs: number;
  readonly keptFromUs: number;
}): Known[] {
  const { nowUs, heardUntilUs, keptFromUs } = times;
  const known: Known[] = [
    { fromUs: 0, toUs: keptFromUs, kind: 'deleted', reason: RETENTION },
    { fromUs: heardUntilUs, toUs: nowUs, kind: 'not_running', reason: UNHEARD },
    { fromUs: nowUs, toUs: END_OF_TIME_US, kind: 'ahead', reason: null },
  ];
  return known.sort((one, other) => one.fromUs - other.fromUs);
}
