// How fast what is to be sent may leave. Pure.

/** The time between two slices of a limited line; what one withdrawal or one live item waits for. */
const SLICE_MS = 50;
/** Without a limit: small enough to see that a slow line moves, large enough to cost nothing. */
const FULL_SLICE_BYTES = 64 * 1024;
/** Less would be nothing but headers. */
const LEAST_SLICE_BYTES = 512;

/** How much is handed to the socket at a time; `maxKbps` 0: no limit. */
export function sliceBytes(maxKbps: number): number {
  if (maxKbps === 0) return FULL_SLICE_BYTES;
  const bytes = Math.floor((maxKbps * SLICE_MS) / 8);
  return Math.min(FULL_SLICE_BYTES, Math.max(LEAST_SLICE_BYTES, bytes));
}

/** When the next slice may leave after one of so many bytes that could leave at `dueMs`. */
export function nextDueMs(dueMs: number, nowMs: number, bytes: number, maxKbps: number): number {
  if (maxKbps === 0) return nowMs;
  return Math.max(dueMs, nowMs) + (bytes * 8) / maxKbps;
}

/** The bytes of all pieces in pieces of at most `limit`; a large piece is not copied. */
export function* slicesOf(pieces: readonly Buffer[], limit: number): Generator<Buffer, void> {
  let gathered: Buffer[] = [];
  let room = limit;
  for (const piece of pieces)
    for (let at = 0; at < piece.length; ) {
      const part = piece.subarray(at, at + room);
      gathered.push(part);
      at += part.length;
      room -= part.length;
      if (room > 0) continue;
      yield joined(gathered);
      gathered = [];
      room = limit;
    }
  if (gathered.length > 0) yield joined(gathered);
}

function joined(parts: readonly Buffer[]): Buffer {
  const [only] = parts;
  return parts.length === 1 && only !== undefined ? only : Buffer.concat(parts);
}
