// What lasts at this moment (events, and a stretch in which nothing is to be recorded), in a note in
// the state folder, by which the next run tells what a crash left open.
// INVARIANT: it holds nothing that consent does not cover, and no media; where it cannot be written
// or read, nothing is known later, and nothing else is lost.
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import { isErrorCode, toLenscapError } from '../../proto/errors.ts';
import { type Event, isEventKind } from '../../proto/event.ts';
import type { Clock } from '../clock.ts';
import { removeFile } from '../durable-file.ts';
import { overwriteNote } from '../note-file.ts';
import type { PastRest, Rest } from '../recording/rest.ts';
import { type Captured, coverOfEvent, type Spool } from '../spool/spool.ts';
import { checkLasting, type Lasting, type LastingEvent } from './lasting-schema.ts';

/** How often it is looked at what lasts. */
const LOOK_MS = 5000;
/** While the same goes on it is written when its age has doubled, at the latest after so long. */
const MOST_US = 240e6;
const FILE_BYTES = 4096;

/** What an earlier run left open, and until when it is known to have lasted. */
export interface LeftOpen {
  readonly events: readonly Event[];
  readonly untilMonoUs: number;
  readonly rest: PastRest | null;
}

export interface LastingNoteDeps {
  readonly path: string;
  /** Kernel boot id, a UUID. */
  readonly bootId: string;
  readonly clock: Clock;
  /** Where events go; each passes through the note. */
  readonly sink: Pick<Spool, 'event'>;
  /** The stretch in which nothing is to be recorded, if there is one now. */
  readonly resting: () => Rest | null;
  /** It was written: what else is known of this moment is worth a write as well. */
  readonly onWritten: () => void;
  readonly log: Logger;
  /** Absent: five seconds. */
  readonly lookMs?: number;
}

export class LastingNote {
  readonly #deps: LastingNoteDeps;
  readonly #events = new Map<string, Event>();
  #rest: Rest | null = null;
  /** What the file holds of an earlier run, as long as it does; `damaged`: nobody knows what. */
  #left: LeftOpen | 'damaged' | null;
  /** What the file names of this run. */
  #named = '';
  #writtenUs = 0;
  #isBroken = false;

  constructor(deps: LastingNoteDeps) {
    this.#deps = deps;
    this.#left = readLasting(deps.path);
  }

  /** What an earlier run left open; to be asked before anything lasts in this one. */
  left(): LeftOpen | null {
    return this.#left === 'damaged' ? null : this.#left;
  }

  /** Passes an event on. What begins is noted, and no longer when it is over. */
  event(event: Event): void {
    if (event.lasts) this.#events.set(event.eventId, event);
    const isNews = event.lasts || this.#events.delete(event.eventId);
    this.#deps.sink.event(event);
    if (isNews) this.#write(false);
  }

  /** Looks at what lasts. Resolves when `signal` is aborted. */
  async run(signal: AbortSignal): Promise<void> {
    const { lookMs = LOOK_MS } = this.#deps;
    while (!signal.aborted) {
      // What was left open stays noted for a while: it may have been told in vain.
      await sleep(lookMs, undefined, { signal }).catch(() => undefined);
      if (!signal.aborted) this.#look();
    }
  }

  /** Forgets what may not be kept, on flash on return. False where the flash did not take it. */
  retain(mayKeep: (item: Captured) => boolean): boolean {
    const mayKeepRest = ({ epoch }: Rest) => mayKeep({ epoch, scopes: ['video'] });
    const isForbidden = (event: Event) => !mayKeep(coverOfEvent(event));
    for (const event of this.#events.values())
      if (isForbidden(event)) this.#events.delete(event.eventId);
    if (this.#rest !== null && !mayKeepRest(this.#rest)) this.#rest = null;
    const left = this.left();
    const isLeftFine =
      this.#left !== 'damaged' &&
      !left?.events.some(isForbidden) &&
      (!left?.rest || mayKeepRest(left.rest));
    return (isLeftFine && this.#named === this.#names()) || this.#write(true);
  }

  /** The agent ends in order: nothing is left open. Never throws. */
  end(): void {
    try {
      removeFile(this.#deps.path);
    } catch (error) {
      this.#failed(error);
    }
  }

  #look(): void {
    this.#rest = this.#deps.resting();
    const isNews = this.#left !== null || this.#named !== this.#names();
    if (isNews || (this.#named !== '' && this.#deps.clock.monoUs() >= this.#dueUs()))
      this.#write(false);
  }

  #dueUs(): number {
    const begins = [...this.#events.values()].map(({ startMonoUs }) => startMonoUs);
    const sinceUs = Math.min(...begins, this.#rest?.fromMonoUs ?? Number.POSITIVE_INFINITY);
    return this.#writtenUs + Math.min(MOST_US, Math.max(0, this.#writtenUs - sinceUs));
  }

  /** Which events and which stretch last. */
  #names(): string {
    const rest = this.#rest === null ? [] : [`${this.#rest.reason} ${this.#rest.fromMonoUs}`];
    return [...this.#events.keys(), ...rest].join();
  }

  #write(isSynced: boolean): boolean {
    const { path, bootId, clock } = this.#deps;
    const events = [...this.#events.values()].map(noted);
    const now = { bootId, monoUs: clock.monoUs(), atUs: Math.max(0, clock.wallUs()) };
    const lasting: Lasting = { ...now, events, rest: this.#rest };
    this.#writtenUs = now.monoUs;
    try {
      overwriteNote(path, JSON.stringify(lasting), FILE_BYTES, isSynced);
      this.#named = this.#names();
      this.#left = null;
      this.#isBroken = false;
      this.#deps.onWritten();
      return true;
    } catch (error) {
      this.#failed(error);
      return false;
    }
  }

  #failed(error: unknown): void {
    const { code, message } = toLenscapError(error, 'STORE_FAILED');
    if (!this.#isBroken)
      this.#deps.log.warn({ code }, `what lasts may have no end after a crash: ${message}`);
    this.#isBroken = true;
  }
}

function readLasting(path: string): LeftOpen | 'damaged' | null {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch {
    return null;
  }
  try {
    const { bootId, monoUs, atUs, events, rest } = checkLasting(JSON.parse(text), 'what lasts');
    const untilAtUs = (rest: Rest) => Math.max(0, atUs - (monoUs - rest.untilMonoUs));
    return {
      events: events.flatMap((event) => eventOf(event, bootId)),
      untilMonoUs: monoUs,
      rest: rest && { ...rest, bootId, untilAtUs: untilAtUs(rest) },
    };
  } catch {
    return 'damaged';
  }
}

function noted(event: Event): LastingEvent {
  const { eventId, kind, startAtUs, startMonoUs, epoch, peak, code } = event;
  return { eventId, kind, startAtUs, startMonoUs, epoch, peak, code };
}

function eventOf({ kind, code, ...event }: LastingEvent, bootId: string): Event[] {
  if (!isEventKind(kind)) return [];
  const known = code !== null && isErrorCode(code) ? code : null;
  return [{ ...event, kind, bootId, code: known, durationUs: 0, lasts: true, detail: '' }];
}
