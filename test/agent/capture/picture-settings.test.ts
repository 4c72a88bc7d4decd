// What settings do to pictures and sound, at the start and while they flow, looked at after decoding.
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import t from 'tap';
import type { CaptureConfig } from '../../../agent/capture/capture.ts';
import {
  brightClip,
  cornerClip,
  framesOf,
  HEIGHT,
  part,
  RATE,
  type Rectangle,
  WIDTH,
} from './frames.ts';
import { captureConfig, ffmpeg, MOTION, type Overrides, packets, Recording } from './harness.ts';

const run = promisify(execFile);
const VIDEO = { width: WIDTH, height: HEIGHT, frameRate: RATE, bitrateKbps: 800 };
const QUARTERS: Record<string, Rectangle> = {
  'upper left': [0.1, 0.1, 0.4, 0.4],
  'upper right': [0.6, 0.1, 0.9, 0.4],
  'lower left': [0.1, 0.6, 0.4, 0.9],
  'lower right': [0.6, 0.6, 0.9, 0.9],
};
const aborted = AbortSignal.abort();

function of(path: string, over: Overrides): CaptureConfig {
  const source = { type: 'file', path, loop: false } as const;
  return captureConfig(source, { ...over, video: { ...VIDEO, ...over.video } });
}

/** A capture of a clip up to its first segments, decoded. */
async function firstFrames(dir: string, config: CaptureConfig, segments = 1) {
  const recording = new Recording(config, false);
  await recording.until('segments', () => recording.segments.length >= segments);
  await recording.stop();
  return framesOf(await recording.writeAll(dir));
}

const turns = [
  [0, 'none', 'upper left'],
  [90, 'none', 'upper right'],
  [0, 'horizontal', 'upper right'],
  [270, 'vertical', 'upper left'],
  [180, 'none', 'lower right'],
] as const;
t.test('pictures are turned, then mirrored', async (t) => {
  const dir = t.testdir();
  const path = await cornerClip(dir);
  for (const [rotation, flip, expected] of turns) {
    const isUpright = rotation === 0 || rotation === 180;
    const size = isUpright ? VIDEO : { ...VIDEO, width: HEIGHT, height: WIDTH };
    const [frame] = await firstFrames(dir, of(path, { video: { ...size, rotation, flip } }));
    if (frame === undefined) throw new Error('no frame');
    t.match(frame, { width: size.width, height: size.height });
    const [brightest] = Object.entries(QUARTERS)
      .map(([name, where]) => ({ name, mean: part(frame, where).mean }))
      .sort((one, other) => other.mean - one.mean);
    t.equal(brightest?.name, expected, `${rotation} ${flip}`);
    t.ok((brightest?.mean ?? 0) > 200);
  }
});

t.test('brightness is added', async (t) => {
  const dir = t.testdir();
  const path = await cornerClip(dir);
  const mean = async (brightness: number) => {
    const [frame] = await firstFrames(dir, of(path, { video: { brightness } }));
    return frame === undefined ? 0 : part(frame, [0, 0.6, 1, 1]).mean;
  };
  t.ok((await mean(20)) > (await mean(-20)) + 60);
});

const hostile = '! filesink location=/tmp/x <span>&amp; <b>&';
t.test('a name is written as it is, and a clock, live and without a new stream', async (t) => {
  const dir = t.testdir();
  const overlay = { name: false, clock: false };
  const recording = new Recording(of(await cornerClip(dir), { overlay }), false);
  const rounds: Partial<CaptureConfig>[] = [
    { overlay: { name: true, clock: false }, label: { name: hostile, location: null } },
    { label: { name: '<b>x</b>', location: null } },
    { label: { name: 'x', location: null } },
    { overlay: { name: false, clock: true } },
  ];
  await recording.until('a segment', () => recording.segments.length > 0);
  const counts = [recording.segments.length];
  for (const round of rounds) {
    t.equal(await recording.adjust(round), 'set');
    const from = recording.segments.length;
    await recording.until('segments', () => recording.segments.length >= from + 3);
    counts.push(recording.segments.length);
  }
  await recording.stop();
  t.equal(recording.streams.length, 1);
  t.strictSame(recording.gaps, []);
  const frames = await framesOf(await recording.writeAll(dir));
  const last = recording.segments.length;
  // Width of what is written, by the columns in which anything differs from the first frame.
  const first = frames[0];
  const written = counts.map((count) => {
    const frame = frames[Math.round(((count - 0.5) / last) * frames.length)];
    if (frame === undefined || first === undefined) throw new Error('no frame');
    const columns = new Set<number>();
    let bottom = 0;
    frame.luma.forEach((value, at) => {
      if (Math.abs(value - (first.luma[at] ?? 0)) < 60) return;
      columns.add(at % frame.width);
      bottom = Math.max(bottom, Math.floor(at / frame.width));
    });
    return { columns: columns.size, bottom };
  });
  const [nothing, long, marked, single, clock] = written;
  t.equal(nothing?.columns, 0, 'nothing is written at first');
  t.ok((long?.columns ?? 0) > 100, 'a long name is seen');
  t.ok((marked?.columns ?? 0) > 2 * (single?.columns ?? 0), 'markup is text');
  t.ok((single?.columns ?? 0) > 0);
  t.ok((clock?.bottom ?? 0) > HEIGHT * 0.8, 'the clock is at the bottom');
});

