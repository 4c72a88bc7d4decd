// Gives a connection up on which nothing moves while something waits for its acknowledgement.
// Invariant: what moves is never given up, however slow; what stands still is, after `timeoutMs` and
// at most two looks. Looks are counted, not time: a process that was not run itself saw no standstill.

export interface PatienceDeps {
  readonly timeoutMs: number;
  /** Bytes that left this process since the beginning. */
  readonly leftBytes: () => number;
  /** Of these, bytes that the far end has not confirmed; null if unknown. */
  readonly queuedBytes: () => Promise<number | null>;
  readonly onStalled: () => void;
}

/** What is known of the line at one moment. */
export interface Look {
  readonly acknowledged: number;
  readonly leftBytes: number;
  /** Looked up only while nothing leaves; null otherwise. */
  readonly queuedBytes: number | null;
}

/** So often within the timeout it is looked. */
const LOOKS = 10;

/** Whether something moved between two looks. */
export function hasMoved(before: Look, now: Look): boolean {
  if (now.acknowledged !== before.acknowledged || now.leftBytes !== before.leftBytes) return true;
  return before.queuedBytes !== null && now.queuedBytes !== before.queuedBytes;
}

export class Patience {
  readonly #deps: PatienceDeps;
  #waiting = 0;
  #acknowledged = 0;
  #timer: NodeJS.Timeout | undefined;
  #last: Look = { acknowledged: 0, leftBytes: 0, queuedBytes: null };
  /** Looks in a row that saw nothing move. */
  #stillLooks = 0;

  constructor(deps: PatienceDeps) {
    this.#deps = deps;
  }

  /** Something waits from now on. Call what is returned once, when it does no more. */
  wait(): () => void {
    this.#waiting += 1;
    if (this.#timer === undefined) this.#begin();
    return () => {
      this.#waiting -= 1;
      this.#acknowledged += 1;
      if (this.#waiting === 0) this.end();
    };
  }

  end(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #begin(): void {
    this.#stillLooks = 0;
    this.#last = { ...this.#counts(), queuedBytes: null };
    this.#lookLater();
  }

  #lookLater(): void {
    const timer = setTimeout(() => {
      // A wait that ended and another that began in the meantime have a timer of their own.
      this.#look(() => this.#timer === timer).catch(this.#deps.onStalled);
    }, this.#deps.timeoutMs / LOOKS);
    this.#timer = timer;
  }

  async #look(isCurrent: () => boolean): Promise<void> {
    const { onStalled, queuedBytes } = this.#deps;
    const isStill = !hasMoved({ ...this.#last, queuedBytes: null }, this.#now(null));
    const now = this.#now(isStill ? await queuedBytes() : null);
    if (!isCurrent()) return;
    this.#stillLooks = hasMoved(this.#last, now) ? 0 : this.#stillLooks + 1;
    this.#last = now;
    // The last movement may have been right after a look.
    if (this.#stillLooks > LOOKS) onStalled();
    else this.#lookLater();
  }

  #counts(): Pick<Look, 'acknowledged' | 'leftBytes'> {
    return { acknowledged: this.#acknowledged, leftBytes: this.#deps.leftBytes() };
  }

  #now(queuedBytes: number | null): Look {
    return { ...this.#counts(), queuedBytes };
  }
}
