// How much lies in a folder, looked at all the time while others write it. INVARIANT: what vanishes
// while it is looked at counts as gone, never as a fault.
import { readdirSync, statfsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const LOOK_MS = 20;
const BLOCK_BYTES = 4096;

export class FolderWatch {
  mostBytes = 0;
  /** Least share of the file system that was free. */
  leastFree = 1;
  looks = 0;
  readonly #folder: string;
  readonly #ending = new AbortController();

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** Looks until stop(). */
  async run(): Promise<void> {
    const { signal } = this.#ending;
    while (!signal.aborted) {
      this.mostBytes = Math.max(this.mostBytes, bytesIn(this.#folder));
      this.leastFree = Math.min(this.leastFree, freeShare(this.#folder));
      this.looks += 1;
      await sleep(LOOK_MS, undefined, { signal }).catch(() => undefined);
    }
  }

  stop(): void {
    this.#ending.abort();
  }
}

/** Bytes of the files in a folder, in whole blocks. */
function bytesIn(folder: string): number {
  return namesIn(folder).reduce((sum, name) => {
    const size = statSync(join(folder, name), { throwIfNoEntry: false })?.size ?? 0;
    return sum + Math.ceil(size / BLOCK_BYTES) * BLOCK_BYTES;
  }, 0);
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

function freeShare(folder: string): number {
  try {
    const { bavail, blocks } = statfsSync(folder);
    return bavail / blocks;
  } catch {
    return 1;
  }
}
