// The LogBatch message: lines of the device's log, packed, under the scope `device_log`.
import { zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { LenscapError } from './errors.ts';
import { hexId, parsed, timeUs, whole } from './fields.ts';
import { lenscap } from './wire.ts';

const Wire = lenscap.v1.LogBatch;
/** Of all lines of a batch with their ends, unpacked. */
export const MAX_BATCH_BYTES = 256 * 1024;
/** Of a line without its end. */
export const MAX_LOG_LINE_BYTES = 8 * 1024;

export interface LogBatch {
  readonly batchId: string;
  /** Consent epoch under which its lines were written. */
  readonly epoch: number;
  readonly firstAtUs: number;
  readonly lastAtUs: number;
  /** JSON, one object each, without line ends; in order. */
  readonly lines: readonly string[];
  /** Lines lost since the batch before. */
  readonly dropped: number;
}

/** The lines have to fit: MAX_BATCH_BYTES with a line end each. */
export function encodeLogBatch({ lines, ...batch }: LogBatch): Uint8Array {
  const records = lines.length === 0 ? Buffer.alloc(0) : zstdCompressSync(`${lines.join('\n')}\n`);
  return Wire.encode({ ...batch, lines: lines.length, records }).finish();
}

/** @throws DECODE_INVALID, also when it would unpack to more than it may. */
export function decodeLogBatch(payload: Uint8Array): LogBatch {
  const wire = parsed('log batch', () => Wire.decode(payload));
  const lines = unpack(wire.records);
  if (lines.length !== wire.lines)
    throw new LenscapError('DECODE_INVALID', `lines has to be ${lines.length}, not ${wire.lines}`);
  const firstAtUs = timeUs('first_at_us', wire.firstAtUs);
  return {
    batchId: hexId('batch_id', wire.batchId),
    epoch: whole('epoch', wire.epoch, 1),
    firstAtUs,
    lastAtUs: whole('last_at_us', wire.lastAtUs, firstAtUs, 2 ** 52),
    lines,
    dropped: whole('dropped', wire.dropped),
  };
}

/** When a line was written by the clock of the device, microseconds; null where it does not say. */
export function lineAtUs(line: string): number | null {
  const { time }: { time?: unknown } = JSON.parse(line);
  const atUs = typeof time === 'string' ? Date.parse(time) * 1000 : Number.NaN;
  return atUs >= 0 && atUs <= 2 ** 52 ? atUs : null;
}

function unpack(records: Uint8Array): string[] {
  if (records.byteLength === 0) return [];
  const text = parsed('log records', () => {
    const bytes = zstdDecompressSync(records, { maxOutputLength: MAX_BATCH_BYTES });
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  });
  const lines = text.split('\n');
  if (lines.pop() !== '') throw new LenscapError('DECODE_INVALID', 'a line without its end');
  if (!lines.every(isRecord))
    throw new LenscapError('DECODE_INVALID', 'a log line has to be a JSON object of bounded size');
  return lines;
}

function isRecord(line: string): boolean {
  if (Buffer.byteLength(line) > MAX_LOG_LINE_BYTES || !line.startsWith('{')) return false;
  try {
    JSON.parse(line);
    return true;
  } catch {
    return false;
  }
}
