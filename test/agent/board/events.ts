// Events of the input system as the kernel writes them, and a button that is watched.

import { pino } from 'pino';
import type { Test } from 'tap';
import { eventBytes } from '../../../agent/board/input-events.ts';
import { ResetButton, type ResetButtonDeps } from '../../../agent/board/reset-button.ts';
import { eventually } from '../uplink/rig.ts';

/** A struct input_event; of this machine if no size is given. */
export function keyEvent(
  code: number,
  value: number,
  { size = eventBytes(process.arch), type = 1 } = {},
): Buffer {
  const event = Buffer.alloc(size, 0x11);
  event.writeUInt16LE(type, size - 8);
  event.writeUInt16LE(code, size - 6);
  event.writeInt32LE(value, size - 4);
  return event;
}

/** Watches a button that has to be held for a second. */
export function watch(t: Test, deps: Pick<ResetButtonDeps, 'button' | 'gpioTools'>) {
  const resets: number[] = [];
  let text = '';
  const write = (line: string): void => {
    text += line;
  };
  const stop = new AbortController();
  const button = new ResetButton({
    ...deps,
    holdMs: 1000,
    log: pino({ level: 'debug' }, { write }),
    onReset: async () => {
      resets.push(performance.now());
    },
  });
  const ended = button.run(stop.signal);
  const end = (): Promise<void> => {
    stop.abort();
    return ended;
  };
  t.teardown(end);
  return {
    resets,
    log: () => text,
    says: (pattern: RegExp) => eventually(String(pattern), () => pattern.test(text)),
    stop: end,
  };
}
