// The clock in the picture, read off decoded frames: it shows the time of the zone that is set, also
// where that zone puts its clocks forward and back.
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import t from 'tap';
import { FakedClock } from '../../faked-clock.ts';
import { type Frame, framesOf } from './frames.ts';
import { captureConfig, QUICK, Recording } from './harness.ts';
import { inChild, seeing } from './in-child.ts';

const run = promisify(execFile);
const [WIDTH, HEIGHT] = [640, 120];
const SHAPE = 'dddd-dd-dd dd:dd:dd';
const DIGITS = [...'0123456789'];

/** The same clock, showing nothing but one digit; as it looks before it is encoded. */
async function digitPictures(dir: string): Promise<Frame[]> {
  const branches = DIGITS.map((digit) => [
    ...`videotestsrc pattern=white num-buffers=1 ! video/x-raw,format=I420,width=${WIDTH},height=${HEIGHT}`.split(
      ' ',
    ),
    ...'! clockoverlay valignment=bottom halignment=left'.split(' '),
    `time-format=${SHAPE.replaceAll('d', digit)}`,
    ...`! jpegenc quality=100 ! filesink location=${join(dir, `${digit}.jpg`)}`.split(' '),
  ]);
  await run('gst-launch-1.0', ['-q', ...branches.flat()]);
  const frames = await Promise.all(DIGITS.map((digit) => framesOf(join(dir, `${digit}.jpg`))));
  return frames.flat();
}

/** How much two pictures differ within some columns. */
function difference(one: Frame, other: Frame, from: number, to: number): number {
  let sum = 0;
  for (let y = 0; y < HEIGHT; y += 1)
    for (let x = Math.floor(from); x < to; x += 1)
      sum += Math.abs((one.luma[y * WIDTH + x] ?? 0) - (other.luma[y * WIDTH + x] ?? 0));
  return sum;
}

/** What the clock in a picture says. */
function read(frame: Frame, digits: readonly Frame[]): string {
  const [zero] = digits;
  const written = [...(zero?.luma ?? [])].flatMap((luma, at) => (luma < 200 ? [at % WIDTH] : []));
  const left = written.reduce((least, x) => Math.min(least, x), WIDTH);
  const cell = (written.reduce((most, x) => Math.max(most, x), 0) + 1 - left) / SHAPE.length;
  return [...SHAPE]
    .map((sign, at) => {
      if (sign !== 'd') return sign;
      const from = left + at * cell;
      const misses = digits.map((digit) => difference(frame, digit, from, from + cell));
      return `${misses.indexOf(Math.min(...misses))}`;
    })
    .join('');
}

/** Seconds from now to such a time. */
function until(time: string): number {
  return Math.round((Date.parse(time) - Date.now()) / 1000);
}

const moments = [
  ['2026-03-29T00:59:20Z', /^2026-03-29 01:59:[1-4]\d$/],
  ['2026-03-29T01:00:20Z', /^2026-03-29 03:00:[1-4]\d$/],
  ['2026-10-25T00:59:20Z', /^2026-10-25 02:59:[1-4]\d$/],
  ['2026-10-25T01:00:20Z', /^2026-10-25 02:00:[1-4]\d$/],
  ['2027-08-16T15:43:20Z', /^2027-08-16 17:43:[1-4]\d$/],
] as const;

t.test('the clock in the picture is that of its zone, in summer and in winter', async (t) => {
  const dir = t.testdir();
  const digits = await digitPictures(dir);
  const clock = new FakedClock(join(dir, 'ahead'), until(moments[0][0]));
  const { LD_PRELOAD = '' } = clock.env;
  const { childEnv } = inChild(seeing('white'));
  const faked = {
    LD_PRELOAD,
    DONT_FAKE_MONOTONIC: '1',
    FAKETIME_TIMESTAMP_FILE: join(dir, 'ahead'),
    FAKETIME_NO_CACHE: '1',
  };
  const video = { ...QUICK.video, width: WIDTH, height: HEIGHT, bitrateKbps: 2000, frameRate: 10 };
  const overlay = { clock: true };
  const zone = { timeZone: 'Europe/Berlin' };
  const recording = new Recording(
    captureConfig({ type: 'test' }, { ...QUICK, video, overlay, clock: zone }),
    false,
    { childEnv: { ...childEnv, ...faked } },
  );
  await recording.until('a segment', () => recording.segments.length > 0);
  const ends: number[] = [];
  for (const [time] of moments) {
    clock.set(until(time));
    await recording.pictures(6);
    ends.push(recording.capture.figures().framesCaptured);
  }
  const elsewhere = { timeZone: 'Asia/Kolkata' };
  t.equal(await recording.adjust({ clock: elsewhere }), 'restart', 'the child has one zone');
  t.equal(await recording.adjust({ overlay: { name: false, clock: false } }), 'set');
  await recording.stop();
  const frames = await framesOf(await recording.writeAll(dir));
  for (const [at, [time, expected]] of moments.entries()) {
    const frame = frames[(ends[at] ?? 0) - 1];
    t.match(frame && read(frame, digits), expected, time);
  }
});
