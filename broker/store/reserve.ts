// Room on the disk that nothing else can take: a file that is let go of when there is no other, so that
// an owner can withdraw, and delete, which makes room. What is recorded stops long before.
// Calls are synchronous: this is for the thread of the index.
import { randomBytes } from 'node:crypto';
import { rmSync, statfsSync, statSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';

const MAX_BYTES = 4 << 20;
/** Of the whole file system, so that a small one is not taken up by it. */
const SHARE = 1 / 8;
/** Taken again when so many times its size is free. */
const PLENTY = 2;

export class Reserve {
  readonly #path: string;

  constructor(path: string) {
    this.#path = path;
  }

  /** Looks before a change: lets go of the room or takes it. Returns whether room is short. */
  look(): boolean {
    const { bavail, bsize, blocks } = statfsSync(dirname(this.#path));
    const [free, size] = [bavail * bsize, Math.min(MAX_BYTES, Math.floor(blocks * bsize * SHARE))];
    if (free < size) {
      rmSync(this.#path, { force: true });
      return true;
    }
    if (free > PLENTY * size && !this.#isTaken(size)) this.#take(size);
    return false;
  }

  #isTaken(size: number): boolean {
    return (statSync(this.#path, { throwIfNoEntry: false })?.size ?? 0) >= size;
  }

  /** Bytes of chance: a file system may store nothing of nothing. */
  #take(size: number): void {
    try {
      writeFileSync(this.#path, randomBytes(size), { mode: 0o600 });
    } catch {
      // Somebody else was quicker.
      rmSync(this.#path, { force: true });
    }
  }
}
