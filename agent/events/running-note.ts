// A note in the state folder for as long as an agent runs, by which the next one knows that power was
// lost. Invariant: it holds nothing but the id of the boot. Without room for it nothing is known later.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Logger } from 'pino';
import { toLenscapError } from '../../proto/errors.ts';
import { removeFile, replaceSecret } from '../durable-file.ts';
import { RUNNING } from '../identity/state-files.ts';

export interface RunningNoteDeps {
  readonly stateDir: string;
  /** Kernel boot id of now. */
  readonly bootId: string;
  readonly log: Logger;
}

/**
 * How the run before ended: `ended` in order (or there was none), `crashed` in this boot, `power_lost`
 * with the boot before.
 */
export type Ending = 'ended' | 'crashed' | 'power_lost';

export class RunningNote {
  readonly #deps: RunningNoteDeps;

  constructor(deps: RunningNoteDeps) {
    this.#deps = deps;
  }

  /** Notes that this one runs. Never throws. */
  begin(): Ending {
    const before = this.#read();
    const { bootId } = this.#deps;
    if (before !== bootId) this.#try(() => replaceSecret(this.#path(), bootId));
    return endingOf(before, bootId);
  }

  /** Notes that it ended in order. Never throws. */
  end(): void {
    this.#try(() => removeFile(this.#path()));
  }

  #path(): string {
    return join(this.#deps.stateDir, RUNNING);
  }

  #read(): string | null {
    try {
      return readFileSync(this.#path(), 'utf8');
    } catch {
      return null;
    }
  }

  #try(change: () => void): void {
    try {
      change();
    } catch (error) {
      const { code, message } = toLenscapError(error, 'STORE_FAILED');
      this.#deps.log.warn({ code }, `a loss of power may not be told: ${message}`);
    }
  }
}

/** From the boot that the note names, null for no note. Pure. */
export function endingOf(before: string | null, bootId: string): Ending {
  if (before === null) return 'ended';
  return before === bootId ? 'crashed' : 'power_lost';
}
