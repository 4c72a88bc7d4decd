// The Event message: something happened, at the camera or before it. What kind of data an event is
// follows from its kind alone, by the table here.
import { type ErrorCode, isErrorCode, LenscapError } from './errors.ts';
import { hexId, parsed, text, timeUs, uuid, whole } from './fields.ts';
import type { Scope } from './scopes.ts';
import { lenscap } from './wire.ts';

const Wire = lenscap.v1.Event;
const MAX_DETAIL = 200;

/** Kinds in the order of the wire numbers, from 1, each with the scope it needs. */
export const EVENT_SCOPES = {
  motion: 'video',
  sound: 'audio',
  covered: 'video',
  moved: 'video',
  power_restored: 'device_info',
  storage_failing: 'device_info',
  clock_jumped: 'device_info',
  config_reverted: 'device_info',
  certificate_renewed: 'device_info',
} as const satisfies Record<string, Scope>;
export type EventKind = keyof typeof EVENT_SCOPES;

export function isEventKind(value: string): value is EventKind {
  return Object.hasOwn(EVENT_SCOPES, value);
}

export const EVENT_KINDS: readonly EventKind[] = Object.keys(EVENT_SCOPES).filter(isEventKind);

export interface Event {
  readonly eventId: string;
  readonly kind: EventKind;
  readonly bootId: string;
  readonly startAtUs: number;
  readonly startMonoUs: number;
  /** 0: a moment, or it lasts. */
  readonly durationUs: number;
  /** It has begun and not ended; a later message with its id says the end. */
  readonly lasts: boolean;
  readonly epoch: number;
  /** `motion`: percent of the picture. `sound`: dB below full scale. Otherwise 0. */
  readonly peak: number;
  /** The error behind it, if there was one. */
  readonly code: ErrorCode | null;
  /** For people; never names, addresses or what was seen. */
  readonly detail: string;
}

export function encodeEvent(event: Event): Uint8Array {
  return Wire.encode({
    ...event,
    kind: EVENT_KINDS.indexOf(event.kind) + 1,
    code: event.code ?? '',
    detail: event.detail.slice(0, MAX_DETAIL),
  }).finish();
}

/** @throws DECODE_INVALID. */
export function decodeEvent(payload: Uint8Array): Event {
  const wire = parsed('event', () => Wire.decode(payload));
  const kind = EVENT_KINDS[wire.kind - 1];
  if (kind === undefined)
    throw new LenscapError('DECODE_INVALID', `no known kind of an event: ${wire.kind}`);
  if (wire.code !== '' && !isErrorCode(wire.code))
    throw new LenscapError('DECODE_INVALID', 'code has to be an error code or absent');
  const durationUs = whole('duration_us', wire.durationUs, 0, 2 ** 51);
  if (wire.lasts && durationUs > 0)
    throw new LenscapError('DECODE_INVALID', 'what lasts has no duration yet');
  return {
    eventId: hexId('event_id', wire.eventId),
    kind,
    bootId: uuid('boot_id', wire.bootId),
    startAtUs: timeUs('start_at_us', wire.startAtUs),
    startMonoUs: timeUs('start_mono_us', wire.startMonoUs),
    durationUs,
    lasts: wire.lasts,
    epoch: whole('epoch', wire.epoch, 1),
    peak: whole('peak', wire.peak, 0, 200),
    code: wire.code === '' ? null : wire.code,
    detail: text('detail', wire.detail, MAX_DETAIL),
  };
}
