// From the bytes of a device of the Linux input system (struct input_event) to what happened to one
// key. Bytes may come in any portions.
import type { ButtonEvent } from './hold.ts';

const SYNC = { type: 0, dropped: 3 } as const;
const KEY = { type: 1, up: 0, down: 1, repeat: 2 } as const;
/** struct timeval before type, code and value: two longs. Little-endian, as all boards of ours are. */
const WORDS_32: readonly string[] = ['arm', 'ia32', 'mipsel'];

/** Bytes of an event on a machine of this architecture (process.arch). */
export function eventBytes(arch: string): number {
  return WORDS_32.includes(arch) ? 16 : 24;
}

export class InputEvents {
  readonly #keyCode: number;
  readonly #size: number;
  #rest: Buffer = Buffer.alloc(0);

  constructor(keyCode: number, arch: string) {
    this.#keyCode = keyCode;
    this.#size = eventBytes(arch);
  }

  /** What the bytes say of the key, in order. */
  push(bytes: Buffer): ButtonEvent[] {
    const all = Buffer.concat([this.#rest, bytes]);
    const events: ButtonEvent[] = [];
    let at = 0;
    for (; at + this.#size <= all.length; at += this.#size) {
      const event = this.#eventOf(all.subarray(at + this.#size - 8, at + this.#size));
      if (event !== undefined) events.push(event);
    }
    this.#rest = Buffer.from(all.subarray(at));
    return events;
  }

  #eventOf(fields: Buffer): ButtonEvent | undefined {
    const type = fields.readUInt16LE(0);
    const code = fields.readUInt16LE(2);
    const value = fields.readInt32LE(4);
    // The kernel threw events away, a release perhaps.
    if (type === SYNC.type && code === SYNC.dropped) return 'lost';
    if (type !== KEY.type || code !== this.#keyCode) return undefined;
    if (value === KEY.down) return 'pressed';
    if (value === KEY.up) return 'released';
    return value === KEY.repeat ? 'down' : undefined;
  }
}
