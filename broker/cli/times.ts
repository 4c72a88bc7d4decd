// Times as owners type them: ISO 8601, `now`, or back from now, such as `-10m`.
import { LenscapError } from '../../proto/errors.ts';

const UNIT_MS = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;
const BACK = /^-(\d{1,9}(?:\.\d{1,3})?)([smhd])$/;
const ISO = /^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d{1,6})?)?(Z|[+-]\d\d:\d\d)?)?$/;

/**
 * ISO 8601 with zone. A time without a zone is local, as on the clock on the wall.
 * @throws REQUEST_INVALID.
 */
export function parseTime(name: string, typed: string, nowMs: number): string {
  if (typed === 'now') return new Date(nowMs).toISOString();
  const [, count, unit] = BACK.exec(typed) ?? [];
  if (count !== undefined && (unit === 's' || unit === 'm' || unit === 'h' || unit === 'd'))
    return new Date(nowMs - Number(count) * UNIT_MS[unit]).toISOString();
  if (/(Z|[+-]\d\d:\d\d)$/.test(typed) && ISO.test(typed)) return typed;
  const local = ISO.test(typed)
    ? new Date(typed.includes('T') ? typed : `${typed}T00:00`)
    : undefined;
  if (local === undefined || Number.isNaN(local.getTime()))
    throw new LenscapError(
      'REQUEST_INVALID',
      `${name} is no time: ${typed}; write 2026-05-01T12:00:00Z, -10m, -2h, -1d or now`,
    );
  return local.toISOString();
}

/** Seconds with one decimal, or minutes and hours. */
export function duration(us: number): string {
  const seconds = us / 1_000_000;
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  const minutes = Math.floor(whole / 60);
  if (minutes < 60) return `${minutes} min ${whole % 60} s`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

export function size(bytes: number): string {
  if (bytes < 1024) return `${bytes} B`;
  const units = ['KiB', 'MiB', 'GiB', 'TiB'];
  const power = Math.min(Math.floor(Math.log2(bytes) / 10), units.length);
  return `${(bytes / 1024 ** power).toFixed(1)} ${units[power - 1]}`;
}
