// Where a listing by time has come to, as `next` of an answer: time and id of its last row. Pure.
import { LenscapError } from '../../proto/errors.ts';

export interface Cursor {
  readonly startAtUs: number;
  /** 32 hex characters. */
  readonly id: string;
}

export function cursorOf({ startAtUs, id }: Cursor): string {
  return `${startAtUs}.${id}`;
}

/** @throws REQUEST_INVALID. */
export function parseCursor(cursor: string): Cursor {
  const [, start, id] = /^(\d{1,16})\.([0-9a-f]{32})$/.exec(cursor) ?? [];
  if (id === undefined) throw new LenscapError('REQUEST_INVALID', 'no such cursor');
  return { startAtUs: Number(start), id };
}
