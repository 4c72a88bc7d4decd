// What the moov box says: tracks with codec strings (RFC 6381), sizes and rates.
import type { Track } from '../../proto/stream.ts';
import { children, findBox, malformed, needBox, reading } from './boxes.ts';

/** Bytes before the child boxes of a sample entry. */
const VISUAL_ENTRY_BYTES = 78;
const AUDIO_ENTRY_BYTES = 28;

/**
 * Tracks of a moov box (header included), video first.
 * @throws CAPTURE_FAILED when it is damaged or holds a codec that is not ours.
 */
export function parseMovie(moov: Buffer): Track[] {
  return reading('moov', () =>
    children(moov.subarray(8))
      .filter(({ type }) => type === 'trak')
      .map(({ body }) => parseTrack(body))
      .sort((a, b) => b.kind.localeCompare(a.kind)),
  );
}

function parseTrack(trak: Buffer): Track {
  const tkhd = needBox(trak, 'tkhd');
  const mdia = needBox(trak, 'mdia');
  const mdhd = needBox(mdia, 'mdhd');
  const stsd = needBox(mdia, 'minf', 'stbl', 'stsd');
  const common = {
    trackId: tkhd.readUInt32BE(tkhd[0] === 1 ? 20 : 12),
    timescale: mdhd.readUInt32BE(mdhd[0] === 1 ? 20 : 12),
  };
  const entry = children(stsd.subarray(8))[0] ?? malformed('stsd is empty');
  const handler = needBox(mdia, 'hdlr').toString('latin1', 8, 12);
  if (handler === 'vide')
    return {
      kind: 'video',
      ...common,
      codec: videoCodec(entry.type, entry.body),
      width: entry.body.readUInt16BE(24),
      height: entry.body.readUInt16BE(26),
      sampleRate: 0,
      channels: 0,
    };
  if (handler === 'soun')
    return {
      kind: 'audio',
      ...common,
      codec: audioCodec(entry.type, entry.body),
      width: 0,
      height: 0,
      sampleRate: entry.body.readUInt32BE(24) >>> 16,
      channels: entry.body.readUInt16BE(16),
    };
  return malformed(`a track of kind ${handler}`);
}

function videoCodec(type: string, entry: Buffer): string {
  if (type !== 'avc1' && type !== 'avc3') return malformed(`video as ${type}`);
  const avcC = needBox(entry.subarray(VISUAL_ENTRY_BYTES), 'avcC');
  if (avcC.length < 4) malformed('avcC is too short');
  return `${type}.${avcC.toString('hex', 1, 4)}`;
}

function audioCodec(type: string, entry: Buffer): string {
  if (type === 'Opus') return 'opus';
  if (type !== 'mp4a') return malformed(`audio as ${type}`);
  const esds = findBox(entry.subarray(AUDIO_ENTRY_BYTES), 'esds') ?? malformed('no esds');
  return `mp4a.${elementaryCodec(esds.subarray(4))}`;
}

/** Object type and audio object type of an ES descriptor (ISO/IEC 14496-1). */
function elementaryCodec(descriptors: Buffer): string {
  const es = descriptor(descriptors, 0x03) ?? malformed('no ES descriptor');
  const flags = es.readUInt8(2);
  let skip = 3 + (flags & 0x80 ? 2 : 0);
  if (flags & 0x40) skip += 1 + es.readUInt8(skip);
  if (flags & 0x20) skip += 2;
  const config = descriptor(es.subarray(skip), 0x04) ?? malformed('no decoder configuration');
  const objectType = config.readUInt8(0).toString(16).padStart(2, '0');
  const specific = descriptor(config.subarray(13), 0x05);
  if (specific === undefined || specific.length < 2) return objectType;
  const audioType = specific.readUInt8(0) >> 3;
  const escaped = 32 + ((specific.readUInt16BE(0) >> 5) & 0x3f);
  return `${objectType}.${audioType === 31 ? escaped : audioType}`;
}

/** Content of the first descriptor, if it bears this tag. */
function descriptor(bytes: Buffer, tag: number): Buffer | undefined {
  if (bytes.length < 2 || bytes[0] !== tag) return undefined;
  let length = 0;
  let at = 1;
  for (let more = true; more; at += 1) {
    const byte = bytes.readUInt8(at);
    length = (length << 7) | (byte & 0x7f);
    more = (byte & 0x80) !== 0 && at < 4;
  }
  return bytes.subarray(at, at + length);
}
