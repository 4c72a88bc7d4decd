// What waits for too long, and what is too much, is given up here. INVARIANTS: the memory it takes is
// bounded, whatever the flash does; the oldest goes first, and what is in flight never.
import type { Logger } from 'pino';
import type { AgentConfig } from '../../proto/agent-config.ts';
import type { Clock } from '../clock.ts';
import type { Entry } from './entries.ts';
import type { Holdings } from './holdings.ts';
import type { RecordKind } from './record.ts';
import type { SegmentNote } from './spool.ts';

/** A day and a half of segments; what is known of each stays in memory, some 30 MB. */
const MAX_ENTRIES = 30_000;
/** Kept while nobody takes them in: a motion a minute for a day and a half. */
const MAX_EVENTS = 2000;
/** Of so many events given up one is told. */
const TOLD_EVENTS = 100;
/** How often old age is looked for. */
const AGE_LOOK_US = 10_000_000;

export interface BoundsDeps {
  readonly config: Pick<AgentConfig['spool'], 'maxAgeS' | 'memoryBytes'>;
  readonly holdings: Holdings;
  readonly clock: Clock;
  /** Kernel boot id, a UUID. */
  readonly bootId: string;
  /** A wall time that has passed for certain. */
  readonly floorUs: () => number;
  readonly log: Logger;
  /** Segments are given up for room. */
  readonly onFull: () => void;
}

export class Bounds {
  readonly #deps: BoundsDeps;
  #lookedForAgeUs: number;
  #eventsGivenUp = 0;

  constructor(deps: BoundsDeps) {
    this.#deps = deps;
    this.#lookedForAgeUs = deps.clock.monoUs();
  }

  /** Gives up what is too old or too much by now. */
  keep(): void {
    this.#giveUpOld();
    this.#boundEvents();
    this.#boundMedia();
  }

  #giveUpOld(): void {
    const { clock, config, holdings } = this.#deps;
    if (clock.monoUs() - this.#lookedForAgeUs < AGE_LOOK_US) return;
    this.#lookedForAgeUs = clock.monoUs();
    for (const entry of holdings.entries) {
      if (entry.item.kind !== 'segment' || entry.isInFlight) continue;
      const ageUs = this.#ageUs(entry.item.header);
      if (ageUs === undefined) continue;
      if (ageUs <= config.maxAgeS * 1e6) return;
      holdings.giveUp(entry, 'spool_expired', null);
    }
  }

  /** How long ago it was captured, at least; undefined if nobody knows. */
  #ageUs({ streamId, startMonoUs, startAtUs }: SegmentNote): number | undefined {
    const { bootId, clock, floorUs, holdings } = this.#deps;
    const stream = holdings.streams.get(streamId)?.item.stream;
    if (stream?.bootId === bootId) return clock.monoUs() - startMonoUs;
    return stream === undefined || stream.timeEstimated ? undefined : floorUs() - startAtUs;
  }

  /** Events are small and kept longest, but not without end. */
  #boundEvents(): void {
    const { holdings, log } = this.#deps;
    while (holdings.entries.events > MAX_EVENTS) {
      const oldest = this.#oldest('event', () => true);
      if (oldest === undefined) return;
      holdings.remove(oldest);
      if (this.#eventsGivenUp % TOLD_EVENTS === 0)
        log.warn(
          { code: 'SPOOL_FULL', givenUp: this.#eventsGivenUp + 1 },
          'too many events wait: the oldest are given up',
        );
      this.#eventsGivenUp += 1;
    }
  }

  /** What is left when the flash does not take enough of it. */
  #boundMedia(): void {
    const { holdings, config, onFull } = this.#deps;
    for (;;) {
      const isCrowded = holdings.entries.size > MAX_ENTRIES;
      if (!isCrowded && holdings.unsaved.bytes <= config.memoryBytes) return;
      const oldest = this.#oldest('segment', (entry) => isCrowded || entry.place === 'stale');
      if (oldest !== undefined) {
        onFull();
        holdings.giveUp(oldest, 'spool_full', 'SPOOL_FULL');
      } else if (!isCrowded || holdings.joinOldestGaps() === undefined) return;
    }
  }

  #oldest(kind: RecordKind, isMeantToo: (entry: Entry) => boolean): Entry | undefined {
    for (const entry of this.#deps.holdings.entries)
      if (entry.item.kind === kind && !entry.isInFlight && isMeantToo(entry)) return entry;
    return undefined;
  }
}
