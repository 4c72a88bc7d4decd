// Segments for the load: valid to the last byte, distinct, and made without copying the media.
import { createHash, randomBytes } from 'node:crypto';
import type { Scope } from '../../../proto/scopes.ts';
import { encodeSegment, type SegmentHeader } from '../../../proto/segment.ts';
import { encodeStream } from '../../../proto/stream.ts';

const CHUNKS = 20;
const DURATION_US = 2_000_000;
const SCOPES: readonly Scope[] = ['video', 'audio'];
const CHUNK_BYTES_TAG = (10 << 3) | 2;
const MEDIA_TAG = (15 << 3) | 2;

/** Media bytes that several segments share, with what their headers need. */
export interface Media {
  readonly media: Buffer;
  readonly sha256: Buffer;
  /** The fields from chunk_bytes on: its sizes, then tag and length of the media. */
  readonly tail: Buffer;
  readonly chunks: readonly Buffer[];
}

export function makeMedia(segmentBytes: number): Media {
  const media = randomBytes(segmentBytes);
  const size = Math.ceil(segmentBytes / CHUNKS);
  const chunks = Array.from({ length: CHUNKS }, (_, i) =>
    media.subarray(i * size, Math.min((i + 1) * size, segmentBytes)),
  );
  const sizes = Buffer.concat(chunks.map(({ length }) => varint(length)));
  const tail = Buffer.concat([
    varint(CHUNK_BYTES_TAG),
    varint(sizes.length),
    sizes,
    varint(MEDIA_TAG),
    varint(segmentBytes),
  ]);
  return { media, sha256: createHash('sha256').update(media).digest(), tail, chunks };
}

/** Everything of a segment's payload before its media bytes. */
export function segmentHead(run: Run, sequence: number, { sha256, tail }: Media): Buffer {
  const head = encodeSegment(headerOf(run, sequence, sha256), []);
  // An empty segment ends with the media's tag and a length of 0: two bytes.
  return Buffer.concat([head.subarray(0, head.length - 2), tail]);
}

/** @throws when the shortcut and the contract's own encoder disagree. */
export function checkShortcut(run: Run, media: Media): void {
  const direct = encodeSegment(headerOf(run, 7, media.sha256), media.chunks);
  if (!direct.equals(Buffer.concat([segmentHead(run, 7, media), media.media])))
    throw new Error('the load would not be what the contract says');
}

/** One run of capture. */
export interface Run {
  readonly streamId: string;
  readonly bootId: string;
  readonly epoch: number;
  readonly startAtUs: number;
}

export function streamPayload(run: Run): Uint8Array {
  const audio = { kind: 'audio', trackId: 2, codec: 'mp4a.40.2', timescale: 90000 } as const;
  const video = { kind: 'video', trackId: 1, codec: 'avc1.64001f', timescale: 90000 } as const;
  return encodeStream({
    ...run,
    startMonoUs: run.startAtUs,
    scopes: SCOPES,
    tracks: [
      { ...video, width: 1280, height: 720, sampleRate: 0, channels: 0 },
      { ...audio, width: 0, height: 0, sampleRate: 48000, channels: 2 },
    ],
    timeEstimated: false,
    init: randomBytes(1200),
  });
}

function headerOf(run: Run, sequence: number, sha256: Uint8Array): SegmentHeader {
  const offsetUs = sequence * DURATION_US;
  return {
    streamId: run.streamId,
    sequence,
    startAtUs: run.startAtUs + offsetUs,
    startMonoUs: run.startAtUs + offsetUs,
    durationUs: DURATION_US,
    decodeStartUs: offsetUs,
    epoch: run.epoch,
    scopes: SCOPES,
    sha256,
  };
}

/** MQTT's remaining length and protobuf's varint are the same code. */
export function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  for (; rest > 127; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 128);
  bytes.push(rest);
  return Buffer.from(bytes);
}
