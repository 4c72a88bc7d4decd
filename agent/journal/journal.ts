// The journal: what the device notes about itself, fit to leave it. It takes each line of the log once,
// as it is written, and keeps it in memory until five minutes have passed or 64 KiB lie there, then in files.
// INVARIANTS: each entry bears the consent under which it was written; nothing here throws at who logs;
// memory and files are bounded, and what is lost while there is consent is counted.
import { setTimeout as sleep } from 'node:timers/promises';
import type { Settings } from '../../proto/settings.ts';
import type { Captured, Gate } from '../consent/gate.ts';
import { codeOf } from '../durable-file.ts';
import { type Bundle, bundleOf, loggedUnder } from './bundle.ts';
import { type Entry, writtenText } from './entry.ts';
import { JournalFolder } from './folder.ts';
import { LineBudget } from './line-budget.ts';
import { type LogRecord, recordOf } from './record.ts';
import { Scrubber } from './scrub.ts';
import type { Secrets } from './secrets.ts';
import { Unwritten } from './unwritten.ts';

export type LogSettings = Settings['log'];

const FLUSH_BYTES = 64 * 1024;
/** A write costs the flash some 16 KiB, however short: 0.2 MB an hour at a line now and then. */
const FLUSH_MS = 300_000;
/** A storm of errors must not wear out the flash. */
const URGENT_FLUSH_MS = 15_000;
const MAX_MEMORY_BYTES = 1 << 20;
const FATAL = '{"level":60,';

export interface JournalDeps {
  readonly folder: string;
  readonly secrets: Secrets;
  /** Until others are used. */
  readonly settings: () => LogSettings;
  /** Monotonic, milliseconds. */
  readonly nowMs: () => number;
}

/** Whose consent counts. */
export interface JournalOwner {
  readonly deviceId: string;
  readonly gate: Pick<Gate, 'grantOf' | 'mayKeep'>;
  /** What may not be read in any line. Absent: nothing but what is known. */
  readonly secrets?: readonly string[];
}

export class Journal {
  readonly #deps: JournalDeps;
  #settings: () => LogSettings;
  readonly #folder: JournalFolder;
  readonly #scrubber: Scrubber;
  readonly #budget: LineBudget;
  #owner: JournalOwner | null = null;
  #deviceId: string | null = null;
  #isOpen = false;
  readonly #unwritten = new Unwritten();
  #next = 1;
  /** Up to where the last bundle goes that was given out; whoever has it sends it. */
  #given = 0;
  /** Up to where everything was sent or need not be; as it is, and as the files say. */
  #sent = 0;
  #notedSent = 0;
  /** Lines that were passed over since the last entry, and under which epoch. */
  #dropped = { count: 0, epoch: 0 };
  #flushedAtMs: number;
  #isFailing = false;
  #onUrgent: () => void = () => undefined;

  constructor(deps: JournalDeps) {
    this.#deps = deps;
    this.#settings = deps.settings;
    this.#folder = new JournalFolder(deps.folder);
    this.#scrubber = new Scrubber(deps.secrets);
    this.#budget = new LineBudget(deps.settings().linesPerMinute, deps.nowMs());
    this.#flushedAtMs = deps.nowMs();
  }

  /** Called when something should not wait for its turn to be sent. */
  set onUrgent(listener: () => void) {
    this.#onUrgent = listener;
  }

  /** From now on these settings hold, asked for at each use. */
  use(settings: () => LogSettings): void {
    this.#settings = settings;
  }

