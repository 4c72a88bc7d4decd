// The pure parts of masks and stills: what is black, what proves it, where a JPEG ends.
import t from 'tap';
import { GRAY_BYTES, GraySplitter } from '../../../agent/capture/gray.ts';
import { HeldBack } from '../../../agent/capture/held-back.ts';
import { JpegSplitter } from '../../../agent/capture/jpeg-splitter.ts';
import { MaskGuard, placesOf } from '../../../agent/capture/mask-guard.ts';
import { maskImage } from '../../../agent/capture/mask-image.ts';
import { BLOCK, boxOf, isBlackAt, rasterOf } from '../../../agent/capture/mask-raster.ts';
import type { Point, Polygon } from '../../../proto/settings.ts';
import { seeded } from '../../seeded.ts';
import { pixelsOfPng } from './png.ts';

const SIZES = [
  [1280, 720],
  [160, 120],
  [641, 359],
  [1080, 1920],
] as const;

/** Even or odd, by the text book; a point on the line may be either. */
function isInside(polygon: Polygon, [x, y]: Point): boolean {
  return polygon.reduce((inside, to, at) => {
    const from = polygon.at(at - 1) ?? to;
    if (from[1] > y === to[1] > y) return inside;
    const crossing = from[0] + ((y - from[1]) / (to[1] - from[1])) * (to[0] - from[0]);
    return x < crossing ? !inside : inside;
  }, false);
}

/** Places in the picture that have to be black: inside, or next to a corner. */
function touched(polygon: Polygon, width: number, height: number, random: () => number): Point[] {
  const probes = Array.from({ length: 300 }, (): Point => [random(), random()]);
  const inside = probes
    .filter((probe) => isInside(polygon, probe))
    .map(([x, y]): Point => [x * width, y * height]);
  const corners = polygon.flatMap(([x, y]) =>
    [-3, 3].map((step): Point => [x * width + step, y * height + step]),
  );
  return [...inside, ...corners].filter(([x, y]) => x >= 0 && y >= 0 && x < width && y < height);
}

t.test('every pixel that a mask touches is black', async (t) => {
  const random = seeded(t);
  for (const [width, height] of SIZES)
    for (let round = 0; round < 10; round += 1) {
      const length = 3 + Math.floor(random() * 8);
      const polygon = Array.from({ length }, (): Point => [random(), random()]);
      const raster = rasterOf([polygon], width, height);
      const places = touched(polygon, width, height, random);
      t.strictSame(
        places.filter(([x, y]) => !isBlackAt(raster, x, y)),
        [],
      );
    }
});

t.test('the least mask is proven, wherever it is and however large the picture', async (t) => {
  const random = seeded(t);
  const whole = (from: number, to: number): number => Math.round(from + random() * (to - from));
  const sizes = [...SIZES, [3840, 2160], [7680, 4320], [1924, 1084], [64, 64]] as const;
  const some = Array.from({ length: 20 }, () => [whole(64, 7680), whole(64, 4320)] as const);
  for (const [width, height] of [...sizes, ...some]) {
    const corners: Point[] = [
      [0, 0],
      [1, 1],
      [1, 0],
    ];
    const places = Array.from({ length: 5 }, (): Point => [random(), random()]);
    const unseen = [...corners, ...places].filter(
      (at) => placesOf(rasterOf([[at, at, at]], width, height)).length === 0,
    );
    t.strictSame(unseen, [], `${width}x${height}`);
  }
});

t.test('a mask without area is black where its line is, and no mask is nothing', async (t) => {
  const line = rasterOf(
    [
      [
        [0.1, 0.5],
        [0.9, 0.5],
        [0.1, 0.5],
      ],
    ],
    320,
    240,
  );
  t.ok(isBlackAt(line, 160, 120));
  t.notOk(isBlackAt(line, 160, 180));
  t.equal(boxOf(rasterOf([], 320, 240)), null);
  t.strictSame(
    boxOf(
      rasterOf(
        [
          [
            [0, 0],
            [1, 0],
            [1, 1],
            [0, 1],
          ],
        ],
        321,
        241,
      ),
    ),
    { x: 0, y: 0, width: 321, height: 241 },
  );
});

