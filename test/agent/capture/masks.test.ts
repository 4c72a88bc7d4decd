// Privacy masks: black in every frame that is kept, or no frame is kept.
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import type { CaptureDeps } from '../../../agent/capture/capture.ts';
import { GRAY_HEIGHT, GRAY_WIDTH } from '../../../agent/capture/gray.ts';
import type { SourceConfig } from '../../../proto/agent-config.ts';
import {
  brightClip,
  framesOf,
  HEIGHT,
  maskOf,
  part,
  RATE,
  type Rectangle,
  WIDTH,
} from './frames.ts';
import {
  captureConfig,
  decodeErrors,
  ffmpeg,
  type Overrides,
  packets,
  QUICK,
  Recording,
} from './harness.ts';
import { inChild, seeing, whenLooking } from './in-child.ts';

t.jobs = 3;

const LEFT: Rectangle = [0.1, 0.2, 0.4, 0.7];
const RIGHT: Rectangle = [0.6, 0.3, 0.9, 0.8];
/** Well within LEFT, and what of it stays open then. */
const WITHIN_LEFT: Rectangle = [0.15, 0.3, 0.2, 0.4];
const REST_OF_LEFT: Rectangle = [0.3, 0.55, 0.38, 0.68];
/** Black is 16 in video, and a rounding of the encoder beside it; the rest is far above. */
const BLACK = 20;
const VIDEO = { ...QUICK.video, width: WIDTH, height: HEIGHT, frameRate: RATE, bitrateKbps: 800 };
const never = new AbortController().signal;
const clips = t.testdir();
const bright = {
  mjpeg: await brightClip(clips, 'mjpeg', 6),
  libx264: await brightClip(clips, 'libx264', 6),
};

const TRUNCATE = 'fs.truncateSync("/dev/fd/7");';

/** A live camera before a white wall. */
function live(masks: readonly Rectangle[], ...code: readonly string[]): Recording {
  const { childEnv } = inChild(seeing('white'), ...code);
  const over = { ...QUICK, video: VIDEO, masks: masks.map(maskOf) };
  return new Recording(captureConfig({ type: 'test' }, over), false, { childEnv });
}

function config(path: string, masks: readonly Rectangle[], over: Overrides = {}) {
  const source: SourceConfig = { type: 'file', path, loop: false };
  const settings = { ...QUICK, video: VIDEO, motion: { on: true }, masks: masks.map(maskOf) };
  return captureConfig(source, { ...settings, ...over });
}

for (const codec of ['mjpeg', 'libx264'] as const)
  t.test(`a mask is black in every frame from the first (${codec})`, async (t) => {
    const dir = t.testdir();
    const seen: Uint8Array[] = [];
    const eyes = { gray: (frame: Uint8Array) => seen.push(frame), sound: () => undefined };
    const recording = new Recording(config(bright[codec], [LEFT]), false, { eyes });
    await recording.until('a segment', () => recording.segments.length > 0);
    const still = await recording.capture.still(never);
    await recording.stop();
    const file = await recording.writeAll(dir);
    const frames = await framesOf(file);
    t.ok(frames.length > 3);
    for (const frame of frames) {
      t.ok(part(frame, LEFT).max <= BLACK, `${part(frame, LEFT).max} in the mask`);
      t.ok(part(frame, RIGHT).mean > 100);
    }
    t.equal(await decodeErrors(file), '');
    await writeFile(join(dir, 'still.jpg'), still.jpeg);
    const [picture] = await framesOf(join(dir, 'still.jpg'));
    if (picture === undefined) throw new Error('no still');
    t.match(still, { width: WIDTH, height: HEIGHT });
    t.ok(part(picture, LEFT).max <= BLACK);
    t.ok(part(picture, RIGHT).mean > 100);
    t.ok(seen.length > 1);
    for (const luma of seen) {
      const small = { width: GRAY_WIDTH, height: GRAY_HEIGHT, luma: Buffer.from(luma) };
      t.ok(part(small, LEFT).max <= BLACK);
      t.ok(part(small, RIGHT).mean > 100);
    }
  });

t.test('the least mask of a very large picture is black, and proven', async (t) => {
  const dir = t.testdir();
  const path = join(dir, 'large.mkv');
  const [width, height] = [3840, 2160];
  const white = `color=c=0xD0D0D0:s=${width}x${height}:r=5`;
  await ffmpeg('-f', 'lavfi', '-i', white, '-t', '4', '-c:v', 'mjpeg', path);
  const at = [0.4567, 0.6543] as const;
  const video = { ...VIDEO, width, height, frameRate: 5 };
  const recording = new Recording({ ...config(path, [], { video }), masks: [[at, at, at]] }, false);
  await recording.until('a segment', () => recording.segments.length > 0);
  await recording.stop();
  t.strictSame(recording.gaps, []);
  const [frame] = await framesOf(await recording.write(dir, 0));
  t.ok(frame !== undefined && (frame.luma[1413 * width + 1753] ?? 255) <= BLACK);
});

