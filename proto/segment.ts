// The Segment message. Media bytes are copied once by the encoder and not at all by the decoder:
// the decoded `media` is a view of the payload and pins it.

import { LenscapError } from './errors.ts';
import { bytesOf, hexId, parsed, scopes, timeUs, whole } from './fields.ts';
import { type Scope, scopeToWire } from './scopes.ts';
import { lenscap, protobuf } from './wire.ts';

const Wire = lenscap.v1.Segment;
const MEDIA_TAG = (15 << 3) | 2;
/** Everything before the media bytes; bounds the work that a hostile header can cause. */
export const MAX_SEGMENT_HEADER_BYTES = 16 * 1024;
export const MAX_CHUNKS = 2048;
export const MAX_SEGMENT_US = 10 * 60 * 1_000_000;

export interface SegmentHeader {
  readonly streamId: string;
  readonly sequence: number;
  readonly startAtUs: number;
  readonly startMonoUs: number;
  readonly durationUs: number;
  readonly decodeStartUs: number;
  readonly epoch: number;
  readonly scopes: readonly Scope[];
  /** Of all chunks one after another, 32 bytes. */
  readonly sha256: Uint8Array;
}

export interface Segment extends SegmentHeader {
  readonly chunkBytes: readonly number[];
  readonly media: Uint8Array;
}

/** One payload from a header and its chunks (each one moof + mdat, in order of decode time). */
export function encodeSegment(header: SegmentHeader, chunks: readonly Uint8Array[]): Buffer {
  return joinSegment(encodeSegmentHead(header, chunks), chunks);
}

/** All of a payload but its media, which are kept apart until it is sent. */
export function encodeSegmentHead(
  header: SegmentHeader,
  chunks: readonly Uint8Array[],
): Uint8Array {
  const chunkBytes = chunks.map(({ byteLength }) => byteLength);
  return Wire.encode({ ...header, scopes: header.scopes.map(scopeToWire), chunkBytes }).finish();
}

/** The payload of a head and its media, in any number of pieces. */
export function joinSegment(head: Uint8Array, media: readonly Uint8Array[]): Buffer {
  const mediaBytes = media.reduce((sum, { byteLength }) => sum + byteLength, 0);
  const tag = protobuf.Writer.create().uint32(MEDIA_TAG).uint32(mediaBytes).finish();
  return Buffer.concat([head, tag, ...media]);
}

/** @throws DECODE_INVALID. Does not compare the SHA-256: that is the collector's. */
export function decodeSegment(payload: Uint8Array): Segment {
  const { head, media } = parsed('segment', () => splitMedia(payload));
  const decoded = decodeSegmentHead(head);
  const total = decoded.chunkBytes.reduce((sum, bytes) => sum + bytes, 0);
  if (total !== media.byteLength)
    throw new LenscapError(
      'DECODE_INVALID',
      `chunks of ${total} bytes, media of ${media.byteLength}`,
    );
  return { ...decoded, media };
}

/** What `encodeSegmentHead` gave. @throws DECODE_INVALID. */
export function decodeSegmentHead(head: Uint8Array): Omit<Segment, 'media'> {
  const wire = parsed('segment', () => Wire.decode(head));
  if (wire.sealing)
    throw new LenscapError('DECODE_INVALID', 'sealed segments are not taken in yet');
  if (wire.chunkBytes.length === 0 || wire.chunkBytes.length > MAX_CHUNKS)
    throw new LenscapError('DECODE_INVALID', `chunk_bytes has to hold 1 to ${MAX_CHUNKS} sizes`);
  return {
    streamId: hexId('stream_id', wire.streamId),
    sequence: whole('sequence', wire.sequence),
    startAtUs: timeUs('start_at_us', wire.startAtUs),
    startMonoUs: timeUs('start_mono_us', wire.startMonoUs),
    durationUs: whole('duration_us', wire.durationUs, 1, MAX_SEGMENT_US),
    decodeStartUs: timeUs('decode_start_us', wire.decodeStartUs),
    epoch: whole('epoch', wire.epoch, 1),
    scopes: scopes('scopes', wire.scopes),
    sha256: Uint8Array.from(bytesOf('sha256', wire.sha256, 32)),
    chunkBytes: wire.chunkBytes,
  };
}

/** Header bytes and media bytes as views; media has to be the last field. */
function splitMedia(payload: Uint8Array): { head: Uint8Array; media: Uint8Array } {
  const reader = protobuf.Reader.create(payload);
  while (reader.pos < reader.len) {
    const at = reader.pos;
    if (at > MAX_SEGMENT_HEADER_BYTES) break;
    const tag = reader.uint32();
    if (tag !== MEDIA_TAG) {
      reader.skipType(tag & 7);
      continue;
    }
    const media = reader.bytes();
    if (reader.pos !== reader.len) break;
    return { head: payload.subarray(0, at), media };
  }
  throw new LenscapError(
    'DECODE_INVALID',
    `a segment ends with its media, after at most ${MAX_SEGMENT_HEADER_BYTES} bytes of header`,
  );
}
