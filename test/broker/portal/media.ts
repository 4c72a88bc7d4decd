// Real media for the tests: the fixture through real muxers, cut into segments like the agent does,
// sealed and committed through the store.
import { execFile } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { boxIn, parseBoxes } from '../../../broker/portal/mp4/boxes.ts';
import { measureSegment } from '../../../broker/portal/mp4/fragment.ts';
import { parseInit } from '../../../broker/portal/mp4/init.ts';
import { type Candidate, commit, type Outcome } from '../../../broker/store/commit.ts';
import type { DeviceRow } from '../../../broker/store/devices.ts';
import { initIdentity, segmentIdentity } from '../../../broker/store/identities.ts';
import { newId } from '../../../broker/store/ids.ts';
import { seal } from '../../../broker/store/seal.ts';
import type { Store } from '../../../broker/store/store.ts';
import type { GapReason } from '../../../proto/gap.ts';
import type { Scope } from '../../../proto/scopes.ts';

export const run = promisify(execFile);
const FIXTURE = new URL('../../fixtures/motion.mov', import.meta.url).pathname;

export interface Cut {
  readonly init: Buffer;
  readonly segments: readonly Buffer[];
  readonly hasAudio: boolean;
  /** Pictures in it. */
  readonly frames: number;
}

/** Made once for a test file; what it holds does not depend on the folder. */
function once(make: (folder: string) => Promise<Cut>): (folder: string) => Promise<Cut> {
  let made: Promise<Cut> | undefined;
  return (folder) => {
    made ??= make(folder);
    return made;
  };
}

const FRAGMENTED = [
  '-video_track_timescale',
  '90000',
  '-movflags',
  '+frag_keyframe+empty_moov+default_base_moof',
];

/** The fixture as it is: 568x320, H.264 and AAC, 8 segments of a second; moofs hold both tracks. */
export const cutMotion = once(async (folder: string): Promise<Cut> => {
  const path = join(folder, `${newId()}.mp4`);
  await run('ffmpeg', ['-v', 'error', '-i', FIXTURE, '-c', 'copy', ...FRAGMENTED, path]);
  return cut(path);
});

/** The fixture as 320x240 without sound; one segment a second. */
export const cutSmall = once(async (folder: string): Promise<Cut> => {
  const path = join(folder, `${newId()}.mp4`);
  const video = ['-vf', 'scale=320:240', '-c:v', 'libx264', '-preset', 'ultrafast', '-g', '30'];
  await run('ffmpeg', ['-v', 'error', '-i', FIXTURE, '-an', ...video, ...FRAGMENTED, path]);
  return cut(path);
});

/** The fixture through the agent's muxer: a moof for each track and 200 ms. */
export const cutByGstreamer = once(async (folder: string): Promise<Cut> => {
  const path = join(folder, `${newId()}.mp4`);
  const line = `filesrc location=${FIXTURE} ! qtdemux name=d d.video_0 ! queue ! h264parse ! video/x-h264,stream-format=avc,alignment=au ! mux. d.audio_0 ! queue ! aacparse ! mux. mp4mux name=mux trak-timescale=90000 fragment-duration=200 streamable=true ! filesink location=${path}`;
  await run('gst-launch-1.0', ['-q', ...line.split(' ')]);
  return cut(path);
});

async function cut(path: string): Promise<Cut> {
  const boxes = parseBoxes(await readFile(path));
  const head = boxes.filter(({ type }) => type === 'ftyp' || type === 'moov');
  const init = Buffer.concat(head.map(({ bytes }) => bytes));
  const tracks = parseInit(init);
  const video = tracks.find(({ kind }) => kind === 'video')?.trackId;
  const segments: Buffer[][] = [];
  let isWanted = false;
  // The first sound may come before the first picture; it belongs to the first segment.
  let hasPicture = false;
  for (const { type, bytes, body } of boxes) {
    if (type === 'moof' && startsWithKeyframe(body, video)) {
      if (hasPicture) segments.push([]);
      hasPicture = true;
    }
    isWanted = type === 'moof' || (type === 'mdat' && isWanted);
    if (isWanted && segments.length === 0) segments.push([]);
    if (isWanted) segments.at(-1)?.push(bytes);
  }
  const whole = segments.map((parts) => Buffer.concat(parts));
  const hasAudio = tracks.some(({ kind }) => kind === 'audio');
  return { init, segments: whole, hasAudio, frames: await decode(path) };
}

const NOT_SYNC = 0x10000;

function startsWithKeyframe(moof: Buffer, video: number | undefined): boolean {
  return parseBoxes(moof)
    .filter(({ type }) => type === 'traf')
    .some(({ body }) => {
      const tfhd = boxIn(body, 'tfhd').body;
      if (tfhd.readUInt32BE(4) !== video) return false;
      const trun = boxIn(body, 'trun').body;
      const flags = trun.readUInt32BE(0);
      const first = 8 + (flags & 0x1 ? 4 : 0);
      if (flags & 0x4) return (trun.readUInt32BE(first) & NOT_SYNC) === 0;
      const inTable = (flags & 0x100 ? 4 : 0) + (flags & 0x200 ? 4 : 0);
      if (flags & 0x400) return (trun.readUInt32BE(first + inTable) & NOT_SYNC) === 0;
      return (tfhd.readUInt32BE(tfhd.length - 4) & NOT_SYNC) === 0;
    });
}

export interface Stored {
  readonly streamId: string;
  readonly outcomes: readonly Outcome[];
  /** Wall time of the end of the last segment. */
  readonly endUs: number;
}

