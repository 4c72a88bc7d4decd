// Takes what was erased out of the journal of the index, in whose older pages it would stay until the
// journal is begun anew, which may take weeks. For the thread that owns the file.
// INVARIANT: seconds after a deletion no byte of it is in any file of the index, unless somebody reads an
// older state for as long; what a crash leaves is swept after the next start.
import type { DatabaseSync } from 'node:sqlite';

/** What is deleted together is swept together. */
const SOON_MS = 1000;
/** Another process reads, or the disk is full. */
const AGAIN_MS = 2000;
const DELETES = /^\s*delete\b/i;

export class JournalSweep {
  readonly #database: DatabaseSync;
  readonly #busyTimeoutMs: number;
  #timer: NodeJS.Timeout | undefined;

  /** `busyTimeoutMs` is what others wait by; a sweep waits for nobody. */
  constructor(database: DatabaseSync, busyTimeoutMs: number) {
    this.#database = database;
    this.#busyTimeoutMs = busyTimeoutMs;
    this.#after(SOON_MS);
  }

  /** To be told of each statement, with how many rows it changed or returned. */
  note(statement: string, rows: number): void {
    if (rows > 0 && DELETES.test(statement)) this.#after(SOON_MS);
  }

  /** Before the file is closed: what is due is swept now, as far as nobody is in the way. */
  stop(): void {
    const isDue = this.#timer !== undefined;
    clearTimeout(this.#timer);
    if (isDue) this.#isSwept();
  }

  #after(ms: number): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      if (this.#database.isTransaction) this.#after(SOON_MS);
      else if (!this.#isSwept()) this.#after(AGAIN_MS);
    }, ms);
  }

  /** Whether the journal is empty now. */
  #isSwept(): boolean {
    try {
      this.#database.exec('pragma busy_timeout = 0');
      const { busy } = this.#database.prepare('pragma wal_checkpoint(truncate)').get() ?? {};
      return busy === 0;
    } catch {
      return false;
    } finally {
      this.#database.exec(`pragma busy_timeout = ${this.#busyTimeoutMs}`);
    }
  }
}
