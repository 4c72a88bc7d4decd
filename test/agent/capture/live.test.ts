// In which order masks are changed in a pipeline that runs, and what is held back meanwhile.
import { setImmediate } from 'node:timers/promises';
import t from 'tap';
import { GRAY_BYTES } from '../../../agent/capture/gray.ts';
import { HeldBack } from '../../../agent/capture/held-back.ts';
import { Live } from '../../../agent/capture/live.ts';
import { placesOf } from '../../../agent/capture/mask-guard.ts';
import { rasterOf } from '../../../agent/capture/mask-raster.ts';
import type { Property } from '../../../agent/capture/protocol.ts';
import { knownTracks } from '../../../agent/capture/source.ts';
import type { Polygon } from '../../../proto/settings.ts';
import { captureConfig } from './harness.ts';

const WHOLE: Polygon = [
  [0, 0],
  [1, 0],
  [1, 1],
  [0, 1],
];
const PART: Polygon = [
  [0.2, 0.2],
  [0.4, 0.2],
  [0.4, 0.6],
];
const SOURCE = { type: 'test' } as const;
const never = new AbortController().signal;

/** A pipeline that says what was set on it, and what was handed on. */
function rig(masks: readonly Polygon[]) {
  const said: string[] = [];
  let answer = (): Promise<null> => Promise.resolve(null);
  const held = new HeldBack({
    monoUs: () => 0,
    onGray: () => undefined,
    onBroken: (what) => said.push(what),
  });
  const config = captureConfig(SOURCE, { masks });
  const { width, height } = config.video;
  const live = new Live({
    process: {
      set: (properties: readonly Property[]) => {
        for (const { element, name, value } of properties)
          if (element.startsWith('mask')) said.push(`${element} ${name} ${value}`);
        return answer();
      },
    },
    maskFile: { write: (image) => said.push(`image ${image.byteLength > 0}`) },
    held,
    config,
    maskWaitMs: 500,
  });
  const plan = { credentials: null, tracks: knownTracks(SOURCE, false), audioEncoder: null };
  live.begin({ ...config, ...plan, videoEncoder: 'x264enc' });
  said.splice(0);
  return {
    said,
    adjust: (next: readonly Polygon[]) => live.adjust({ ...config, masks: next }, never),
    /** A small gray picture in which these are black. */
    gray: (...black: readonly Polygon[]) => {
      const frame = Buffer.alloc(GRAY_BYTES, 200);
      for (const place of placesOf(rasterOf(black, width, height))) frame[place] = 16;
      held.gray(frame);
    },
    hand: (what: string) => held.hand(() => said.push(what)),
    /** What answers from now on. */
    answers: (next: () => Promise<null>) => {
      answer = next;
    },
  };
}

/** All that needs no answer has been done. */
const turn = () => setImmediate();

t.test('next masks are drawn, seen, and only then take the place of the last ones', async (t) => {
  const { said, adjust, gray } = rig([PART]);
  const adjusted = adjust([WHOLE]);
  await turn();
  const drawn = [
    'image true',
    'mask_b location /dev/fd/7',
    'mask_b offset-x 0',
    'mask_b offset-y 0',
  ];
  t.strictSame(said.splice(0), [...drawn, 'mask_b alpha 1']);
  gray(PART);
  await turn();
  t.strictSame(said, [], 'not seen yet');
  gray(WHOLE);
  t.equal(await adjusted, 'set');
  t.strictSame(said, ['mask_a alpha 0']);
});

t.test(
  'what comes once masks are taken away waits until others are seen without them',
  async (t) => {
    const { said, adjust, gray, hand, answers } = rig([WHOLE]);
    const adjusted = adjust([PART]);
    await turn();
    const taken = Promise.withResolvers<null>();
    answers(() => taken.promise);
    gray(WHOLE);
    await turn();
    t.equal(said.at(-1), 'mask_a alpha 0');
    said.splice(0);
    hand('while they go');
    for (let old = 0; old < 20; old += 1) gray(WHOLE);
    t.strictSame(said, []);
    taken.resolve(null);
    t.equal(await adjusted, 'set');
    for (let old = 0; old < 3; old += 1) gray(WHOLE);
    t.strictSame(said, [], 'they may have been taken before');
    gray(PART);
    t.strictSame(said, ['while they go']);
  },
);

t.test('masks that are not seen in time are a failure, and the last ones stay', async (t) => {
  const { said, adjust, gray } = rig([PART]);
  const adjusted = adjust([WHOLE]);
  await turn();
  gray(PART);
  await t.rejects(adjusted, { code: 'CAPTURE_FAILED' });
  t.notOk(said.includes('mask_a alpha 0'));
});

t.test('masks that go altogether hold nothing back', async (t) => {
  const { said, adjust, hand } = rig([PART]);
  t.equal(await adjust([]), 'set');
  t.strictSame(said.splice(0), ['mask_a alpha 0']);
  hand('at once');
  t.strictSame(said, ['at once']);
});
