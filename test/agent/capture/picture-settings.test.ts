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
import { captureConfig, ffmpeg, type Overrides, packets, QUICK, Recording } from './harness.ts';
import { inChild, seeing } from './in-child.ts';

t.jobs = 3;

const run = promisify(execFile);
const VIDEO = { ...QUICK.video, width: WIDTH, height: HEIGHT, frameRate: RATE, bitrateKbps: 800 };
const QUARTERS: Record<string, Rectangle> = {
  'upper left': [0.1, 0.1, 0.4, 0.4],
  'upper right': [0.6, 0.1, 0.9, 0.4],
  'lower left': [0.1, 0.6, 0.4, 0.9],
  'lower right': [0.6, 0.6, 0.9, 0.9],
};
const aborted = AbortSignal.abort();
const clips = t.testdir();
const corner = await cornerClip(clips);
const coded = await brightClip(clips, 'libx264', 8);
const tone = join(clips, 'tone.mp4');
await ffmpeg(
  ...['-f', 'lavfi', '-i', `testsrc2=s=${WIDTH}x${HEIGHT}:r=${RATE}`, '-f', 'lavfi'],
  ...['-i', 'sine=frequency=440:sample_rate=48000', '-t', '8', '-c:v', 'libx264', '-g', '3'],
  ...['-bf', '0', '-preset', 'ultrafast', '-pix_fmt', 'yuv420p', '-c:a', 'aac', tone],
);

function of(path: string, over: Overrides): CaptureConfig {
  const source = { type: 'file', path, loop: false } as const;
  return captureConfig(source, { ...QUICK, ...over, video: { ...VIDEO, ...over.video } });
}

/** How it is turned, mirrored and lightened, and where the bright quarter is then. */
const turns = [
  [0, 'none', -20, 'upper left'],
  [90, 'none', 0, 'upper right'],
  [0, 'horizontal', 20, 'upper right'],
  [270, 'vertical', 0, 'upper left'],
  [180, 'none', 0, 'lower right'],
] as const;
/** Of the other quarters. */
const GRAY = 0x60;
for (const [rotation, flip, brightness, expected] of turns)
  t.test(
    `pictures are turned ${rotation}, then mirrored ${flip}, ${brightness} % brighter`,
    async (t) => {
      const isUpright = rotation === 0 || rotation === 180;
      const size = isUpright ? VIDEO : { ...VIDEO, width: HEIGHT, height: WIDTH };
      const video = { ...size, rotation, flip, brightness };
      const recording = new Recording(of(corner, { video }), false);
      await recording.until('a segment', () => recording.segments.length > 0);
      await recording.stop();
      const [frame] = await framesOf(await recording.write(t.testdir(), 0));
      if (frame === undefined) throw new Error('no frame');
      t.match(frame, { width: size.width, height: size.height });
      const quarters = Object.entries(QUARTERS)
        .map(([name, where]) => ({ name, mean: part(frame, where).mean }))
        .sort((one, other) => other.mean - one.mean);
      const [brightest, second] = quarters;
      t.equal(brightest?.name, expected);
      t.ok((brightest?.mean ?? 0) > 170);
      const added = (second?.mean ?? 0) - GRAY;
      t.ok(Math.abs(added - 2.2 * brightness) < 15, `${added} brighter`);
    },
  );