  /** A line as pino writes it. Never throws. */
  take(line: string): void {
    const { nowMs } = this.#deps;
    const epoch = this.#epoch();
    // The last words are not held back by what came before them.
    if (line.startsWith(FATAL) || this.#budget.take(this.#settings().linesPerMinute, nowMs()))
      this.#note(epoch, recordOf(line, this.#scrubber));
    else this.#drop(1, epoch);
  }

  /**
   * From now on what is written belongs to this device, under its consent. What another one left is
   * erased. Never throws: where the disk fails, the journal stays in memory.
   */
  attach(owner: JournalOwner): void {
    if (this.#deviceId !== null && this.#deviceId !== owner.deviceId) this.#forget();
    this.#deviceId = owner.deviceId;
    this.#owner = owner;
    this.#deps.secrets.add(...(owner.secrets ?? []));
    this.#open();
  }

  /**
   * Erases what was written under a consent that has ended, each file in which something of it lies as a
   * whole; lines of a time without consent were never to be sent and may stay. Returns whether it is gone.
   */
  retain(mayKeep: (item: Captured) => boolean): boolean {
    const isStale = (epoch: number): boolean => epoch > 0 && !mayKeep(loggedUnder(epoch));
    if (isStale(this.#dropped.epoch)) this.#dropped = { count: 0, epoch: 0 };
    this.#unwritten.keep(({ epoch }) => !isStale(epoch));
    try {
      if (this.#isOpen) this.#folder.remove(isStale);
      // Before it is attached nobody knows whose it is; what is there then is looked at when it is opened.
      return this.#isOpen || this.#owner === null || this.#folder.isGone;
    } catch (error) {
      this.#fails(error);
      return false;
    }
  }

  /** From now on there is nobody whose consent would count, and nothing goes into files. */
  detach(): void {
    this.#noteDropped();
    this.flush();
    this.#owner = null;
    this.#isOpen = false;
  }

  /** Writes what waits from time to time, until aborted. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await sleep(FLUSH_MS, undefined, { signal }).catch(() => undefined);
      this.flush();
    }
  }

  /** What is to be sent next; null for nothing. What may not be kept for it is passed over for good. */
  next(mayKeep: (epoch: number) => boolean): Bundle | null {
    this.#noteDropped();
    for (;;) {
      const waiting = this.#waiting();
      if (waiting.length === 0) return null;
      const from = waiting.findIndex(({ epoch }) => epoch > 0 && mayKeep(epoch));
      if (from >= 0) {
        const bundle = bundleOf(waiting.slice(from));
        this.#given = bundle.last;
        return bundle;
      }
      this.sent(waiting.at(-1)?.number ?? this.#sent);
    }
  }

  /** Everything up to this number was taken in by the server, or is not to be sent. */
  sent(number: number): void {
    this.#sent = Math.max(this.#sent, number);
  }

  /** Writes what waits to the files; `isDurable`: and to the flash itself. Never throws. */
  flush(isDurable = false): void {
    this.#flushedAtMs = this.#deps.nowMs();
    if (!this.#isOpen) this.#open();
    if (this.#isOpen && this.#folder.isGone) this.#forget();
    const isNews = this.#unwritten.first !== undefined || this.#sent > this.#notedSent;
    if (this.#isOpen && isNews) this.#tryToWrite(isDurable);
    // Where nothing can be written, the oldest go.
    this.#lose(this.#unwritten.bound(this.#isFailing ? MAX_MEMORY_BYTES : FLUSH_BYTES));
  }

  #tryToWrite(isDurable: boolean): void {
    const { maxBytes } = this.#settings();
    try {
      const { entries, first = this.#next } = this.#unwritten;
      const text = writtenText(entries, { sent: this.#sent, given: this.#given });
      this.#folder.append(first, text, isDurable, maxBytes);
      this.#isFailing = false;
      this.#notedSent = this.#sent;
      this.#unwritten.clear();
      this.#lose(this.#folder.rotate(maxBytes));
    } catch (error) {
      this.#fails(error);
    }
  }

  /** Entries that are not sent, from the files first, since those are older. */
  #waiting(): readonly Entry[] {
    const first = this.#unwritten.first ?? this.#next;
    if (this.#isOpen && this.#sent + 1 < first) {
      const entries = this.#folder.after(this.#sent).filter(({ number }) => number < first);
      if (entries.length > 0) return entries;
    }
    return this.#unwritten.entries.filter(({ number }) => number > this.#sent);
  }

  #note(epoch: number, record: LogRecord | null): void {
    if (record === null) return;
    this.#noteDropped();
    this.#put({ epoch, atMs: record.atMs, dropped: 0, line: record.text });
    this.#hurry(record);
  }

  #epoch(): number {
    return this.#owner?.gate.grantOf('device_log')?.epoch ?? 0;
  }

  #put(entry: Omit<Entry, 'number'>): void {
    this.#unwritten.push({ number: this.#next, ...entry });
    this.#next += 1;
    if (this.#unwritten.bytes < FLUSH_BYTES) return;
    const isDue = !this.#isFailing || this.#deps.nowMs() - this.#flushedAtMs > URGENT_FLUSH_MS;
    if (isDue) this.flush();
    else this.#lose(this.#unwritten.bound(MAX_MEMORY_BYTES));
    this.#onUrgent();
  }

  #hurry({ level }: LogRecord): void {
    if (level === 'fatal') this.flush(true);
    else if (level === 'error') {
      this.#onUrgent();
      if (this.#deps.nowMs() - this.#flushedAtMs > URGENT_FLUSH_MS) this.flush(true);
    }
  }

  /** What is passed over without consent is not even counted. */
  #drop(count: number, epoch: number): void {
    if (epoch === 0) return;
    if (epoch !== this.#dropped.epoch) this.#noteDropped();
    this.#dropped = { count: this.#dropped.count + count, epoch };
  }

  #noteDropped(): void {
    const { count, epoch } = this.#dropped;
    this.#dropped = { count: 0, epoch: 0 };
    if (count > 0) this.#put({ epoch, atMs: Date.now(), dropped: count, line: '' });
  }

  /** Counts what went unsent, by rotation or for want of memory. What was given out is not lost. */
  #lose(entries: readonly Entry[]): void {
    const safe = Math.max(this.#sent, this.#given);
    for (const { number, epoch, dropped } of entries)
      if (number > safe) this.#drop(Math.max(1, dropped), epoch);
  }

  #open(): void {
    if (this.#owner === null || (this.#isOpen && !this.#folder.isGone)) return;
    const { deviceId, gate } = this.#owner;
    try {
      const { last, sent } = this.#folder.open(deviceId);
      this.#isOpen = true;
      this.#unwritten.keep(({ number }) => number > this.#sent);
      // What was written before the files were looked at comes after what they hold.
      const shift = Math.max(0, Math.max(last, sent) + 1 - (this.#unwritten.first ?? this.#next));
      this.#unwritten.shift(shift);
      this.#next += shift;
      this.#sent = sent;
      this.#notedSent = sent;
      this.#given = 0;
      this.retain((item) => gate.mayKeep(item));
    } catch (error) {
      this.#fails(error);
    }
  }

  /** Nothing of one owner is left for the next one. */
  #forget(): void {
    this.#unwritten.clear();
    this.#dropped = { count: 0, epoch: 0 };
    this.#sent = this.#next - 1;
    this.#isOpen = false;
  }

  /** Said once; standard error has all of it. */
  #fails(error: unknown): void {
    if (this.#isFailing) return;
    this.#isFailing = true;
    const atMs = Date.now();
    const said = { time: new Date(atMs).toISOString(), level: 'warn', part: 'journal' };
    const code = String(codeOf(error) ?? 'BUG');
    const line = JSON.stringify({ ...said, code, msg: 'the log cannot be written to files' });
    this.#put({ epoch: this.#epoch(), atMs, dropped: 0, line });
  }
}
