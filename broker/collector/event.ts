// Events as candidates of the index. What of the camera itself an event tells is device information,
// so it needs the part `health` of the policy besides its scope.
import { EVENT_SCOPES, type Event } from '../../proto/event.ts';
import type { Offer } from './group-commit.ts';

/**
 * Its row and the scope of its kind; `asOf` is the epoch by which it was decided that it may be told. What
 * is for people to read is kept without control characters.
 */
export function eventOffer(deviceId: string, event: Event, nowUs: number, asOf?: number): Offer {
  const row = {
    device_id: deviceId,
    event_id: event.eventId,
    kind: event.kind,
    boot_id: event.bootId,
    start_at_us: event.startAtUs,
    start_mono_us: event.startMonoUs,
    duration_us: event.durationUs,
    lasts: event.lasts ? 1 : 0,
    epoch: event.epoch,
    peak: event.peak,
    code: event.code,
    detail: event.detail.replace(/\p{Cc}/gu, ' '),
    received_at_us: nowUs,
    corrected_us: 0,
    // By what the owner wants at commit.
    is_alert: 0,
  };
  const scopes = [EVENT_SCOPES[event.kind]];
  const candidate = { kind: 'event', row, scopes, ...(asOf !== undefined && { asOf }) } as const;
  return { candidate, sealed: null, bytes: 1024 };
}

export function isOfDevice({ kind }: Event): boolean {
  return EVENT_SCOPES[kind] === 'device_info';
}
