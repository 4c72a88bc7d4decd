// Privacy masks: black in every frame that is kept, or no frame is kept.
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { GRAY_HEIGHT, GRAY_WIDTH } from '../../../agent/capture/gray.ts';
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
import { captureConfig, decodeErrors, packets, Recording } from './harness.ts';

const LEFT: Rectangle = [0.1, 0.2, 0.4, 0.7];
const RIGHT: Rectangle = [0.6, 0.3, 0.9, 0.8];
/** Black is 16 in video, and a rounding of the encoder beside it; the rest is far above. */
const BLACK = 20;
const VIDEO = { width: WIDTH, height: HEIGHT, frameRate: RATE, bitrateKbps: 800 };
const never = new AbortController().signal;

function config(path: string, masks: readonly Rectangle[]) {
  const source = { type: 'file', path, loop: false } as const;
  return captureConfig(source, { video: VIDEO, motion: { on: true }, masks: masks.map(maskOf) });
}

for (const codec of ['mjpeg', 'libx264'] as const)
  t.test(`a mask is black in every frame from the first (${codec})`, async (t) => {
    const dir = t.testdir();
    const path = await brightClip(dir, codec, 20);
    const seen: Uint8Array[] = [];
    const eyes = { gray: (frame: Uint8Array) => seen.push(frame), sound: () => undefined };
    const recording = new Recording(config(path, [LEFT]), false, { eyes });
    await recording.until('a segment', () => recording.segments.length > 0);
    const still = await recording.capture.still(never);
    await recording.stop();
    const file = await recording.writeAll(dir);
    const frames = await framesOf(file);
    t.ok(frames.length > RATE - 2);
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
    t.ok(seen.length > 3);
    for (const luma of seen) {
      const small = { width: GRAY_WIDTH, height: GRAY_HEIGHT, luma: Buffer.from(luma) };
      t.ok(part(small, LEFT).max <= BLACK);
      t.ok(part(small, RIGHT).mean > 100);
    }
  });

t.test('masks that are changed are black from then on, and no frame is lost', async (t) => {
  const dir = t.testdir();
  const recording = new Recording(config(await brightClip(dir, 'mjpeg'), [LEFT]), false);
  const upTo = (count: number) =>
    recording.until(`${count} segments`, () => recording.segments.length >= count);
  await upTo(1);
  t.equal(await recording.adjust({ masks: [maskOf(RIGHT)] }), 'set');
  const [changed] = [recording.segments.length];
  await upTo(changed + 2);
  t.equal(await recording.adjust({ masks: [] }), 'set');
  const cleared = recording.segments.length;
  await upTo(cleared + 2);
  t.equal(await recording.adjust({ masks: [maskOf(LEFT), maskOf(RIGHT)] }), 'set');
  const last = recording.segments.length;
  await upTo(last + 2);
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

/** Code that runs in the child before its own, and gets hold of GStreamer. */
function inChild(code: string): Record<string, string> {
  const module = new URL('../../../agent/capture/child.ts', import.meta.url).href;
  const load = `import { createRequire } from 'node:module'; import fs from 'node:fs'; const gst = createRequire('${module}')('gstreamer-superficial');`;
  return { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(load + code)}` };
}
/** Does something else when an element of that name is looked for. */
function whenLooking(name: string, code: string): Record<string, string> {
  return inChild(
    `const { findChild } = gst.Pipeline.prototype; gst.Pipeline.prototype.findChild = function (name) { if (name.startsWith('${name}')) { ${code} } return findChild.call(this, name); };`,
  );
}
const failures: Record<string, [Record<string, string>, RegExp]> = {
  'an image that is gone': [
    whenLooking('mask_', 'fs.truncateSync("/dev/fd/7");'),
    /Could not load overlay image/,
  ],
  'a mask that has no effect': [whenLooking('mask_', 'return {};'), /the masks are not black/],
  'no element that could draw it': [
    { GST_PLUGIN_SYSTEM_PATH_1_0: '/nonexistent', GST_REGISTRY_1_0: '/dev/null' },
    /./,
  ],
};
for (const [what, [childEnv, says]] of Object.entries(failures))
  t.test(`${what} yields no picture at all`, async (t) => {
    const dir = t.testdir();
    const given = config(await brightClip(dir, 'mjpeg', 10), [LEFT]);
    const recording = new Recording(given, false, { childEnv });
    await recording.until('a third attempt', () => recording.log.includes('"failures":2'));
    await recording.stop();
    t.match(recording.log, says);
    t.strictSame(recording.segments, []);
    t.strictSame(recording.streams, []);
  });

t.test('a mask that cannot be changed ends the capture, and is not given up', async (t) => {
  const dir = t.testdir();
  const spoilt = whenLooking('mask_b', 'fs.truncateSync("/dev/fd/7");');
  const path = await brightClip(dir, 'mjpeg', 30);
  const recording = new Recording(config(path, [LEFT]), false, { childEnv: spoilt });
  await recording.until('segments', () => recording.segments.length > 2);
  await t.rejects(recording.adjust({ masks: [maskOf(RIGHT)] }), { code: 'CAPTURE_FAILED' });
  const { length } = recording.segments;
  await recording.stop();
  t.equal(recording.segments.length, length, 'nothing more is handed over');
});