export interface StoreOptions {
  readonly store: Store;
  readonly device: DeviceRow;
  readonly startAtUs: number;
  readonly epoch: number;
  /** Sequence numbers to leave out, as if they had been lost. */
  readonly lost?: readonly number[];
  readonly receivedAtUs?: number;
}

/** Stores a cut as one stream. */
export async function storeCut(cutMedia: Cut, options: StoreOptions): Promise<Stored> {
  const { store, device, startAtUs, epoch, lost = [], receivedAtUs = startAtUs } = options;
  const streamId = newId();
  const tracks = parseInit(cutMedia.init);
  const byId = new Map(tracks.map((track) => [track.trackId, track]));
  const video = tracks.find(({ kind }) => kind === 'video');
  if (!video) throw new Error('no video');
  const key = await store.keys.account(device.account_id);
  const scopes: Scope[] = cutMedia.hasAudio ? ['video', 'audio'] : ['video'];
  const common = {
    device_id: device.device_id,
    stream_id: streamId,
    epoch,
    scopes: scopes.join(','),
    received_at_us: receivedAtUs,
    corrected_us: 0,
  };
  const sealedInit = Buffer.concat(
    seal(key, initIdentity(device.account_id, device.device_id, streamId), cutMedia.init),
  );
  const described = tracks.map(({ kind, trackId, timescale }) => ({
    kind,
    trackId,
    codec: kind === 'video' ? 'avc1.4d001e' : 'mp4a.40.2',
    timescale,
    width: 0,
    height: 0,
    sampleRate: 0,
    channels: 0,
  }));
  const group: Candidate[] = [
    {
      kind: 'stream',
      scopes,
      row: {
        ...common,
        boot_id: '00000000-0000-4000-8000-000000000000',
        start_at_us: startAtUs,
        start_mono_us: 1_000_000,
        tracks: JSON.stringify(described),
        sealed_init: sealedInit,
        init_sha256: sha256(cutMedia.init),
        time_estimated: 0,
      },
    },
  ];
  const blobs = store.blobs.group();
  let endUs = startAtUs;
  for (const [sequence, media] of cutMedia.segments.entries()) {
    const times = measureSegment(media, byId).get(video.trackId);
    if (!times) throw new Error('a segment without video');
    const us = (ticks: number): number => Math.round((ticks * 1e6) / video.timescale);
    endUs = startAtUs + us(times.end);
    if (lost.includes(sequence)) continue;
    const row = {
      ...common,
      sequence,
      start_at_us: startAtUs + us(times.first),
      start_mono_us: 1_000_000 + us(times.first),
      duration_us: us(times.end - times.first),
      decode_start_us: us(times.first),
      sha256: sha256(media),
      media_bytes: media.length,
    };
    const blobId = await blobs.write(
      seal(key, segmentIdentity(device.account_id, { ...common, sequence }), media),
    );
    group.push({ kind: 'segment', scopes, row: { ...row, blob_id: blobId } });
  }
  await blobs.commit();
  return { streamId, outcomes: await commit(store.index, group), endUs };
}

/** Stores a gap that the camera reported. */
export async function storeGap(
  { store, device, epoch }: Pick<StoreOptions, 'store' | 'device' | 'epoch'>,
  span: { readonly startAtUs: number; readonly durationUs: number; readonly reason: GapReason },
): Promise<void> {
  const row = {
    device_id: device.device_id,
    gap_id: newId(),
    boot_id: '00000000-0000-4000-8000-000000000000',
    start_at_us: span.startAtUs,
    start_mono_us: 1,
    duration_us: span.durationUs,
    reason: span.reason,
    epoch,
    code: 'CAPTURE_STALLED',
    received_at_us: span.startAtUs,
    corrected_us: 0,
  };
  const [outcome] = await commit(store.index, [{ kind: 'gap', row, scopes: ['video'] }]);
  if (outcome !== 'stored') throw new Error(`the gap is ${outcome}`);
}

export function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** Bytes that are no media. */
export function noise(bytes: number): Buffer {
  return randomBytes(bytes);
}

export interface Probed {
  readonly videoFrames: number;
  readonly audioFrames: number;
  readonly durationS: number;
  readonly streams: number;
}

/** What ffprobe reads; throws when it has a single complaint. */
export async function probe(path: string): Promise<Probed> {
  const { stdout, stderr } = await run('ffprobe', [
    '-v',
    'error',
    '-count_frames',
    '-show_entries',
    'format=duration:stream=codec_type,nb_read_frames',
    '-of',
    'json',
    path,
  ]);
  if (stderr !== '') throw new Error(`ffprobe: ${stderr}`);
  const found: {
    streams: { codec_type: string; nb_read_frames: string }[];
    format: { duration: string };
  } = JSON.parse(stdout);
  const frames = (kind: string): number =>
    Number(found.streams.find(({ codec_type }) => codec_type === kind)?.nb_read_frames ?? 0);
  return {
    videoFrames: frames('video'),
    audioFrames: frames('audio'),
    durationS: Number(found.format.duration),
    streams: found.streams.length,
  };
}

/** Decodes all of it with ffmpeg; throws at the first complaint. Answers the pictures decoded. */
export async function decode(input: string): Promise<number> {
  const { stdout, stderr } = await run('ffmpeg', [
    ...['-v', 'error', '-xerror', '-i', input],
    ...['-fps_mode', 'passthrough', '-progress', '-', '-f', 'null', '-'],
  ]);
  if (stderr !== '') throw new Error(`ffmpeg: ${stderr}`);
  return Number([...stdout.matchAll(/^frame=(\d+)$/gm)].at(-1)?.[1] ?? 0);
}