t.test('masks that are changed are black from then on, and no frame is lost', async (t) => {
  const dir = t.testdir();
  const recording = live([LEFT]);
  await recording.until('a segment', () => recording.segments.length > 0);
  for (const masks of [[RIGHT], [], [LEFT, RIGHT]]) {
    t.equal(await recording.adjust({ masks: masks.map(maskOf) }), 'set');
    await recording.pictures(6);
  }
  const { length } = recording.segments;
  await recording.until('the last masks', () => recording.segments.length > length + 1);
  await recording.stop();
  t.equal(recording.streams.length, 1, 'one stream');
  t.strictSame(recording.gaps, []);
  const file = await recording.writeAll(dir);
  const times = (await packets(file, 'v', 'pts_time')).map(([time]) => Number(time));
  const steps = times.slice(1).map((time, at) => time - (times[at] ?? 0));
  t.ok(Math.max(...steps) < 1.5 / RATE, 'no hole in the times');
  const frames = await framesOf(file);
  t.equal(frames.length, times.length);
  const masks = frames.map((frame) =>
    [LEFT, RIGHT].map((where) => (part(frame, where).max <= BLACK ? 'x' : 'o')).join(''),
  );
  // The next masks are drawn before the last ones go.
  t.match(masks.join(' '), /^(xo )+(xx )*(ox )+(oo )+(xx ?)+$/);
});

const NOWHERE = { GST_PLUGIN_SYSTEM_PATH_1_0: '/nonexistent', GST_REGISTRY_1_0: '/dev/null' };
const failures: Record<string, [Pick<CaptureDeps, 'childEnv'>, RegExp]> = {
  'an image that is gone': [
    inChild(seeing('white'), whenLooking('mask_', TRUNCATE)),
    /Could not load overlay image/,
  ],
  'a mask that has no effect': [
    inChild(seeing('white'), whenLooking('mask_', 'return {};')),
    /the masks are not black/,
  ],
  'no element that could draw it': [{ childEnv: NOWHERE }, /./],
};
for (const [what, [more, says]] of Object.entries(failures))
  t.test(`${what} yields no picture at all`, async (t) => {
    const given = captureConfig({ type: 'test' }, { video: VIDEO, masks: [maskOf(LEFT)] });
    const recording = new Recording(given, false, more);
    await recording.until('a third attempt', () => recording.log.includes('"failures":2'));
    await recording.stop();
    t.match(recording.log, says);
    t.strictSame(recording.segments, []);
    t.strictSame(recording.streams, []);
  });

const SPOILT = whenLooking('mask_b', TRUNCATE);

t.test('a mask that cannot be changed ends the capture, and is not given up', async (t) => {
  const recording = live([LEFT], SPOILT);
  await recording.until('segments', () => recording.segments.length > 1);
  await t.rejects(recording.adjust({ masks: [maskOf(RIGHT)] }), { code: 'CAPTURE_FAILED' });
  const { length } = recording.segments;
  await recording.stop();
  t.equal(recording.segments.length, length, 'nothing more is handed over');
});

t.test('nor is one that others hide until they are taken away', async (t) => {
  const dir = t.testdir();
  const recording = live([LEFT], SPOILT);
  await recording.until('segments', () => recording.segments.length > 1);
  await recording.adjust({ masks: [maskOf(WITHIN_LEFT)] });
  await recording.until('its end', () => recording.log.includes('the masks are not black'));
  await recording.until('another stream', () => recording.streams.length > 1);
  await recording.stop();
  t.match(recording.gaps, [{ reason: 'source_lost', code: 'CAPTURE_FAILED' }]);
  const frames = await framesOf(await recording.writeAll(dir));
  t.ok(frames.length > 0);
  for (const frame of frames) t.ok(part(frame, LEFT).max <= BLACK, 'as before');
  const next = await framesOf(await recording.write(dir, recording.segments.length - 1));
  t.ok(next.length > 0);
  for (const frame of next) {
    t.ok(part(frame, WITHIN_LEFT).max <= BLACK);
    t.ok(part(frame, REST_OF_LEFT).mean > 100);
  }
});
