// Checks of single fields, shared by the decoders. protobufjs accepts missing fields, wrong wire
// types and overlong integers in silence; whatever passes here is within its documented range.
import { LenscapError } from './errors.ts';
import { SCOPES, type Scope, scopeFromWire } from './scopes.ts';

const HEX_128 = /^[0-9a-f]{32}$/;
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

function refuse(field: string, wanted: string): never {
  throw new LenscapError('DECODE_INVALID', `${field} has to be ${wanted}`);
}

/** A 128-bit id as 32 lower-case hex characters. */
export function hexId(field: string, value: string): string {
  return HEX_128.test(value) ? value : refuse(field, '32 lower-case hex characters');
}

export function uuid(field: string, value: string): string {
  return UUID.test(value) ? value : refuse(field, 'a lower-case UUID');
}

/** A whole number from `min` up to `max`. */
export function whole(
  field: string,
  value: number,
  min = 0,
  max = Number.MAX_SAFE_INTEGER,
): number {
  return Number.isSafeInteger(value) && value >= min && value <= max
    ? value
    : refuse(field, `a whole number from ${min} to ${max}`);
}

/** A point in time, microseconds: until the year 2112, so that a duration can be added. */
export function timeUs(field: string, value: number): number {
  return whole(field, value, 0, 2 ** 52);
}

export function text(field: string, value: string, maxLength: number): string {
  return value.length <= maxLength && value.isWellFormed()
    ? value
    : refuse(field, `text of at most ${maxLength} characters`);
}

export function bytesOf(field: string, value: Uint8Array, length: number): Uint8Array {
  return value.byteLength === length ? value : refuse(field, `${length} bytes`);
}

/** Scopes without repeats, in the order of the table; unknown ones are refused. */
export function scopes(field: string, wire: readonly number[]): Scope[] {
  const known = wire.map((number) => scopeFromWire(number));
  const all = known.filter((scope) => scope !== undefined);
  if (all.length !== wire.length || new Set(all).size !== all.length)
    refuse(field, `a list without repeats of: ${SCOPES.join(', ')}`);
  return SCOPES.filter((scope) => all.includes(scope));
}

/** Runs a generated decoder; whatever it throws becomes DECODE_INVALID. */
export function parsed<T>(message: string, decode: () => T): T {
  try {
    return decode();
  } catch (error) {
    if (error instanceof LenscapError) throw error;
    throw new LenscapError('DECODE_INVALID', `${message} is no protobuf message of its kind`, {
      cause: error,
    });
  }
}
