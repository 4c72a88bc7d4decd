// Cuts a row of JPEG pictures into single ones and says how large each is.
// INVARIANT: at most `maxBytes` are held; what is no JPEG throws.
import { malformed } from './boxes.ts';

export interface Jpeg {
  readonly jpeg: Buffer;
  readonly width: number;
  readonly height: number;
}

const START = 0xd8;
const END = 0xd9;
const SCAN = 0xda;
/** Markers that begin the description of a frame, without tables that share their range. */
const isFrame = (marker: number): boolean =>
  marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker);

export class JpegSplitter {
  readonly #maxBytes: number;
  readonly #onPicture: (picture: Jpeg) => void;
  #held = Buffer.alloc(0);

  constructor(maxBytes: number, onPicture: (picture: Jpeg) => void) {
    this.#maxBytes = maxBytes;
    this.#onPicture = onPicture;
  }

  /** @throws CAPTURE_FAILED for what is no JPEG or too large. */
  push(bytes: Buffer): void {
    this.#held = Buffer.concat([this.#held, bytes]);
    for (let found = firstOf(this.#held); found !== undefined; found = firstOf(this.#held)) {
      this.#held = Buffer.from(this.#held.subarray(found.jpeg.length));
      this.#onPicture(found);
    }
    if (this.#held.length > this.#maxBytes) malformed('a still picture is too large');
  }
}

/** The first picture, once it is whole. */
function firstOf(bytes: Buffer): Jpeg | undefined {
  if (!begins(bytes)) return undefined;
  let size: { width: number; height: number } | undefined;
  for (let at = 2; at + 4 <= bytes.length; ) {
    const marker = bytes[at + 1] ?? 0;
    if (bytes[at] !== 0xff) return malformed('a still picture is damaged');
    const next = at + 2 + bytes.readUInt16BE(at + 2);
    if (isFrame(marker) && at + 9 <= bytes.length)
      size = { height: bytes.readUInt16BE(at + 5), width: bytes.readUInt16BE(at + 7) };
    if (marker === SCAN) {
      const end = endOf(bytes, next);
      if (end === undefined || size === undefined) return undefined;
      return { jpeg: Buffer.from(bytes.subarray(0, end)), ...size };
    }
    at = next;
  }
  return undefined;
}

/** Whether there are enough bytes to tell that it is a JPEG. */
function begins(bytes: Buffer): boolean {
  if (bytes.length < 4) return false;
  return bytes[0] === 0xff && bytes[1] === START ? true : malformed('a still picture is no JPEG');
}

/** Where the picture ends; its pixels hold no such marker. */
function endOf(bytes: Buffer, from: number): number | undefined {
  const at = bytes.indexOf(Buffer.from([0xff, END]), from);
  return at < 0 ? undefined : at + 2;
}