t.test('many masks of many points are drawn in time', async (t) => {
  const random = seeded(t);
  const masks = Array.from({ length: 16 }, () =>
    Array.from({ length: 64 }, (): Point => [random(), random()]),
  );
  const from = performance.now();
  const raster = rasterOf(masks, 7680, 4320);
  t.ok(maskImage(raster, boxOf(raster) ?? { x: 0, y: 0, width: 1, height: 1 }).length > 0);
  t.ok(performance.now() - from < 5000);
});

t.test('the image says what the raster says', async (t) => {
  const raster = rasterOf(
    [
      [
        [0.2, 0.2],
        [0.8, 0.3],
        [0.4, 0.9],
      ],
    ],
    200,
    150,
  );
  const box = boxOf(raster);
  if (box === null) throw new Error('no box');
  t.equal(box.x % BLOCK, 0);
  const { width, height, isSet } = pixelsOfPng(maskImage(raster, box));
  t.match(box, { width, height });
  for (let y = 0; y < height; y += 1)
    for (let x = 0; x < width; x += 1)
      if (isSet(x, y) !== isBlackAt(raster, box.x + x, box.y + y)) t.fail(`${x} ${y}`);
});

/** Bright but where these masks are black. */
function grayOf(masks: readonly Polygon[]): Buffer {
  const frame = Buffer.alloc(GRAY_BYTES, 200);
  for (const place of placesOf(rasterOf(masks, 640, 360))) frame[place] = 16;
  return frame;
}
const LEFT: Polygon = [
  [0, 0],
  [0.3, 0],
  [0.3, 1],
];
const RIGHT: Polygon = [
  [1, 0],
  [0.7, 0],
  [0.7, 1],
];

t.test(
  'one bright pixel in a mask is seen, and the last masks count until the next are',
  async (t) => {
    const guard = new MaskGuard();
    t.equal(guard.look(grayOf([])), 'black', 'nothing has to be');
    guard.force(rasterOf([LEFT], 640, 360));
    t.equal(guard.look(grayOf([LEFT])), 'black');
    const spoilt = grayOf([LEFT]);
    spoilt[placesOf(rasterOf([LEFT], 640, 360))[5] ?? 0] = 60;
    t.equal(guard.look(spoilt), 'open');
    let isProven = false;
    const proven = guard.proves(rasterOf([RIGHT], 640, 360)).then(() => (isProven = true));
    t.equal(guard.look(grayOf([LEFT])), 'black');
    t.equal(guard.look(grayOf([])), 'open', 'those in force count');
    t.equal(isProven, false);
    t.equal(guard.look(grayOf([LEFT, RIGHT])), 'black');
    await proven;
    t.equal(guard.look(grayOf([RIGHT])), 'black', 'the others are in force');
    t.equal(guard.look(grayOf([LEFT])), 'open');
    guard.force({ ...rasterOf([], 640, 360) });
    t.equal(guard.look(Buffer.alloc(GRAY_BYTES)), 'open', 'what nothing shows is not proven');
  },
);

t.test('what comes after masks were taken away waits for a picture taken after that', async (t) => {
  const said: string[] = [];
  const made = () => {
    const held = new HeldBack({
      monoUs: () => 0,
      onGray: () => undefined,
      onBroken: (what) => said.push(what),
    });
    held.guard.force(rasterOf([LEFT], 640, 360));
    held.gray(grayOf([LEFT]));
    held.doubt();
    held.hand(() => said.push('one'));
    for (let older = 0; older < 30; older += 1) held.gray(grayOf([LEFT]));
    held.trustAfter(2);
    held.gray(grayOf([LEFT]));
    held.gray(grayOf([LEFT]));
    return held;
  };
  const proven = made();
  t.strictSame(said, []);
  proven.gray(grayOf([LEFT]));
  t.strictSame(said.splice(0), ['one']);
  proven.hand(() => said.push('the last of it'));
  proven.finish();
  t.strictSame(said.splice(0), ['the last of it'], 'an orderly end');
  made().finish();
  t.strictSame(said, [], 'an end before that picture');
  made().gray(grayOf([]));
  t.strictSame(said, ['the masks are not black']);
});

