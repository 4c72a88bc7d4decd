// What may be sent next: what happens now always, what waited only as far as it is in nobody's way.
// Pure, but for the account of the time that the backlog took.
import type { Lane } from '../spool/spool.ts';

/** How the connection is at one moment. */
export interface Traffic {
  readonly isMetered: boolean;
  readonly window: number;
  /** Unacknowledged items, and those of the backlog among them. */
  readonly flights: number;
  readonly backlogFlights: number;
  /** So many of the backlog may be under way at a time. */
  readonly backlogSlots: number;
  /** The backlog has had its share of the time. */
  readonly isResting: boolean;
  readonly unsentBytes: number;
}

/** Lanes from which the next item may be taken, the first one first. */
export function openLanes(traffic: Traffic): readonly Lane[] {
  const { flights, window } = traffic;
  if (flights >= window) return [];
  if (traffic.isMetered) return ['gaps'];
  // What happens meanwhile finds a free place, and nothing of the backlog before it in this process.
  const hasPlace = window === 1 || flights < window - 1;
  const isFree = traffic.unsentBytes === 0 && !traffic.isResting;
  const isOpen = hasPlace && isFree && traffic.backlogFlights < traffic.backlogSlots;
  return isOpen ? ['live', 'backlog'] : ['live'];
}

/** How long the backlog rests after it took the line for so long. */
export function restMs(busyMs: number, percent: number): number {
  return (busyMs * (100 - percent)) / percent;
}

/**
 * Where an acknowledgement takes hardly longer than the way there and back, several may be under
 * way; where it is the line that takes the time, each more of them would only stand in the way of
 * what happens now.
 */
export function slotsFor(tookMs: number, leastMs: number, window: number): number {
  const isThin = !Number.isFinite(leastMs) || tookMs >= 2 * leastMs;
  return isThin ? 1 : Math.max(1, window - 1);
}

/** Settings that may change at any moment. */
export interface BacklogLimits {
  readonly window: number;
  readonly backlogPercent: number;
}

/** The account of one connection. Times are monotonic, milliseconds. */
export class BacklogShare {
  readonly #limits: BacklogLimits;
  #leastMs = Number.POSITIVE_INFINITY;
  #lastAckMs = 0;
  #restUntilMs = 0;
  #slots = 1;

  /** @param limits read at each use. */
  constructor(limits: BacklogLimits) {
    this.#limits = limits;
  }

  get slots(): number {
    return this.#slots;
  }

  /** How long the backlog still has to rest. */
  restMs(nowMs: number): number {
    return Math.max(0, this.#restUntilMs - nowMs);
  }

  /** What is small takes no longer than the way there and back. */
  noteRoundTrip(tookMs: number): void {
    this.#leastMs = Math.min(this.#leastMs, tookMs);
  }

  acknowledged(lane: Lane, isMedia: boolean, sentMs: number, nowMs: number): void {
    const tookMs = nowMs - sentMs;
    if (isMedia) this.#slots = slotsFor(tookMs, this.#leastMs, this.#limits.window);
    else this.noteRoundTrip(tookMs);
    if (lane !== 'backlog') return;
    const busyMs = nowMs - Math.max(sentMs, this.#lastAckMs);
    this.#restUntilMs =
      Math.max(this.#restUntilMs, nowMs) + restMs(busyMs, this.#limits.backlogPercent);
    this.#lastAckMs = nowMs;
  }
}
