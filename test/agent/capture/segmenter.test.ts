// Where a stream is cut: tables of chunks against the segments they become.
import t from 'tap';
import { type Chunk, type Cut, Segmenter } from '../../../agent/capture/segmenter.ts';

const MS = 1000;
const LIMITS = { targetUs: 1000 * MS, keyframeWaitUs: 2000 * MS, maxBytes: 1000, maxChunks: 100 };

/** `V` a keyframe, `v` none, `a` sound; from and to in milliseconds; bytes. */
function chunk(what: string, fromMs: number, toMs: number, bytes = 10): Chunk {
  return {
    kind: what === 'a' ? 'audio' : 'video',
    startUs: fromMs * MS,
    endUs: toMs * MS,
    isSync: what !== 'v',
    bytes: new Uint8Array(bytes),
  };
}

function segment(chunks: readonly Chunk[], limits = LIMITS): string[] {
  const segmenter = new Segmenter(limits);
  const cuts = [...chunks.map((one) => segmenter.push(one)), segmenter.flush()];
  return cuts.filter((cut) => cut !== undefined).map(describeCut);
}

function describeCut({ startUs, endUs, chunks }: Cut): string {
  const inner = chunks.map(({ kind, startUs: at }) => `${kind.slice(0, 1)}${at / MS}`).join(' ');
  return `${startUs / MS}-${endUs / MS}: ${inner}`;
}

const cases: Record<string, { chunks: readonly Chunk[]; cuts: readonly string[] }> = {
  'nothing at all': { chunks: [], cuts: [] },
  'a cut at the first keyframe after the aim': {
    chunks: [
      chunk('V', 0, 500),
      chunk('v', 500, 1200),
      chunk('V', 1200, 1700),
      chunk('v', 1700, 2100),
    ],
    cuts: ['0-1200: v0 v500', '1200-2100: v1200 v1700'],
  },
  'a keyframe just before the aim is near enough': {
    chunks: [chunk('V', 0, 960), chunk('V', 960, 1920), chunk('V', 1920, 2000)],
    cuts: ['0-960: v0', '960-1920: v960', '1920-2000: v1920'],
  },
  'a keyframe long before the aim is not': {
    chunks: [chunk('V', 0, 500), chunk('V', 500, 1000), chunk('V', 1000, 1500)],
    cuts: ['0-1000: v0 v500', '1000-1500: v1000'],
  },
  'what comes before the first keyframe is dropped, its sound too': {
    chunks: [
      chunk('a', 0, 200),
      chunk('v', 0, 400),
      chunk('a', 200, 500),
      chunk('V', 400, 1400),
      chunk('a', 500, 700),
    ],
    cuts: ['400-1400: a200 v400 a500'],
  },
  'sound goes by its decode time, not by its arrival': {
    chunks: [
      chunk('a', 0, 600),
      chunk('V', 0, 1000),
      chunk('a', 600, 1100),
      chunk('a', 1100, 1300),
      chunk('V', 1000, 1500),
      chunk('a', 1300, 1450),
    ],
    cuts: ['0-1000: v0 a0 a600', '1000-1500: v1000 a1100 a1300'],
  },
  'sound beyond the last picture is given up': {
    chunks: [chunk('V', 0, 300), chunk('a', 0, 300), chunk('a', 300, 600)],
    cuts: ['0-300: v0 a0'],
  },
  'sound alone is no segment': { chunks: [chunk('a', 0, 500), chunk('a', 500, 900)], cuts: [] },
  'too many bytes are cut before the last keyframe': {
    chunks: [
      chunk('V', 0, 200, 400),
      chunk('V', 200, 400, 400),
      chunk('v', 400, 500, 400),
      chunk('V', 500, 600, 10),
    ],
    cuts: ['0-200: v0', '200-600: v200 v400 v500'],
  },
  'too many chunks as well': {
    chunks: Array.from({ length: 102 }, (_, index) => chunk('V', index, index + 1, 1)),
    cuts: [
      `0-100: ${Array.from({ length: 100 }, (_, index) => `v${index}`).join(' ')}`,
      '100-102: v100 v101',
    ],
  },
};
for (const [name, { chunks, cuts }] of Object.entries(cases))
  t.test(name, async (t) => {
    t.strictSame(segment(chunks), cuts);
  });

t.test('sound without pictures is not held without limit', async (t) => {
  const alone = new Segmenter(LIMITS);
  alone.push(chunk('a', 0, 100, 600));
  t.throws(() => alone.push(chunk('a', 100, 200, 600)), { code: 'CAPTURE_FAILED' });
  const tiny = new Segmenter(LIMITS);
  for (let at = 0; at < 100; at += 1) tiny.push(chunk('a', at, at + 1, 0));
  t.throws(() => tiny.push(chunk('a', 100, 101, 0)), { code: 'CAPTURE_FAILED' });
  const behind = new Segmenter(LIMITS);
  behind.push(chunk('V', 0, 100));
  behind.push(chunk('a', 0, 100, 600));
  t.throws(() => behind.push(chunk('a', 100, 200, 600)), { code: 'CAPTURE_NO_KEYFRAME' });
  const long = new Segmenter(LIMITS);
  for (let at = 0; at < 100; at += 1) {
    t.doesNotThrow(() => long.push(chunk('V', 500 * at, 500 * (at + 1), 100)));
    t.doesNotThrow(() => long.push(chunk('a', 500 * at, 500 * (at + 1), 100)));
  }
});

t.test('a source without keyframes is an error, and what was begun can be had', async (t) => {
  const never = new Segmenter(LIMITS);
  t.equal(never.push(chunk('v', 0, 1900)), undefined);
  t.throws(() => never.push(chunk('v', 1900, 2100)), { code: 'CAPTURE_NO_KEYFRAME' });
  t.equal(never.flush(), undefined);
  const once = new Segmenter(LIMITS);
  once.push(chunk('V', 0, 1000));
  t.equal(once.push(chunk('v', 1000, 2900)), undefined);
  t.throws(() => once.push(chunk('v', 2900, 3100)), { code: 'CAPTURE_NO_KEYFRAME' });
  t.match(once.flush(), { startUs: 0, endUs: 3100 * MS });
  const fat = new Segmenter(LIMITS);
  fat.push(chunk('V', 0, 100, 900));
  t.throws(() => fat.push(chunk('v', 100, 200, 200)), { code: 'CAPTURE_NO_KEYFRAME' });
});
