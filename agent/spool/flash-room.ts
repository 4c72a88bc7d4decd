// How much room the spool may take. Pure.

/** Of the file system, left to others at any time. */
const KEPT_FREE = 1 / 20;
/** Kept for streams and Gaps, which have to find room where segments do not any more. */
const RESERVE_BYTES = 64 << 10;
/** What is given up at once beyond what is needed, so that a full spool does not do it each time. */
const SLACK = 1 / 64;

/** Bytes to be given up before a segment of `bytes` may be written; 0 when there is room. */
export function missingBytes(
  bytes: number,
  maxBytes: number,
  usedBytes: number,
  { freeBytes, totalBytes }: { readonly freeBytes: number; readonly totalBytes: number },
): number {
  const overLimit = usedBytes + bytes - (maxBytes - RESERVE_BYTES);
  const overFree = bytes + totalBytes * KEPT_FREE + RESERVE_BYTES - freeBytes;
  const missing = Math.ceil(Math.max(overLimit, overFree));
  return missing <= 0 ? 0 : missing + Math.floor(usedBytes * SLACK);
}
