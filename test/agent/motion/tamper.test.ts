// A camera that is covered or turned away, against all that only looks like it.
import t from 'tap';
import { Tamper } from '../../../agent/motion/tamper.ts';
import { seeded } from '../../seeded.ts';
import { MOTION } from '../capture/harness.ts';
import { framesOf, picture, view, walkers } from './clips.ts';

const scene = picture(view);
const other = picture((x, y) => 90 + 40 * Math.sin(y / 4 + x / 9) + (x + y > 150 ? 60 : 0));
/** Covered from the left by so much. */
const half = (share: number): Uint8Array => picture((x, y) => (x < 160 * share ? 8 : view(x, y)));

interface Found {
  readonly covered: number[];
  readonly open: number[];
  readonly moved: number[];
}
const NOTHING: Found = { covered: [], open: [], moved: [] };

/** Seconds at which it is told, of frames that come five a second. */
function told(frames: Iterable<Uint8Array>, tamper = new Tamper()): Found {
  const found: Found = { covered: [], open: [], moved: [] };
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
/** Without any light a sensor that looks as hard as it can sees its own noise. */
function nights(random: () => number): (count: number) => Uint8Array[] {
  const noise = () => random() + random() + random() + random() - 2;
  const frames = Array.from({ length: 12 }, () => picture(() => 6 + 15 * noise()));
  // Noise is another one each time: one that stays for some frames would be something to be seen.
  let last = 0;
  const any = () => {
    last = (last + 1 + Math.floor((random() * frames.length) / 2)) % frames.length;
    return frames[last] ?? scene;
  };
  return (count) => Array.from({ length: count * 5 }, any);
}

t.test('a hand over the lens is told after some seconds, and its end within one', async (t) => {
  const night = nights(seeded(t));
  for (const frames of [1, 3, 12]) {
    const hand = Array.from({ length: frames }, (_, at) => half((at + 1) / (frames + 1)));
    const before = [...seconds(scene, 30), ...hand];
    const { covered, open, moved } = told([...before, ...night(20), ...seconds(scene, 10)]);
    const from = before.length / 5;
    t.same([covered.length, open.length, moved.length], [1, 1, 0], `${frames} frames`);
    t.ok((covered[0] ?? 0) > from + 2.5 && (covered[0] ?? 99) < from + 4.5, `${covered}`);
    t.ok((open[0] ?? 99) <= from + 21.2, `${open}`);
  }
  const bird = [...seconds(scene, 30), half(0.5), ...night(2), ...seconds(scene, 10)];
  t.same(told(bird), NOTHING, 'a bird before the lens is none');
  const paper = told([
    ...seconds(scene, 30),
    ...seconds(
      picture(() => 200),
      20,
    ),
  ]);
  t.same([paper.covered.length, paper.moved], [1, []], 'it need not be dark');
});

t.test('a light that goes out is no hand, however noisy the dark is', async (t) => {
  const random = seeded(t);
  const night = nights(random);
  const day = seconds(scene, 12);
  t.same(told([...day, ...night(30), ...day]), NOTHING, 'all at once');
  const dim = picture((x, y) => view(x, y) / 2);
  t.same(told([...day, dim, dim, ...night(20), ...day]), NOTHING, 'in two steps');
  const dusk = Array.from({ length: 150 }, (_, at) =>
    picture((x, y) => view(x, y) * (1 - at / 150) + 4 * random()),
  );
  t.same(told([...day, ...dusk, ...night(20), ...dusk.reverse(), ...day]), NOTHING, 'dusk');
  const oneOfTwo = picture((x, y) => (x < 80 ? view(x, y) * 0.3 : view(x, y)));
  t.same(told([...day, ...seconds(oneOfTwo, 10), ...night(20), ...day]), NOTHING);
  const after = told([...day, ...night(20), ...day, half(0.5), ...night(20)]);
  t.equal(after.covered.length, 1, 'the next day a hand is one');
});

t.test('a night that does not end was none', async (t) => {
  const night = nights(seeded(t));
  const found = told([...seconds(scene, 30), ...night(60)], new Tamper(40 * 5));
  t.equal(found.covered.length, 1);
  t.ok((found.covered[0] ?? 0) >= 72, `${found.covered}`);
});

t.test('a camera that was turned is told once, after ten seconds of the other view', async (t) => {
  const found = told([...seconds(scene, 30), ...seconds(other, 40)]);
  t.same([found.covered, found.moved.length], [[], 1]);
  t.ok((found.moved[0] ?? 0) >= 39.8 && (found.moved[0] ?? 99) <= 41, `${found.moved}`);
  const back = told([...seconds(scene, 30), ...seconds(other, 5), ...seconds(scene, 30)]);
  t.same(back.moved, [], 'a bus that stopped before it is none');
  const shifted = picture((x, y) => view((x + 40) % 160, y));
  t.equal(told([...seconds(scene, 30), ...seconds(shifted, 20)]).moved.length, 1);
});

t.test('dusk, noise, and a view that shows nothing are no tampering', async (t) => {
  const random = seeded(t);
  const night = nights(random);
  const dusk = Array.from({ length: 500 }, (_, nth) =>
    scene.map((level) => level * (1 - (0.6 * nth) / 500)),
  );
  t.same(told(dusk), NOTHING);
  const noisy = Array.from({ length: 150 }, () =>
    scene.map((level) => Math.max(0, level + 12 * (random() - 0.5))),
  );
  t.same(told(noisy), NOTHING);
  const wall = picture(() => 120);
  t.same(told([...seconds(wall, 30), ...night(20), ...seconds(wall, 20)]).covered, []);
});

t.test('real scenes in which something moves are no tampering', async (t) => {
  const clip = walkers();
  for (const path of [MOTION, ...(clip === null ? [] : [clip])])
    t.same(told(await framesOf(path)), NOTHING);
});
