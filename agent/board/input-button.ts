// A button that is a key of the Linux input system, such as gpio-keys.
// INVARIANT: no read of it ever waits in the kernel: it could not be aborted, and would take a
// thread of the pool for as long as nobody presses the button.
import { closeSync, constants, openSync, readSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ButtonConfig } from '../../proto/agent-config.ts';
import { type Button, reasonOf } from './button.ts';
import type { ButtonEvent } from './hold.ts';
import { InputEvents } from './input-events.ts';

/** Much shorter than a hold, much longer than a read. */
const LOOK_MS = 100;
const READ_BYTES = 4096;

export class InputButton implements Button {
  readonly #config: Extract<ButtonConfig, { type: 'input' }>;

  constructor(config: Extract<ButtonConfig, { type: 'input' }>) {
    this.#config = config;
  }

  async watch(onEvent: (event: ButtonEvent) => void, signal: AbortSignal): Promise<string> {
    const { device, keyCode } = this.#config;
    const events = new InputEvents(keyCode, process.arch);
    const buffer = Buffer.alloc(READ_BYTES);
    let fd: number | undefined;
    try {
      fd = openSync(device, constants.O_RDONLY | constants.O_NONBLOCK);
      while (!signal.aborted) {
        const length = readNow(fd, buffer);
        if (length === 0) return `${device} has come to its end`;
        for (const event of events.push(buffer.subarray(0, length ?? 0))) onEvent(event);
        const waitMs = length === READ_BYTES ? 0 : LOOK_MS;
        await sleep(waitMs, undefined, { signal }).catch(() => undefined);
      }
      return '';
    } catch (error) {
      return reasonOf(error);
    } finally {
      if (fd !== undefined) closeSync(fd);
    }
  }

  /** The state of a key is asked by an ioctl, which Node has not. */
  isDown(): Promise<boolean> {
    return Promise.resolve(true);
  }
}

/** How much was read; null when there is nothing yet. */
function readNow(fd: number, buffer: Buffer): number | null {
  try {
    return readSync(fd, buffer);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EAGAIN') return null;
    throw error;
  }
}
