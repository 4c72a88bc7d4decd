// Motion in real clips, by what one sees in their frames, and no motion in what only looks like it.
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { Detector, thresholds } from '../../../agent/motion/detector.ts';
import { cellsOf } from '../../../agent/motion/zones.ts';
import type { Polygon } from '../../../proto/settings.ts';
import { MAX_POINTS, MAX_POLYGONS } from '../../../proto/settings-schema.ts';
import { seeded } from '../../seeded.ts';
import { ffmpeg, MOTION } from '../capture/harness.ts';
import { box, framesOf, picture, type Spotted, spotted, view, walkers } from './clips.ts';

function near(t: Test, what: string, seconds: number | null | undefined, truth: number): void {
  t.ok(Math.abs((seconds ?? -99) - truth) <= 0.4, `${what}: ${seconds} s, in truth ${truth} s`);
}

function inTime(t: Test, all: readonly Spotted[]): void {
  for (const { knownAfter } of all) t.ok(knownAfter <= 0.4, `known after ${knownAfter} s`);
}

t.test('a pen that comes to a coin is motion from its first frame to the last', async (t) => {
  const frames = await framesOf(MOTION);
  const found = spotted(frames);
  // The tip of the pen comes in between 0.4 and 0.6 s; from then on it is never still for 2 s.
  t.equal(found.length, 1, 'one hit, no miss, no false alarm');
  near(t, 'begin', found[0]?.from, 0.5);
  t.equal(found[0]?.to, null);
  inTime(t, found);
  t.strictSame(spotted(frames, { zones: [box(0, 0, 0.1, 0.5)] }), [], 'nothing comes there');
  near(t, 'at the edge', spotted(frames, { zones: [box(0.9, 0, 1, 0.6)] })[0]?.from, 0.5);
  const deaf = spotted(frames, { sensitivityPercent: 10 });
  t.ok((deaf[0]?.from ?? 0) >= 1.4, 'less sensitive: only when the pen as a whole is there');
});

t.test('people count where they walk, and the zones beside them stay silent', async (t) => {
  const clip = walkers();
  if (clip === null) {
    const frames = await framesOf(MOTION);
    t.strictSame(spotted(frames, { zones: [box(0, 0, 0.1, 1)] }), []);
    t.equal(spotted(frames, { zones: [box(0.6, 0.1, 1, 0.9)] }).length, 1);
    return;
  }
  const frames = await framesOf(clip);
  const path = spotted(frames, { zones: [box(0.35, 0.3, 0.85, 0.5)] });
  t.match(path, [{ to: null }], 'somebody is on the path all the time');
  near(t, 'on the path', path[0]?.from, 0.2);
  t.strictSame(spotted(frames, { zones: [box(0.45, 0, 0.7, 0.1)] }), [], 'nobody on the house');
  // Two people step on the grass at 52.0 s, the last one leaves that part of it at 68.8 s.
  const grass = spotted(frames, { zones: [box(0, 0.7, 0.6, 1)] });
  t.equal(grass.length, 1, 'one hit, no miss, no false alarm');
  near(t, 'on the grass', grass[0]?.from, 52.1);
  near(t, 'off the grass', grass[0]?.to, 68.8);
  inTime(t, [...path, ...grass]);
});

const STILL_FRAMES = process.env.TORTURE === undefined ? 600 : 3000;

t.test('a still scene with the noise of a sensor is no motion', async (t) => {
  const random = seeded(t);
  const base = picture(view);
  const noise = Float32Array.from(
    { length: 1 << 16 },
    () => 6 * (random() + random() + random() - 1.5),
  );
  function* frames(): Generator<Uint8Array> {
    for (let nth = 0; nth < STILL_FRAMES; nth += 1) {
      const from = Math.floor(random() * noise.length);
      yield base.map((level, at) => level + (noise[(from + at * 7) % noise.length] ?? 0));
    }
  }
  t.strictSame(spotted(frames()), []);
});

t.test('nor is the noise of an encoder with few bits', async (t) => {
  const dir = t.testdir();
  const path = join(dir, 'still.mp4');
  const still = 'select=eq(n\\,0),loop=450:1,setpts=N/(15*TB),noise=alls=12:allf=t';
  const coded = ['-c:v', 'libx264', '-preset', 'ultrafast', '-b:v', '100k', '-g', '30'];
  await ffmpeg('-i', MOTION, '-an', '-vf', still, '-r', '15', ...coded, '-t', '30', path);
  const frames = await framesOf(path);
  t.ok(frames.length >= 145, `${frames.length} frames`);
  t.strictSame(spotted(frames), []);
});

