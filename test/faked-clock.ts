// The clock of a board as a test sets it, for child processes: wall time is faked by a library that is
// loaded first, monotonic time is left alone.
import { globSync, writeFileSync } from 'node:fs';
import { ENV } from './e2e/processes.ts';

/** The program `faketime` would stand between a test and the process that it signals. */
export const FAKED: NodeJS.ProcessEnv = {
  ...ENV,
  LD_PRELOAD: globSync('/usr/lib/*/faketime/libfaketime.so.1')[0],
  DONT_FAKE_MONOTONIC: '1',
};

/** A wall clock beside the right one, which can be set while a process runs. */
export class FakedClock {
  readonly #file: string;

  /** @param file where the processes look, anew each second. */
  constructor(file: string, aheadS = 0) {
    this.#file = file;
    this.set(aheadS);
  }

  /** Seconds ahead of the right time; negative for behind. */
  set(aheadS: number): void {
    writeFileSync(this.#file, `${aheadS < 0 ? '' : '+'}${aheadS}\n`);
  }

  get env(): NodeJS.ProcessEnv {
    return { ...FAKED, FAKETIME_TIMESTAMP_FILE: this.#file, FAKETIME_CACHE_DURATION: '1' };
  }
}
