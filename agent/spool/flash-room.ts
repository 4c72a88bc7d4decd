// How much room the spool may take. Pure.
import type { RecordKind } from './record.ts';

/** Of the file system, left to others at any time. */
const KEPT_FREE = 1 / 20;
/**
 * Kept free of records of a kind: streams and Gaps have to find room where segments do not any more, and
 * the Gap that makes room for one of them, too.
 */
const RESERVE_BYTES = {
  segment: 64 << 10,
  stream: 8 << 10,
  gap: 8 << 10,
  event: 16 << 10,
} as const;
/** What is given up at once beyond what is needed, so that a full spool does not do it each time. */
const SLACK = 1 / 64;

/** Whether so many bytes are too many for a spool of `maxBytes`, however empty the disk is. */
export function isOverLimit(kind: RecordKind, bytes: number, maxBytes: number): boolean {
  return bytes > maxBytes - RESERVE_BYTES[kind];
}

/** Bytes to be given up before a record of `bytes` may be written; 0 when there is room. */
export function missingBytes(
  kind: RecordKind,
  bytes: number,
  maxBytes: number,
  usedBytes: number,
  { freeBytes, totalBytes }: { readonly freeBytes: number; readonly totalBytes: number },
): number {
  const overLimit = usedBytes + bytes - (maxBytes - RESERVE_BYTES[kind]);
  const overFree = bytes + totalBytes * KEPT_FREE + RESERVE_BYTES[kind] - freeBytes;
  const missing = Math.ceil(Math.max(overLimit, overFree));
  return missing <= 0 ? 0 : missing + Math.floor(usedBytes * SLACK);
}