t.test(
  'light that comes or goes slowly is no motion, a lamp switched on is one at most',
  async (t) => {
    const scene = picture(view);
    const lit = (gain: (second: number) => number) =>
      Array.from({ length: 300 }, (_, nth) =>
        scene.map((level) => Math.min(255, level * gain(nth / 5))),
      );
    t.strictSame(spotted(lit((second) => 0.5 + second / 60)), [], 'within a minute');
    t.strictSame(spotted(lit((second) => Math.min(1.4, 1 + Math.max(0, second - 20) / 10))), []);
    const off = picture((x, y) => view(x, y) * 0.6);
    const on = picture((x, y) => view(x, y) * (1.1 + (x / 160) * 0.4));
    const found = spotted(Array.from({ length: 150 }, (_, nth) => (nth < 50 ? off : on)));
    t.ok(found.length <= 1, `${found.length}`);
    t.comment(`a lamp: ${JSON.stringify(found)}`);
  },
);

/** A box of so many pixels that crosses the view from 4 s on and stands still from 8 s on. */
function* crossing(width: number, height: number): Generator<Uint8Array> {
  for (let nth = 0; nth < 100; nth += 1) {
    const left = nth < 20 ? 999 : Math.min(nth - 20, 20) * 4;
    yield picture((x, y) =>
      x >= left && x < left + width && y >= 40 && y < 40 + height ? 235 : view(x, y),
    );
  }
}

t.test(
  'what stops is motion no longer, though it stays, and small things need sharp eyes',
  async (t) => {
    const found = spotted(crossing(8, 14));
    t.equal(found.length, 1);
    near(t, 'begin', found[0]?.from, 4);
    t.ok((found[0]?.to ?? 99) <= 9, `until ${found[0]?.to} s`);
    t.strictSame(spotted(crossing(8, 14), { sensitivityPercent: 1 }), []);
    t.equal(spotted(crossing(4, 4), { sensitivityPercent: 90 }).length, 1);
  },
);

t.test('more sensitive is always less to look for', async (t) => {
  let before = thresholds({ sensitivityPercent: 1 });
  for (let sensitivityPercent = 2; sensitivityPercent <= 100; sensitivityPercent += 1) {
    const now = thresholds({ sensitivityPercent });
    t.ok(now.percent < before.percent && now.levels < before.levels);
    before = now;
  }
});

t.test('zones are the cells whose middle they hold, and never none', async (t) => {
  const count = (cells: readonly boolean[]) => cells.filter(Boolean).length;
  t.equal(count(cellsOf([], 80, 45)), 3600);
  t.equal(count(cellsOf([box(0, 0, 0.5, 1)], 80, 45)), 1800);
  t.equal(count(cellsOf([box(0, 0, 0.5, 1), box(0.25, 0, 0.75, 1)], 80, 45)), 2700);
  const thin = cellsOf([box(0.5, 0.2, 0.5001, 0.2001)], 80, 45);
  t.ok(count(thin) >= 1 && count(thin) <= 4);
  const beside = cellsOf([box(0, 0, 1, 0.1), box(0.5, 0.2, 0.5001, 0.2001)], 80, 45);
  t.ok(count(beside) > count(cellsOf([box(0, 0, 1, 0.1)], 80, 45)), 'each counts by itself');
  t.ok(count(cellsOf([box(1, 1, 1, 1)], 80, 45)) >= 1, 'at the very edge');
});

t.test('whatever the frames are, it is some percent', async (t) => {
  const random = seeded(t);
  const detector = new Detector();
  const flat = [0, 128, 255].map((level) => picture(() => level));
  const noise = picture(() => 255 * random());
  const zones = [box(0.2, 0.2, 0.8, 0.8)];
  let isFine = true;
  for (let nth = 0; nth < 1000; nth += 1) {
    const frame = [...flat, noise, noise.toReversed()][Math.floor(random() * 5)] ?? noise;
    const { percent } = detector.push(frame, { sensitivityPercent: 50, zones });
    isFine &&= percent >= 0 && percent <= 100;
    if (random() < 0.01) detector.forget();
  }
  t.ok(isFine);
});

t.test('the most and thinnest zones that may be set hold nobody up', async (t) => {
  const thread = (y: number): Polygon =>
    Array.from({ length: MAX_POINTS }, (_, at) => [at / MAX_POINTS, y + (at % 2) * 1e-5]);
  const threads = Array.from({ length: MAX_POLYGONS - 1 }, (_, at) => thread(0.0001 + at / 45));
  const began = performance.now();
  cellsOf([box(0, 0, 1, 1), ...threads], 80, 45);
  const tookMs = performance.now() - began;
  t.ok(tookMs < 1000, `${Math.round(tookMs)} ms`);
});

t.test(
  'what stayed bright while a light came does not count for the light afterwards',
  async (t) => {
    const detector = new Detector();
    const push = (left: number, middle: number, right: number) =>
      detector.push(
        picture((x) => (x < 78 ? left : x < 84 ? middle : right)),
        { sensitivityPercent: 50, zones: [] },
      );
    push(255, 0, 0);
    push(255, 55, 55);
    const { percent } = push(0, 255, 55);
    t.ok(percent > 40 && percent < 60, `${percent} % moved, all to the left of the middle`);
  },
);