const hostile = '! filesink location=/tmp/x <span>&amp; <b>&';
t.test('a name is written as it is, and a clock, live and without a new stream', async (t) => {
  const dir = t.testdir();
  const overlay = { name: false, clock: false };
  const over = { ...QUICK, video: VIDEO, overlay, motion: { on: true } };
  let darkest = 255;
  const eyes = {
    gray: (frame: Uint8Array) => {
      darkest = Math.min(darkest, ...frame);
    },
    sound: () => undefined,
  };
  const recording = new Recording(captureConfig({ type: 'test' }, over), false, {
    ...inChild(seeing('white')),
    eyes,
  });
  const rounds: Partial<CaptureConfig>[] = [
    { overlay: { name: true, clock: false }, label: { name: hostile, location: null } },
    { label: { name: '<b>x</b>', location: null } },
    { label: { name: 'x', location: null } },
    { overlay: { name: false, clock: true } },
  ];
  await recording.until('a segment', () => recording.segments.length > 0);
  const counts = [recording.capture.figures().framesCaptured];
  for (const round of rounds) {
    t.equal(await recording.adjust(round), 'set');
    await recording.pictures(9);
    counts.push(recording.capture.figures().framesCaptured);
  }
  await recording.stop();
  t.equal(recording.streams.length, 1);
  t.strictSame(recording.gaps, []);
  const frames = await framesOf(await recording.writeAll(dir));
  // Width of what is written, by the columns in which anything differs from the first frame.
  const first = frames[0];
  const written = counts.map((count) => {
    const frame = frames[count - 2];
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
  t.ok(darkest > 200, 'in the small gray pictures nothing is written');
  t.equal(nothing?.columns, 0, 'nothing is written at first');
  t.ok((long?.columns ?? 0) > 100, 'a long name is seen');
  t.ok((marked?.columns ?? 0) > 2 * (single?.columns ?? 0), 'markup is text');
  t.ok((single?.columns ?? 0) > 0);
  t.ok((clock?.bottom ?? 0) > HEIGHT * 0.8, 'the clock is at the bottom');
});

t.test('the bit rate follows while pictures flow', async (t) => {
  const dir = t.testdir();
  const video = { ...VIDEO, encoder: 'x264enc', bitrateKbps: 2000 };
  const recording = new Recording(
    captureConfig({ type: 'test' }, { ...QUICK, video }),
    false,
    inChild(seeing('snow')),
  );
  await recording.until('segments', () => recording.segments.length >= 5);
  const slower = { ...recording.config.video, bitrateKbps: 200 };
  t.equal(await recording.adjust({ video: slower }), 'set');
  const from = recording.segments.length;
  await recording.until('segments', () => recording.segments.length >= from + 6);
  await recording.stop();
  t.equal(recording.streams.length, 1);
  const bytes = recording.segments.map(({ chunks }) =>
    chunks.reduce((sum, chunk) => sum + chunk.byteLength, 0),
  );
  t.ok((bytes[from + 5] ?? 1e9) < (bytes[4] ?? 0) / 2, bytes.join(' '));
  const times = (await packets(await recording.writeAll(dir), 'v', 'pts_time')).map(Number);
  t.equal(recording.capture.figures().framesCaptured, times.length);
});

t.test('gain is heard, live, and so is how loud it is', async (t) => {
  const dir = t.testdir();
  const heard: number[] = [];
  const eyes = { gray: () => undefined, sound: (db: number) => heard.push(db) };
  const over = { ...QUICK, audio: { eventDb: -40 } };
  const recording = new Recording(captureConfig({ type: 'test' }, over), true, { eyes });
  await recording.until('segments', () => recording.segments.length >= 4);
  const louder = { ...recording.config.audio, gainDb: 12 };
  t.equal(await recording.adjust({ audio: louder }), 'set');
  const from = recording.segments.length;
  await recording.until('segments', () => recording.segments.length >= from + 4);
  await recording.stop();
  const volume = async (index: number): Promise<number> => {
    const file = await recording.write(dir, index);
    const filter = ['-af', 'volumedetect', '-vn', '-f', 'null', '-'];
    const { stderr } = await run('ffmpeg', ['-i', file, ...filter]);
    return Number(/mean_volume: (-?[\d.]+) dB/.exec(stderr)?.[1]);
  };
  const gained = (await volume(from + 3)) - (await volume(2));
  t.ok(Math.abs(gained - 12) < 1.5, `${gained} dB`);
  t.ok(Math.abs((heard.at(-1) ?? 0) - (heard[0] ?? 0) - 12) < 1, heard.join(' '));
  t.ok(heard.length > 4);
});

t.test(
  'H.264 that is passed on has stills and eyes, and takes no mask while it runs',
  async (t) => {
    let frames = 0;
    const eyes = { gray: () => (frames += 1), sound: () => undefined };
    const motion = { on: true };
    const recording = new Recording(of(coded, { motion }), false, { eyes });
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

/** Codec, and the first of ten pictures that are missing: a decoder runs a second ahead. */
const holes = [
  ['mjpeg', 40],
  ['libx264', 20],
] as const;
for (const [codec, at] of holes)
  t.test(`pictures that are missing are counted (${codec})`, async (t) => {
    const path = join(t.testdir(), 'hole.mkv');
    const picture = `testsrc2=s=160x120:r=${RATE},select='not(between(n,${at},${at + 9}))'`;
    const coding = codec === 'mjpeg' ? [] : ['-bf', '0', '-g', '3', '-preset', 'ultrafast'];
    const input = ['-f', 'lavfi', '-i', picture, '-t', '7', '-fps_mode', 'vfr'];
    await ffmpeg(...input, '-c:v', codec, ...coding, path);
    const recording = new Recording(of(path, {}), false);
    await recording.until('a segment', () => recording.segments.length > 0);
    const { framesCaptured } = recording.capture.figures();
    t.strictSame(await recording.capture.frames(), { framesCaptured, framesDropped: 0 });
    await recording.pictures(at + 5);
    t.equal((await recording.capture.frames()).framesDropped, 10);
    await recording.stop();
    t.equal((await recording.capture.frames()).framesDropped, 10, 'also when it has ended');
  });

t.test('a recording that is to be looped has eyes, sound and stills', async (t) => {
  const source = { type: 'file', path: tone, loop: true } as const;
  const [gray, heard]: [number[], number[]] = [[], []];
  const eyes = { gray: () => gray.push(1), sound: (db: number) => heard.push(db) };
  const over = { ...QUICK, motion: { on: true }, audio: { eventDb: -20 } };
  const recording = new Recording(captureConfig(source, over), true, { eyes });
  await recording.until('a segment', () => recording.segments.length > 0);
  await recording.capture.still(new AbortController().signal);
  await recording.until('eyes and ears', () => gray.length > 1 && heard.length > 1);
  await recording.stop();
  t.strictSame(recording.gaps, []);
});

t.test('sound that is passed on is heard all the same', async (t) => {
  const heard: number[] = [];
  const eyes = { gray: () => undefined, sound: (db: number) => heard.push(db) };
  const recording = new Recording(of(tone, { audio: { eventDb: -30 } }), true, { eyes });
  await recording.until('sound', () => heard.length > 2 && recording.segments.length > 0);
  t.ok(!recording.isOver, 'while it is played');
  await recording.stop();
  t.match(recording.log, /"audio":"passthrough"/);
  t.ok((heard.at(-1) ?? 0) < -15 && (heard.at(-1) ?? 0) > -30, heard.join(' '));
});
