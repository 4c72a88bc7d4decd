// Why the flash takes nothing, and when to try it again. INVARIANT: each fault is told once, however often it
// is tried, and so is the end of it.
import type { Logger } from 'pino';
import type { LenscapError } from '../../proto/errors.ts';
import type { Clock } from '../clock.ts';

const RETRY_MIN_US = 5_000_000;
const RETRY_MAX_US = 60_000_000;

export interface FlashFaultDeps {
  /** As the flash was opened. */
  readonly fault: LenscapError | null;
  readonly clock: Clock;
  readonly log: Logger;
  /** The flash fails, or works again. */
  readonly onHealth: () => void;
}

export class FlashFault {
  readonly #deps: FlashFaultDeps;
  #fault: LenscapError | null;
  #failures = 0;
  #retryAtUs = Number.NEGATIVE_INFINITY;

  constructor(deps: FlashFaultDeps) {
    this.#deps = deps;
    this.#fault = deps.fault;
    if (deps.fault !== null) this.#tell(deps.fault);
  }

  /** Null while it takes what is written. */
  get now(): LenscapError | null {
    return this.#fault;
  }

  /** It has failed a short while ago. */
  get isResting(): boolean {
    return this.#fault !== null && this.#deps.clock.monoUs() < this.#retryAtUs;
  }

  failed(error: LenscapError): void {
    const { clock, onHealth } = this.#deps;
    const waitUs = Math.min(RETRY_MAX_US, RETRY_MIN_US * 2 ** this.#failures);
    this.#failures = Math.min(this.#failures + 1, 10);
    this.#retryAtUs = clock.monoUs() + waitUs;
    const isNews = this.#fault?.code !== error.code;
    this.#fault = error;
    if (!isNews) return;
    this.#tell(error);
    onHealth();
  }

  /** It took something. */
  worked(): void {
    if (this.#fault === null) return;
    this.#fault = null;
    this.#failures = 0;
    this.#deps.log.info('the flash takes again what waits');
    this.#deps.onHealth();
  }

  #tell({ code, message }: LenscapError): void {
    this.#deps.log.warn(
      { code },
      `the spool is held in memory only, and lost with power: ${message}`,
    );
  }
}