t.test('nothing is handed on before its proof, and nothing after a break', async (t) => {
  const said: string[] = [];
  const time = { us: 0 };
  const made = () =>
    new HeldBack({
      monoUs: () => time.us,
      onGray: () => said.push('gray'),
      onBroken: (what) => said.push(what),
    });
  const free = made();
  free.hand(() => said.push('free'));
  t.strictSame(said.splice(0), ['free']);
  const held = made();
  held.guard.force(rasterOf([LEFT], 640, 360));
  held.hand(() => said.push('one'));
  held.media();
  t.strictSame(said, []);
  held.gray(grayOf([LEFT]).subarray(0, 100));
  held.gray(grayOf([LEFT]).subarray(100));
  t.strictSame(said.splice(0), ['one', 'gray']);
  held.hand(() => said.push('two'));
  held.gray(grayOf([]));
  held.gray(grayOf([LEFT]));
  held.finish();
  t.strictSame(said.splice(0), ['the masks are not black']);
  const blind = made();
  blind.guard.force(rasterOf([LEFT], 640, 360));
  blind.media();
  blind.hand(() => said.push('never'));
  time.us = 6e6;
  blind.media();
  blind.finish();
  t.strictSame(said.splice(0), ['nothing shows that masks are black']);
  const short = made();
  short.guard.force(rasterOf([LEFT], 640, 360));
  short.hand(() => said.push('never'));
  short.finish();
  t.strictSame(said, [], 'an end before any proof');
});

const JPEG = Buffer.concat([
  Buffer.from('ffd8ffe00010', 'hex'),
  // Bytes of a segment that look like the end of a picture.
  Buffer.from('4a46494600ffd900000100010000', 'hex'),
  Buffer.from('ffc0000b08007800a001011100', 'hex'),
  Buffer.from('ffda0008010100003f00', 'hex'),
  Buffer.from('1234ff0056ffd9', 'hex'),
]);

t.test('JPEG pictures are cut apart however the bytes come', async (t) => {
  for (let size = 1; size <= JPEG.length; size += 1) {
    const got: { width: number; height: number; jpeg: Buffer }[] = [];
    const splitter = new JpegSplitter(1000, (picture) => got.push(picture));
    const row = Buffer.concat([JPEG, JPEG]);
    for (let at = 0; at < row.length; at += size) splitter.push(row.subarray(at, at + size));
    t.equal(got.length, 2);
    for (const picture of got) {
      t.match(picture, { width: 160, height: 120 });
      t.ok(picture.jpeg.equals(JPEG));
    }
  }
  const strict = () => new JpegSplitter(1000, () => t.fail('no picture'));
  t.throws(() => strict().push(Buffer.from('GIF89a')), { code: 'CAPTURE_FAILED' });
  t.throws(() => strict().push(Buffer.concat([JPEG.subarray(0, 20), Buffer.alloc(2000)])), {
    code: 'CAPTURE_FAILED',
  });
});

t.test('gray pictures are cut apart', async (t) => {
  const got: number[] = [];
  const splitter = new GraySplitter((frame) => got.push(frame[0] ?? 0));
  const row = Buffer.concat([1, 2, 3].map((value) => Buffer.alloc(GRAY_BYTES, value)));
  for (let at = 0; at < row.length; at += 65_536) splitter.push(row.subarray(at, at + 65_536));
  t.strictSame(got, [1, 2, 3]);
});
