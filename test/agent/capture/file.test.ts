// Recordings as sources: what is passed through, what is converted, how a loop goes on.
import { join } from 'node:path';
import t, { type Test } from 'tap';
import {
  captureConfig,
  decodeErrors,
  ffmpeg,
  MOTION,
  type Overrides,
  packets,
  payloadHashes,
  Recording,
} from './harness.ts';

t.jobs = 4;

function file(path: string, loop = false, over: Overrides = {}, audio = true): Recording {
  return new Recording(captureConfig({ type: 'file', path, loop }, over), audio);
}

async function eachPlaysAlone(t: Test, recording: Recording, dir: string): Promise<void> {
  const paths = await Promise.all(
    [...recording.segments.keys()].map((at) => recording.write(dir, at)),
  );
  for (const path of new Set([paths[1] ?? paths[0], paths.at(-1)]))
    t.match((await packets(path ?? dir, 'v', 'flags'))[0]?.[0], /^K/, 'it begins with a keyframe');
  t.ok(recording.segments.every(({ header }) => header.durationUs > 0));
  t.equal(await decodeErrors(...paths), '', 'each segment decodes');
}

t.test('a recording in H.264 and AAC passes through unchanged and ends the run', async (t) => {
  const dir = t.testdir();
  const source = join(dir, 'source.mov');
  await ffmpeg('-i', MOTION, '-t', '4', '-c', 'copy', source);
  const recording = file(source);
  await recording.ended;
  t.strictSame(recording.gaps, []);
  t.equal(recording.streams.length, 1);
  t.match(recording.streams[0], {
    epoch: 7,
    scopes: ['video', 'audio'],
    tracks: [
      { kind: 'video', codec: 'avc1.4d001e', width: 568, height: 320, timescale: 90000 },
      { kind: 'audio', codec: 'mp4a.40.2', sampleRate: 44100, channels: 1 },
    ],
  });
  const all = await recording.writeAll(dir);
  // Its last frames may lie beyond the duration that the recording states.
  for (const [stream, missing] of [
    ['v', 1],
    ['a', 3],
  ] as const) {
    const [got, had] = [await payloadHashes(all, stream), await payloadHashes(source, stream)];
    t.strictSame(got, had.slice(0, got.length), `${stream}: unchanged`);
    t.ok(got.length >= had.length - missing && got.length > 100, `${got.length} of ${had.length}`);
  }
  await eachPlaysAlone(t, recording, dir);
  const starts = recording.segments.map(({ header }) => header.decodeStartUs);
  const ends = recording.segments.map(({ header }) => header.decodeStartUs + header.durationUs);
  t.strictSame(starts.slice(1), ends.slice(0, -1), 'no hole between segments');
  const spentUs = (recording.segments.at(-1)?.atUs ?? 0) - (recording.segments[0]?.atUs ?? 0);
  t.ok(spentUs > 2.5e6 && spentUs < 5e6, `played in real time: ${spentUs} us`);
});

t.test('B-frames pass through unchanged', async (t) => {
  const dir = t.testdir();
  const source = join(dir, 'b.mp4');
  await ffmpeg(
    ...['-i', MOTION, '-t', '2', '-an', '-c:v', 'libx264', '-preset', 'veryfast'],
    ...['-bf', '3', '-g', '15', source],
  );
  const recording = file(source);
  await recording.ended;
  const all = await recording.writeAll(dir);
  t.strictSame(await payloadHashes(all, 'v'), await payloadHashes(source, 'v'));
  t.strictSame(recording.streams[0]?.scopes, ['video'], 'and no sound is video only');
  await eachPlaysAlone(t, recording, dir);
});

