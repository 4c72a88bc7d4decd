// A camera that is covered or turned away, against all that only looks like it.
import t from 'tap';
import { Tamper } from '../../../agent/motion/tamper.ts';
import { seeded } from '../../seeded.ts';
import { MOTION } from '../capture/harness.ts';
import { framesOf, picture, view, walkers } from './clips.ts';

const scene = picture(view);
const dark = picture((x) => 8 + (x % 2));
const other = picture((x, y) => 90 + 40 * Math.sin(y / 4 + x / 9) + (x + y > 150 ? 60 : 0));

/** Seconds at which it is told, of frames that come five a second. */
function told(frames: Iterable<Uint8Array>): {
  covered: number[];
  open: number[];
  moved: number[];
} {
  const tamper = new Tamper();
  const found = { covered: [] as number[], open: [] as number[], moved: [] as number[] };
  let nth = 0;
  let was = false;
  for (const frame of frames) {
    const { isCovered, isMoved } = tamper.push(frame);
    if (isCovered && !was) found.covered.push(nth / 5);
    if (!isCovered && was) found.open.push(nth / 5);
    if (isMoved) found.moved.push(nth / 5);
    was = isCovered;
    nth += 1;
  }
  return found;
}

const seconds = (frame: Uint8Array, count: number): Uint8Array[] =>
  new Array<Uint8Array>(count * 5).fill(frame);

t.test('a hand over the lens is told after three seconds, and its end at once', async (t) => {
  const found = told([...seconds(scene, 30), ...seconds(dark, 20), ...seconds(scene, 10)]);
  t.same(found, { covered: [32.8], open: [50], moved: [] });
  const short = told([...seconds(scene, 30), ...seconds(dark, 2), ...seconds(scene, 10)]);
  t.same(short, { covered: [], open: [], moved: [] }, 'a bird before the lens is none');
});

t.test('a camera that was turned is told once, after ten seconds of the other view', async (t) => {
  const found = told([...seconds(scene, 30), ...seconds(other, 40)]);
  t.same(found, { covered: [], open: [], moved: [39.8] });
  const back = told([...seconds(scene, 30), ...seconds(other, 5), ...seconds(scene, 30)]);
  t.same(back.moved, [], 'a bus that stopped before it is none');
  const shifted = picture((x, y) => view((x + 40) % 160, y));
  t.equal(told([...seconds(scene, 30), ...seconds(shifted, 20)]).moved.length, 1);
});

t.test('dusk, noise, and a view that shows nothing are no tampering', async (t) => {
  const random = seeded(t);
  const dusk = Array.from({ length: 1000 }, (_, nth) =>
    scene.map((level) => level * (1 - (0.6 * nth) / 1000)),
  );
  t.same(told(dusk), { covered: [], open: [], moved: [] });
  const noisy = Array.from({ length: 300 }, () =>
    scene.map((level) => Math.max(0, level + 12 * (random() - 0.5))),
  );
  t.same(told(noisy), { covered: [], open: [], moved: [] });
  const wall = picture(() => 120);
  t.same(told([...seconds(wall, 30), ...seconds(dark, 20), ...seconds(wall, 20)]).covered, []);
});

t.test('real scenes in which something moves are no tampering', async (t) => {
  const clip = walkers();
  for (const path of [MOTION, ...(clip === null ? [] : [clip])])
    t.same(told(await framesOf(path)), { covered: [], open: [], moved: [] });
});