t.test('the bit rate follows while pictures flow', async (t) => {
  const dir = t.testdir();
  const path = await brightClip(dir, 'mjpeg', 20);
  const recording = new Recording(
    of(path, { video: { encoder: 'x264enc', bitrateKbps: 2000 } }),
    false,
  );
  await recording.until('segments', () => recording.segments.length >= 3);
  const video = { ...recording.config.video, bitrateKbps: 200 };
  t.equal(await recording.adjust({ video }), 'set');
  const from = recording.segments.length;
  await recording.until('segments', () => recording.segments.length >= from + 4);
  await recording.stop();
  t.equal(recording.streams.length, 1);
  const bytes = recording.segments.map(({ chunks }) =>
    chunks.reduce((sum, chunk) => sum + chunk.byteLength, 0),
  );
  t.ok((bytes[from + 3] ?? 1e9) < (bytes[2] ?? 0) / 3, bytes.join(' '));
  const times = (await packets(await recording.writeAll(dir), 'v', 'pts_time')).map(Number);
  t.equal(recording.capture.figures().framesCaptured, times.length);
});

t.test('gain is heard, live, and so is how loud it is', async (t) => {
  const dir = t.testdir();
  const heard: number[] = [];
  const eyes = { gray: () => undefined, sound: (db: number) => heard.push(db) };
  const audio = { eventDb: -40 };
  const recording = new Recording(captureConfig({ type: 'test' }, { audio }), true, { eyes });
  await recording.until('segments', () => recording.segments.length >= 2);
  const louder = { ...recording.config.audio, gainDb: 12 };
  t.equal(await recording.adjust({ audio: louder }), 'set');
  const from = recording.segments.length;
  await recording.until('segments', () => recording.segments.length >= from + 3);
  await recording.stop();
  const volume = async (index: number): Promise<number> => {
    const file = await recording.write(dir, index);
    const filter = ['-af', 'volumedetect', '-vn', '-f', 'null', '-'];
    const { stderr } = await run('ffmpeg', ['-i', file, ...filter]);
    return Number(/mean_volume: (-?[\d.]+) dB/.exec(stderr)?.[1]);
  };
  const gained = (await volume(from + 2)) - (await volume(0));
  t.ok(Math.abs(gained - 12) < 1.5, `${gained} dB`);
  t.ok(Math.abs((heard.at(-1) ?? 0) - (heard[0] ?? 0) - 12) < 1, heard.join(' '));
  t.ok(heard.length > 10);
});

t.test(
  'H.264 that is passed on has stills and eyes, and takes no mask while it runs',
  async (t) => {
    const dir = t.testdir();
    let frames = 0;
    const eyes = { gray: () => (frames += 1), sound: () => undefined };
    const motion = { on: true };
    const path = await brightClip(dir, 'libx264', 20);
    const recording = new Recording(of(path, { motion }), false, { eyes });
    await recording.until('segments', () => recording.segments.length >= 1);
    t.match(recording.log, /"video":"passthrough"/);
    await recording.until('eyes', () => frames > 3);
    const still = await recording.capture.still(new AbortController().signal);
    t.match(still, { width: WIDTH, height: HEIGHT });
    const masks = [
      [
        [0, 0],
        [1, 0],
        [1, 1],
      ],
    ] as const;
    t.equal(await recording.adjust({ masks }), 'restart');
    await t.rejects(recording.capture.still(aborted), { code: 'CAPTURE_STALLED' });
    await recording.stop();
    await t.rejects(recording.capture.still(aborted), { code: 'CAPTURE_ENDED' });
    t.equal(await recording.capture.adjust(), 'set', 'the next capture begins with it');
  },
);

t.test('a recording that is looped goes on with eyes, sound and stills', async (t) => {
  const motion = { on: true };
  const source = { type: 'file', path: MOTION, loop: true } as const;
  const recording = new Recording(captureConfig(source, { motion, audio: { eventDb: -20 } }), true);
  await recording.until('segments', () => recording.segments.length >= 3);
  await recording.capture.still(new AbortController().signal);
  await recording.stop();
  t.strictSame(recording.gaps, []);
});

t.test('sound that is passed on is heard all the same', async (t) => {
  const dir = t.testdir();
  const path = join(dir, 'tone.mp4');
  await ffmpeg(
    ...['-f', 'lavfi', '-i', `testsrc2=s=${WIDTH}x${HEIGHT}:r=${RATE}`, '-f', 'lavfi'],
    ...['-i', 'sine=frequency=440:sample_rate=48000', '-t', '15', '-c:v', 'libx264', '-g', '15'],
    ...['-bf', '0', '-preset', 'ultrafast', '-pix_fmt', 'yuv420p', '-c:a', 'aac', path],
  );
  const heard: number[] = [];
  const eyes = { gray: () => undefined, sound: (db: number) => heard.push(db) };
  const recording = new Recording(of(path, { audio: { eventDb: -30 } }), true, { eyes });
  await recording.until('sound', () => heard.length > 4 && recording.segments.length > 1);
  t.ok(recording.segments.length < 10, 'while it is played');
  await recording.stop();
  t.match(recording.log, /"audio":"passthrough"/);
  t.ok((heard.at(-1) ?? 0) < -15 && (heard.at(-1) ?? 0) > -30, heard.join(' '));
});
