// The Stream message: start of one run of capture, with the bytes that make its segments playable.

import { LenscapError } from './errors.ts';
import { hexId, parsed, scopes, text, timeUs, uuid, whole } from './fields.ts';
import { type Scope, scopeToWire } from './scopes.ts';
import { lenscap } from './wire.ts';

const Wire = lenscap.v1.Stream;
const TrackKind = lenscap.v1.TrackKind;
export const MAX_INIT_BYTES = 64 * 1024;

export interface Track {
  readonly kind: 'video' | 'audio';
  readonly trackId: number;
  /** RFC 6381. */
  readonly codec: string;
  readonly timescale: number;
  /** 0 for audio. */
  readonly width: number;
  readonly height: number;
  /** 0 for video. */
  readonly sampleRate: number;
  readonly channels: number;
}

export interface Stream {
  readonly streamId: string;
  readonly bootId: string;
  readonly startAtUs: number;
  readonly startMonoUs: number;
  readonly epoch: number;
  readonly scopes: readonly Scope[];
  readonly tracks: readonly Track[];
  /** `startAtUs` is an estimate, at the earliest: the clock of the camera had not been set. */
  readonly timeEstimated: boolean;
  /** ftyp + moov. */
  readonly init: Uint8Array;
}

export function encodeStream(stream: Stream): Uint8Array {
  return Wire.encode({
    ...stream,
    scopes: stream.scopes.map(scopeToWire),
    tracks: stream.tracks.map((track) => ({
      ...track,
      kind: track.kind === 'video' ? TrackKind.VIDEO_TRACK : TrackKind.AUDIO_TRACK,
    })),
  }).finish();
}

/** @throws DECODE_INVALID. */
export function decodeStream(payload: Uint8Array): Stream {
  const wire = parsed('stream', () => Wire.decode(payload));
  if (wire.sealing) throw new LenscapError('DECODE_INVALID', 'sealed streams are not taken in yet');
  if (wire.init.byteLength === 0 || wire.init.byteLength > MAX_INIT_BYTES)
    throw new LenscapError('DECODE_INVALID', `init has to be 1 to ${MAX_INIT_BYTES} bytes`);
  const tracks = wire.tracks.map(decodeTrack);
  const held = scopes('scopes', wire.scopes);
  const hasAudio = tracks.some(({ kind }) => kind === 'audio');
  if (tracks.length > 2 || tracks.filter(({ kind }) => kind === 'video').length !== 1)
    throw new LenscapError('DECODE_INVALID', 'tracks has to hold one video and at most one audio');
  if (!held.includes('video') || held.includes('audio') !== hasAudio)
    throw new LenscapError('DECODE_INVALID', 'scopes and tracks do not match');
  return {
    streamId: hexId('stream_id', wire.streamId),
    bootId: uuid('boot_id', wire.bootId),
    startAtUs: timeUs('start_at_us', wire.startAtUs),
    startMonoUs: timeUs('start_mono_us', wire.startMonoUs),
    epoch: whole('epoch', wire.epoch, 1),
    scopes: held,
    tracks,
    timeEstimated: wire.timeEstimated,
    init: Uint8Array.from(wire.init),
  };
}

function decodeTrack(properties: lenscap.v1.Track.$Properties): Track {
  const wire = new lenscap.v1.Track(properties);
  if (wire.kind !== TrackKind.VIDEO_TRACK && wire.kind !== TrackKind.AUDIO_TRACK)
    throw new LenscapError('DECODE_INVALID', `no known kind of track: ${wire.kind}`);
  return {
    kind: wire.kind === TrackKind.VIDEO_TRACK ? 'video' : 'audio',
    trackId: whole('track_id', wire.trackId, 1),
    codec: text('codec', wire.codec, 64),
    timescale: whole('timescale', wire.timescale, 1),
    width: whole('width', wire.width),
    height: whole('height', wire.height),
    sampleRate: whole('sample_rate', wire.sampleRate),
    channels: whole('channels', wire.channels),
  };
}
