// The grants that come over one connection. INVARIANTS: it is synced only by a valid grant that came over
// it; an epoch is reported once, and only after its grant is on disk and what it forbids is erased.

/** What the disk does not take or let go of now it may later, and the server waits to hear of it. */
const UNSAVED_RETRY_MS = 5000;

export interface GrantIntakeDeps {
  readonly gate: {
    accept(payload: Uint8Array): { readonly outcome: string; readonly epoch?: number };
  };
  /** A grant was obeyed, as far as the disk allows. */
  readonly onTaken: () => void;
}

export class GrantIntake {
  readonly #deps: GrantIntakeDeps;
  #isSynced = false;
  #isInForce = false;
  #epochToReport: number | undefined;
  #unsavedTimer: NodeJS.Timeout | undefined;
  #missingTimer: NodeJS.Timeout | undefined;

  constructor(deps: GrantIntakeDeps) {
    this.#deps = deps;
  }

  /** A valid grant has come. */
  get isSynced(): boolean {
    return this.#isSynced;
  }

  /** The last one is in force: by one that could not be saved nothing that waits is judged. */
  get isInForce(): boolean {
    return this.#isInForce;
  }

  /** Calls back when none has come by then. */
  expect(timeoutMs: number, onMissing: () => void): void {
    this.#missingTimer = setTimeout(() => {
      if (!this.#isSynced) onMissing();
    }, timeoutMs);
  }

  receive(payload: Uint8Array): void {
    const accepted = this.#deps.gate.accept(payload);
    if (accepted.outcome === 'ignored') return;
    clearTimeout(this.#unsavedTimer);
    if (accepted.outcome === 'unsaved')
      this.#unsavedTimer = setTimeout(() => this.receive(payload), UNSAVED_RETRY_MS);
    this.#isSynced = true;
    this.#isInForce = accepted.outcome === 'applied';
    if (accepted.outcome === 'applied') this.#epochToReport = accepted.epoch;
    this.#deps.onTaken();
  }

  /** The epoch that the server has to hear of, once; undefined for none. */
  takeEpoch(): number | undefined {
    const epoch = this.#epochToReport;
    this.#epochToReport = undefined;
    return epoch;
  }

  /** The connection is over. */
  end(): void {
    clearTimeout(this.#missingTimer);
    clearTimeout(this.#unsavedTimer);
  }
}
