// Times at the edge: ISO 8601 with a zone for people, microseconds since 1970 for everything else.
import { LenscapError } from '../../proto/errors.ts';
import type { Span } from '../store/media-rows.ts';

const ISO = /^(\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d)?)(?:\.(\d{1,6})\d*)?(Z|[+-]\d\d:\d\d)$/;
/** Also what a camera with a wrong clock recorded is seen. */
const END_OF_TIME_US = Number.MAX_SAFE_INTEGER;

/** ISO 8601, UTC, microseconds. */
export function isoTime(us: number): string {
  const seconds = new Date(Math.floor(us / 1_000_000) * 1000).toISOString().slice(0, 19);
  return `${seconds}.${String(us % 1_000_000).padStart(6, '0')}Z`;
}

/** @throws REQUEST_INVALID unless it is ISO 8601 with a zone, from 1970 to the end of time, in 2255. */
export function parseTime(name: string, text: string): number {
  const [, seconds, fraction = '', zone] = ISO.exec(text) ?? [];
  const ms = seconds === undefined ? Number.NaN : Date.parse(`${seconds}${zone}`);
  const us = ms * 1000 + Number(fraction.padEnd(6, '0'));
  // Beyond, not every microsecond is a number, and the index does not give back what it was given.
  if (!(us >= 0 && us <= END_OF_TIME_US))
    throw new LenscapError(
      'REQUEST_INVALID',
      `${name} has to be a time such as 2026-05-01T12:00:00Z or 2026-05-01T14:00:00+02:00, from 1970 to 2255`,
    );
  return us;
}

/** The span asked for; what is absent is all there is. */
export function spanOf(
  deviceId: string,
  asked: { readonly from?: string | undefined; readonly to?: string | undefined },
): Span {
  const fromUs = asked.from === undefined ? 0 : parseTime('from', asked.from);
  const toUs = asked.to === undefined ? END_OF_TIME_US : parseTime('to', asked.to);
  if (fromUs >= toUs) throw new LenscapError('REQUEST_INVALID', '`from` has to be before `to`');
  return { deviceId, fromUs, toUs };
}
