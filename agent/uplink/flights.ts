// What is under way on one connection, and from which lanes the next item may come.
// Invariant: an item is here from its publish until its acknowledgement.
import type { ErrorCode } from '../../proto/errors.ts';
import type { Target } from '../../proto/verdict.ts';
import type { Captured, Lane, SpoolItem } from '../spool/spool.ts';
import { type BacklogLimits, BacklogShare, openLanes } from './lanes.ts';
import { capturedIn, isSameTarget, targetOf } from './message.ts';

export interface Flight {
  readonly item: SpoolItem;
  readonly lane: Lane;
  readonly sentMs: number;
  /** Set by a verdict that asks for the item again. */
  retry: ErrorCode | null;
  /** Set by a verdict that refuses it for good. */
  isRefused: boolean;
}

export interface FlightsDeps {
  /** Read at each use. */
  readonly limits: BacklogLimits;
  /** Called when the backlog has rested. */
  readonly onRested: () => void;
}

export class Flights {
  readonly #deps: FlightsDeps;
  readonly #byItem = new Map<number, Flight>();
  readonly #share: BacklogShare;
  #rest: NodeJS.Timeout | undefined;

  constructor(deps: FlightsDeps) {
    this.#deps = deps;
    this.#share = new BacklogShare(deps.limits);
  }

  get size(): number {
    return this.#byItem.size;
  }

  begin(item: SpoolItem, lane: Lane): Flight {
    const flight: Flight = { item, lane, sentMs: performance.now(), retry: null, isRefused: false };
    this.#byItem.set(item.id, flight);
    return flight;
  }

  /** Something small that is no item was acknowledged after so long. */
  noteRoundTrip(tookMs: number): void {
    this.#share.noteRoundTrip(tookMs);
  }

  acknowledged({ item, lane, sentMs }: Flight): void {
    this.#byItem.delete(item.id);
    this.#share.acknowledged(lane, item.kind === 'segment', sentMs, performance.now());
  }

  /** The server asks for it again; known when its acknowledgement comes. */
  askAgain(target: Target, code: ErrorCode): void {
    for (const flight of this.#of(target)) flight.retry = code;
  }

  /** The server will not have it. */
  refused(target: Target): void {
    for (const flight of this.#of(target)) flight.isRefused = true;
  }

  every(holds: (captured: Captured) => boolean): boolean {
    return [...this.#byItem.values()].every(({ item }) => holds(capturedIn(item)));
  }

  /** Lanes from which the next item may be taken now, the first one first. */
  lanes(isMetered: boolean, unsentBytes: number): readonly Lane[] {
    const lanes = [...this.#byItem.values()].map(({ lane }) => lane);
    return openLanes({
      isMetered,
      unsentBytes,
      window: this.#deps.limits.window,
      flights: lanes.length,
      backlogFlights: lanes.filter((lane) => lane === 'backlog').length,
      backlogSlots: this.#share.slots,
      isResting: this.#isResting(),
    });
  }

  /** Forgets all of it. */
  end(): void {
    clearTimeout(this.#rest);
    this.#byItem.clear();
  }

  #of(target: Target): Flight[] {
    return [...this.#byItem.values()].filter(({ item }) => isSameTarget(targetOf(item), target));
  }

  #isResting(): boolean {
    const restMs = this.#share.restMs(performance.now());
    clearTimeout(this.#rest);
    if (restMs > 0) this.#rest = setTimeout(this.#deps.onRested, Math.ceil(restMs));
    return restMs > 0;
  }
}
