// What may not be kept any more and the flash has not let go of yet. INVARIANT: a record once handed in
// here is tried again until the flash has erased it, whatever else happens.
import type { Logger } from 'pino';
import { toLenscapError } from '../../proto/errors.ts';
import type { Flash, RecordId } from './flash.ts';

export interface OwedErasureDeps {
  readonly flash: Pick<Flash, 'erase'>;
  readonly log: Logger;
}

export class OwedErasure {
  readonly #deps: OwedErasureDeps;
  #ids: RecordId[] = [];
  /** The flash did not let go of it, which was told. */
  #isTold = false;

  constructor(deps: OwedErasureDeps) {
    this.#deps = deps;
  }

  get isAny(): boolean {
    return this.#ids.length > 0;
  }

  add(ids: readonly RecordId[]): void {
    this.#ids.push(...ids);
  }

  /** Tries to erase all of it. */
  settle(): void {
    if (this.#ids.length === 0) return;
    try {
      this.#deps.flash.erase(this.#ids);
      this.#ids = [];
      this.#isTold = false;
    } catch (error) {
      const { code, message } = toLenscapError(error, 'STORE_FAILED');
      if (!this.#isTold)
        this.#deps.log.error({ code }, `what may not be kept cannot be erased yet: ${message}`);
      this.#isTold = true;
    }
  }
}
