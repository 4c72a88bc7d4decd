// ISO BMFF boxes as views of a buffer, and building them. Every size is checked against what
// surrounds it: damaged bytes give STORE_CORRUPT, never a read beyond their end.
import { LenscapError } from '../../../proto/errors.ts';
import { MAX_CHUNKS } from '../../../proto/segment.ts';

export interface Box {
  readonly type: string;
  /** Where its header begins in the buffer. */
  readonly start: number;
  /** The whole box. */
  readonly bytes: Buffer;
  /** What follows the header. */
  readonly body: Buffer;
}

const HEADER_BYTES = 8;
/** More than a segment of the most chunks has at one level. */
const MAX_BOXES = 4 * MAX_CHUNKS;
const LARGE_HEADER_BYTES = 16;

/** The boxes that fill `bytes`. @throws STORE_CORRUPT. */
export function parseBoxes(bytes: Buffer): Box[] {
  const boxes: Box[] = [];
  for (let start = 0; start < bytes.length; ) {
    const box = boxAt(bytes, start);
    // Views cost far more than the eight bytes that a hostile box may have.
    if (boxes.length >= MAX_BOXES) throw corrupt('there are too many boxes');
    boxes.push(box);
    start += box.bytes.length;
  }
  return boxes;
}

function boxAt(bytes: Buffer, start: number): Box {
  const left = bytes.length - start;
  if (left < HEADER_BYTES) throw corrupt('a box header is cut off');
  const short = bytes.readUInt32BE(start);
  const type = bytes.toString('latin1', start + 4, start + 8);
  if (short === 1 && left < LARGE_HEADER_BYTES) throw corrupt('a box header is cut off');
  const headerBytes = short === 1 ? LARGE_HEADER_BYTES : HEADER_BYTES;
  const size = short === 0 ? left : short === 1 ? largeSize(bytes, start) : short;
  if (size < headerBytes || size > left) throw corrupt(`the size of a ${type} box is wrong`);
  const whole = bytes.subarray(start, start + size);
  return { type, start, bytes: whole, body: whole.subarray(headerBytes) };
}

function largeSize(bytes: Buffer, start: number): number {
  return bytes.readUInt32BE(start + 8) * 2 ** 32 + bytes.readUInt32BE(start + 12);
}

/** The first box of a type, or undefined. */
export function findBox(boxes: readonly Box[], type: string): Box | undefined {
  return boxes.find((box) => box.type === type);
}

/** The box reached by going down `path`. @throws STORE_CORRUPT when it is not there. */
export function boxIn(bytes: Buffer, ...path: readonly [string, ...string[]]): Box {
  const [type, ...rest] = path;
  const found = findBox(parseBoxes(bytes), type);
  if (!found) throw corrupt(`a ${type} box is missing`);
  const [next, ...further] = rest;
  return next === undefined ? found : boxIn(found.body, next, ...further);
}

/** A box of a type around its parts. */
export function makeBox(type: string, ...parts: readonly Uint8Array[]): Buffer {
  const bytes = parts.reduce((sum, part) => sum + part.byteLength, HEADER_BYTES);
  const header = Buffer.alloc(HEADER_BYTES);
  header.writeUInt32BE(bytes);
  header.write(type, 4, 'latin1');
  return Buffer.concat([header, ...parts], bytes);
}

/** Big-endian 32-bit words, the stuff most boxes are made of. */
export function words(...values: readonly number[]): Buffer {
  const bytes = Buffer.alloc(values.length * 4);
  for (const [position, value] of values.entries()) bytes.writeUInt32BE(value >>> 0, position * 4);
  return bytes;
}

/** A whole number below 2^53 as 64 bits. */
export function longWord(value: number): Buffer {
  return words(Math.floor(value / 2 ** 32), value % 2 ** 32);
}

/** Reads the words of a body one after another. */
export class WordReader {
  readonly #bytes: Buffer;
  #at: number;

  constructor(bytes: Buffer, at = 0) {
    this.#bytes = bytes;
    this.#at = at;
  }

  /** @throws STORE_CORRUPT at the end. */
  next(): number {
    if (this.#at + 4 > this.#bytes.length) throw corrupt('a box ends too early');
    this.#at += 4;
    return this.#bytes.readUInt32BE(this.#at - 4);
  }

  nextSigned(): number {
    return this.next() | 0;
  }

  nextLong(): number {
    const high = this.next();
    return high * 2 ** 32 + this.next();
  }

  /** What has not been read. */
  rest(): Buffer {
    return this.#bytes.subarray(this.#at);
  }
}

export function corrupt(detail: string): LenscapError {
  return new LenscapError('STORE_CORRUPT', `the recording is no sound MP4: ${detail}`);
}
