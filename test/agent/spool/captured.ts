// Streams, segments and gaps as a capture hands them on, for the tests of spool and uplink.
import { createHash } from 'node:crypto';
import type { Event } from '../../../proto/event.ts';
import type { Gap } from '../../../proto/gap.ts';
import type { SegmentHeader } from '../../../proto/segment.ts';
import type { Stream } from '../../../proto/stream.ts';

export const BOOT = '01234567-89ab-4cde-8f01-23456789abcd';
const START_US = 1_800_000_000_000_000;
export const SECOND_US = 1_000_000;

export function hex(seed: string): string {
  return createHash('sha256').update(seed).digest('hex').slice(0, 32);
}

export function stream(name: string, more: Partial<Stream> = {}): Stream {
  return {
    streamId: hex(name),
    bootId: BOOT,
    startAtUs: START_US,
    startMonoUs: SECOND_US,
    epoch: 1,
    scopes: ['video'],
    tracks: [
      {
        kind: 'video',
        trackId: 1,
        codec: 'avc1.42c01f',
        timescale: 90000,
        width: 64,
        height: 64,
        sampleRate: 0,
        channels: 0,
      },
    ],
    timeEstimated: false,
    init: Buffer.from('init'),
    ...more,
  };
}

export const media = (bytes = 1000): Uint8Array[] => [Buffer.alloc(bytes, 7)];

export function header(
  name: string,
  sequence: number,
  more: Partial<SegmentHeader> = {},
): SegmentHeader {
  return {
    streamId: hex(name),
    sequence,
    startAtUs: START_US + sequence * SECOND_US,
    startMonoUs: SECOND_US + sequence * SECOND_US,
    durationUs: SECOND_US,
    decodeStartUs: sequence * SECOND_US,
    epoch: 1,
    scopes: ['video'],
    sha256: createHash('sha256').update(Buffer.alloc(1000, 7)).digest(),
    ...more,
  };
}

export function gap(name: string, startS: number, more: Partial<Gap> = {}): Gap {
  return {
    gapId: hex(name),
    bootId: BOOT,
    startAtUs: START_US + startS * SECOND_US,
    startMonoUs: SECOND_US + startS * SECOND_US,
    durationUs: SECOND_US,
    reason: 'source_lost',
    epoch: 1,
    code: null,
    ...more,
  };
}

/** Motion that lasts, unless said otherwise. */
export function event(name: string, startS: number, more: Partial<Event> = {}): Event {
  return {
    eventId: hex(name),
    kind: 'motion',
    bootId: BOOT,
    startAtUs: START_US + startS * SECOND_US,
    startMonoUs: SECOND_US + startS * SECOND_US,
    durationUs: 0,
    lasts: true,
    epoch: 1,
    peak: 0,
    code: null,
    detail: '',
    ...more,
  };
}
