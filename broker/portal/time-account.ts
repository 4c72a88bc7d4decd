// What became of every second: a stretch of time divided into what is recorded and what is not, and
// why. Pure. INVARIANT: the stretches follow on each other, from the beginning of the span to its end.
import type { GapReason } from '../../proto/gap.ts';

/**
 * `recorded`: there are pictures. `ahead`: later than now. `deleted`: by the owner, or (reason
 * `retention`) since it is over its time. `not_consented`: nothing may be captured. `lost`: captured,
 * and gone. `not_running`: not captured; without a reason nothing is known of it. `idle`: the camera
 * ran, and by its settings recording was not wanted.
 */
export const KINDS = [
  'recorded',
  'ahead',
  'deleted',
  'not_consented',
  'lost',
  'not_running',
  'idle',
] as const;
export type Kind = (typeof KINDS)[number];

export interface Stretch {
  readonly fromUs: number;
  readonly toUs: number;
  readonly kind: Kind;
  readonly reasons: readonly string[];
}

/** Something known of [fromUs, toUs); others may be known of the same time. */
export interface Known {
  readonly fromUs: number;
  readonly toUs: number;
  readonly kind: Kind;
  readonly reason: string | null;
}

/** Over its time, or last heard before it: only where nothing else is known. */
export const RETENTION = 'retention';
export const UNHEARD = 'unheard';

const KIND_OF: Readonly<Record<GapReason, Kind>> = {
  spool_full: 'lost',
  spool_expired: 'lost',
  spool_damaged: 'lost',
  refused: 'lost',
  store_lost: 'lost',
  source_lost: 'not_running',
  source_stalled: 'not_running',
  capture_crashed: 'not_running',
  capture_restarted: 'not_running',
  agent_stopped: 'not_running',
  lease_expired: 'not_running',
  no_motion: 'idle',
  not_wanted: 'idle',
};
const KINDS_OF_GAPS: ReadonlyMap<string, Kind> = new Map(Object.entries(KIND_OF));

/** Whether a gap is of pictures that there were, or that were wanted at all. */
export function kindOfGap(reason: string): Kind {
  return KINDS_OF_GAPS.get(reason) ?? 'not_running';
}

/** Gathers what is known, in order of `fromUs`, and divides the time by it. */
export class TimeAccount {
  readonly #toUs: number;
  #atUs: number;
  /** Until when each thing holds that is known of where the account has come to. */
  readonly #ends = new Map<string, Known>();
  readonly #stretches: Stretch[] = [];

  constructor({ fromUs, toUs }: { readonly fromUs: number; readonly toUs: number }) {
    this.#atUs = fromUs;
    this.#toUs = toUs;
  }

  /** How many stretches there are so far. */
  get length(): number {
    return this.#stretches.length;
  }

  add(known: Known): void {
    this.#advance(Math.min(known.fromUs, this.#toUs));
    const key = `${known.kind} ${known.reason}`;
    const same = this.#ends.get(key);
    if (same === undefined || same.toUs < known.toUs) this.#ends.set(key, known);
  }

  /** All of the span. */
  finish(): readonly Stretch[] {
    this.#advance(this.#toUs);
    return this.#stretches;
  }

  #advance(toUs: number): void {
    while (this.#atUs < toUs) {
      for (const [key, known] of this.#ends) if (known.toUs <= this.#atUs) this.#ends.delete(key);
      const holding = [...this.#ends.values()];
      const untilUs = Math.min(toUs, ...holding.map((known) => known.toUs));
      this.#append({ fromUs: this.#atUs, toUs: untilUs, ...verdictOf(holding) });
      this.#atUs = untilUs;
    }
  }

  #append(stretch: Stretch): void {
    const last = this.#stretches.at(-1);
    const isSame = last?.kind === stretch.kind && last.reasons.join() === stretch.reasons.join();
    if (last && isSame) this.#stretches.splice(-1, 1, { ...last, toUs: stretch.toUs });
    else this.#stretches.push(stretch);
  }
}

/** What counts of all that is known of one moment. */
function verdictOf(holding: readonly Known[]): Pick<Stretch, 'kind' | 'reasons'> {
  const isWeak = ({ reason }: Known): boolean => reason === RETENTION || reason === UNHEARD;
  const strong = holding.filter((known) => !isWeak(known));
  const counted = strong.length > 0 ? strong : holding;
  const kind = KINDS.find((one) => counted.some((known) => known.kind === one)) ?? 'not_running';
  const reasons = counted.flatMap((known) => (known.kind === kind ? (known.reason ?? []) : []));
  return { kind, reasons: reasons.sort() };
}

/** How long of each kind; together the whole span. */
export function totalsOf(stretches: readonly Stretch[]): Record<Kind, number> {
  const totals = {
    recorded: 0,
    ahead: 0,
    deleted: 0,
    not_consented: 0,
    lost: 0,
    not_running: 0,
    idle: 0,
  };
  for (const { kind, fromUs, toUs } of stretches) totals[kind] += toUs - fromUs;
  return totals;
}

/** Sources in order of `fromUs` each, as one. */
export async function* inOrder(
  sources: readonly (AsyncIterable<Known> | Iterable<Known>)[],
): AsyncGenerator<Known, void> {
  const heads: { readonly known: Known; readonly rest: AsyncIterator<Known> }[] = [];
  const pull = async (rest: AsyncIterator<Known>): Promise<void> => {
    const { done, value } = await rest.next();
    if (!done) heads.push({ known: value, rest });
  };
  for (const source of sources) await pull(each(source));
  while (heads.length > 0) {
    const first = heads.reduce((least, head) =>
      head.known.fromUs < least.known.fromUs ? head : least,
    );
    yield first.known;
    heads.splice(heads.indexOf(first), 1);
    await pull(first.rest);
  }
}

async function* each<T>(source: AsyncIterable<T> | Iterable<T>): AsyncGenerator<T, void> {
  yield* source;
}
