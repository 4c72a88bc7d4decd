// A page of the log of a device: opened, and only what was asked for. INVARIANT: bounded by the batches
// it is made of, and `next` passes over nothing that could still come.
import type { HeldBatch, LogDevice, LogRows } from '../store/log-rows.ts';
import type { Span } from '../store/media-rows.ts';
import { isoTime } from './times.ts';

/** From the least to the gravest. */
export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** Each is 256 KiB at most. */
const BATCHES = 4;

type Line = Record<string, unknown>;

export interface LogPage {
  readonly batches: readonly {
    readonly receivedAt: string;
    readonly dropped: number;
    readonly lines: readonly Line[];
  }[];
  /** Received up to then. */
  readonly next: number;
  readonly more: boolean;
}

/** @throws STORE_CORRUPT. */
export async function logPage(
  logs: Pick<LogRows, 'page' | 'newest'>,
  device: LogDevice,
  span: Span,
  level: LogLevel = 'trace',
  after: number,
): Promise<LogPage> {
  // Before the page is read: what is received in between is on the next one.
  const newest = await logs.newest(device.device_id);
  const held = await logs.page(device, span, after, BATCHES);
  const more = held.length === BATCHES;
  const last = held.at(-1)?.receivedAtUs ?? after;
  return {
    batches: held.map((batch) => batchOf(batch, span, level)).filter(isSomething),
    next: more ? last : Math.max(after, last, newest),
    more,
  };
}

function batchOf(
  { receivedAtUs, dropped, lines }: HeldBatch,
  span: Span,
  level: LogLevel,
): LogPage['batches'][number] {
  const least = LOG_LEVELS.indexOf(level);
  const asked = lines.flatMap((text) => {
    const line = lineOf(text);
    return isWithin(line, span) && rank(line.level) >= least ? [line] : [];
  });
  return { receivedAt: isoTime(receivedAtUs), dropped, lines: asked };
}

function isSomething({ dropped, lines }: LogPage['batches'][number]): boolean {
  return dropped > 0 || lines.length > 0;
}

function lineOf(text: string): Line {
  const value: unknown = JSON.parse(text);
  return typeof value === 'object' && value !== null ? { ...value } : {};
}

/** A line without a time that can be read is shown, whatever was asked for. */
function isWithin({ time }: Line, { fromUs, toUs }: Span): boolean {
  const atUs = typeof time === 'string' ? Date.parse(time) * 1000 : Number.NaN;
  return Number.isNaN(atUs) || (atUs >= fromUs && atUs < toUs);
}

/** Of a level; one that is none counts as the gravest, so that it is not overlooked. */
function rank(level: unknown): number {
  const levels: readonly unknown[] = LOG_LEVELS;
  const found = levels.indexOf(level);
  return found === -1 ? LOG_LEVELS.length : found;
}
