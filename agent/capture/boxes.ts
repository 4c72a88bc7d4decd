// Boxes of ISO base media (ISO/IEC 14496-12), as views. Nothing here trusts a size: what does not
// fit into its parent throws.
import { LenscapError } from '../../proto/errors.ts';

export interface Box {
  readonly type: string;
  /** Payload, without the header. */
  readonly body: Buffer;
}

/** A box that is damaged or missing. @throws CAPTURE_FAILED, always. */
export function malformed(what: string): never {
  throw new LenscapError('CAPTURE_FAILED', `the muxed stream is damaged: ${what}`);
}

/** Child boxes of a payload. @throws CAPTURE_FAILED when sizes do not fit. */
export function children(body: Buffer): Box[] {
  const boxes: Box[] = [];
  for (let at = 0; at + 8 <= body.length; ) {
    const size = body.readUInt32BE(at);
    if (size < 8 || at + size > body.length) malformed(`a box of ${size} bytes does not fit`);
    boxes.push({
      type: body.toString('latin1', at + 4, at + 8),
      body: body.subarray(at + 8, at + size),
    });
    at += size;
  }
  return boxes;
}

/** Payload of the first box along a path, or undefined. */
export function findBox(body: Buffer, ...path: readonly string[]): Buffer | undefined {
  let here: Buffer | undefined = body;
  for (const type of path) {
    if (here === undefined) return undefined;
    here = children(here).find((box) => box.type === type)?.body;
  }
  return here;
}

/** @throws CAPTURE_FAILED when it is not there. */
export function needBox(body: Buffer, ...path: readonly string[]): Buffer {
  return findBox(body, ...path) ?? malformed(`no ${path.join('/')}`);
}

/** Runs a reader; reading beyond a box becomes CAPTURE_FAILED. */
export function reading<T>(what: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof RangeError) malformed(`${what} is too short`);
    throw error;
  }
}
