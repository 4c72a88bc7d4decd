// A light of the kernel, a folder such as /sys/class/leds/status. INVARIANT: what was written is read
// back: a driver that takes a value and does not keep it has not been set.
import { constants } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { LenscapError, toLenscapError } from '../../proto/errors.ts';
import type { Lamp } from './lamp.ts';

/** Nothing is made where there is no light, and what is no file does not keep a thread waiting. */
const READ = { flag: constants.O_RDONLY | constants.O_NONBLOCK, encoding: 'utf8' } as const;
const WRITE = { flag: constants.O_WRONLY | constants.O_NONBLOCK | constants.O_TRUNC } as const;

export class LedLamp implements Lamp {
  readonly canDim = true;
  readonly #folder: string;
  /** What was set last, and its full brightness; null: it has to be taken first. */
  #left: { readonly brightness: number; readonly full: number } | null = null;

  constructor(folder: string) {
    this.#folder = folder;
  }

  async shine(share: number): Promise<boolean> {
    const left = this.#left;
    try {
      const isKept = left === null || (await this.#brightness()) === left.brightness;
      const full = left !== null && isKept ? left.full : await this.#take();
      // A light that should shine does, also where a share of it would round to nothing.
      const brightness = share === 0 ? 0 : Math.max(1, Math.round(full * share));
      if (left === null || !isKept || brightness !== left.brightness) await this.#set(brightness);
      this.#left = { brightness, full };
      return isKept;
    } catch (error) {
      this.#left = null;
      const why = toLenscapError(error).detail;
      throw new LenscapError('LIGHT_FAILED', `${this.#folder}: ${why}`, { cause: error });
    }
  }

  async close(): Promise<void> {}

  /** From triggers of the kernel, such as the activity of a disk. Returns its full brightness. */
  async #take(): Promise<number> {
    await writeFile(join(this.#folder, 'trigger'), 'none\n', WRITE);
    const full = wholeOf(await readFile(join(this.#folder, 'max_brightness'), READ));
    if (full === null || full < 1) throw new Error('max_brightness is no number');
    return full;
  }

  async #set(brightness: number): Promise<void> {
    await writeFile(join(this.#folder, 'brightness'), `${brightness}\n`, WRITE);
    const kept = await this.#brightness();
    if (kept !== brightness) throw new Error(`its brightness is ${kept}, not ${brightness}`);
  }

  /** Null: it says no number. */
  async #brightness(): Promise<number | null> {
    return wholeOf(await readFile(join(this.#folder, 'brightness'), READ));
  }
}

function wholeOf(text: string): number | null {
  return /^\d{1,9}$/.test(text.trim()) ? Number(text) : null;
}
