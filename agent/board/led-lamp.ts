// A light of the kernel, a folder such as /sys/class/leds/status. What was written is read back: a
// driver that takes a value and does not keep it has not been set.
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { LenscapError, toLenscapError } from '../../proto/errors.ts';
import type { Lamp } from './lamp.ts';

export class LedLamp implements Lamp {
  readonly canDim = true;
  readonly #folder: string;
  #isFreed = false;

  constructor(folder: string) {
    this.#folder = folder;
  }

  async shine(share: number): Promise<void> {
    try {
      await this.#free();
      const full = Number(await readFile(join(this.#folder, 'max_brightness'), 'utf8'));
      if (!Number.isSafeInteger(full) || full < 1) throw new Error('max_brightness is no number');
      // A light that should shine does, also where a share of it would round to nothing.
      const wanted = share === 0 ? 0 : Math.max(1, Math.round(full * share));
      await writeFile(this.#path, `${wanted}\n`);
      const kept = Number(await readFile(this.#path, 'utf8'));
      if (kept !== wanted) throw new Error(`its brightness is ${kept}, not ${wanted}`);
    } catch (error) {
      this.#isFreed = false;
      const why = toLenscapError(error).detail;
      throw new LenscapError('LIGHT_FAILED', `${this.#folder}: ${why}`, { cause: error });
    }
  }

  async close(): Promise<void> {
    await this.shine(0).catch(() => undefined);
  }

  get #path(): string {
    return join(this.#folder, 'brightness');
  }

  /** From triggers of the kernel, such as the activity of a disk. */
  async #free(): Promise<void> {
    if (this.#isFreed) return;
    await writeFile(join(this.#folder, 'trigger'), 'none\n');
    this.#isFreed = true;
  }
}