for (const [what, codecs] of Object.entries({
  'passed through': { copy: true },
  'encoded anew': { copy: false },
}))
  t.test(`a looped recording is one unbroken stream, ${what}`, async (t) => {
    const dir = t.testdir();
    const source = join(dir, 'short.mp4');
    const video = codecs.copy ? ['-c:v', 'copy'] : ['-c:v', 'mpeg4', '-s', '160x120'];
    await ffmpeg('-i', MOTION, '-t', '2', ...video, '-c:a', 'copy', source);
    const recording = file(source, true);
    await recording.until('a third round', () => recording.segments.length >= 5);
    const children = recording.segments.length;
    await recording.stop();
    t.ok(recording.segments.length >= children);
    t.equal(recording.streams.length, 1, 'one stream');
    t.strictSame(recording.gaps, []);
    await eachPlaysAlone(t, recording, dir);
    const all = await recording.writeAll(dir);
    t.equal(await decodeErrors(all), '');
    for (const stream of ['v', 'a']) {
      const times = (await packets(all, stream, 'dts_time')).map(([time]) => Number(time));
      const steps = times.slice(1).map((time, index) => time - (times[index] ?? 0));
      t.ok(Math.min(...steps) >= 0, `${stream}: time never goes back`);
      t.ok(Math.max(...steps) < 0.15, `${stream}: nor jumps (${Math.max(...steps)} s)`);
    }
  });

const conversions: Record<string, { args: string[]; ext: string; codec?: 'aac' | 'opus' }> = {
  'HEVC and MP3': {
    args: ['-c:v', 'libx265', '-x265-params', 'log-level=none', '-c:a', 'libmp3lame'],
    ext: 'mkv',
  },
  'MJPEG and G.711 µ-law': {
    args: ['-c:v', 'mjpeg', '-c:a', 'pcm_mulaw', '-ar', '8000'],
    ext: 'mov',
  },
  'MPEG-4 and G.711 A-law': {
    args: ['-c:v', 'mpeg4', '-c:a', 'pcm_alaw', '-ar', '8000'],
    ext: 'avi',
  },
  'MPEG-2 and raw sound, into Opus': {
    args: ['-c:v', 'mpeg2video', '-c:a', 'pcm_s16le'],
    ext: 'mkv',
    codec: 'opus',
  },
};
for (const [name, { args, ext, codec = 'aac' }] of Object.entries(conversions))
  t.test(`${name} become H.264 and ${codec}`, async (t) => {
    const dir = t.testdir();
    const source = join(dir, `source.${ext}`);
    await ffmpeg('-i', MOTION, '-t', '1.2', '-s', '160x120', ...args, source);
    const recording = file(source, false, { audio: { codec } });
    await recording.ended;
    t.strictSame(recording.gaps, []);
    const [video, audio] = recording.streams[0]?.tracks ?? [];
    t.match(video, { codec: /^avc1\.42c0/, width: 160, height: 120 });
    t.match(audio, { codec: codec === 'aac' ? 'mp4a.40.2' : 'opus' });
    t.ok(recording.segments.length >= 2);
    await eachPlaysAlone(t, recording, dir);
  });

t.test('Opus in the source is passed through when Opus is wanted', async (t) => {
  const dir = t.testdir();
  const source = join(dir, 'source.mkv');
  await ffmpeg('-i', MOTION, '-t', '2', '-c:v', 'copy', '-c:a', 'libopus', source);
  const recording = file(source, false, { audio: { codec: 'opus' } });
  await recording.ended;
  t.match(recording.streams[0]?.tracks[1], { codec: 'opus' });
  const all = await recording.writeAll(dir);
  const sound = await payloadHashes(all, 'a');
  t.ok(sound.length > 80);
  // The last packet of the source says how much of it is padding.
  t.strictSame(sound.slice(0, -1), (await payloadHashes(source, 'a')).slice(0, sound.length - 1));
});

t.test('without consent to sound there is none', async (t) => {
  const recording = file(MOTION, false, {}, false);
  await recording.until('a segment', () => recording.segments.length > 0);
  await recording.stop();
  t.strictSame(recording.streams[0]?.scopes, ['video']);
  t.equal(recording.streams[0]?.tracks.length, 1);
  t.strictSame(recording.segments[0]?.header.scopes, ['video']);
});
