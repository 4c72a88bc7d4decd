// Files that cannot be played: each is named by a code, with what to do, and made up for by a Gap.
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { captureConfig, ffmpeg, MOTION, Recording } from './harness.ts';

t.jobs = 3;

const whole = readFileSync(MOTION);
const broken: Record<string, { make: (path: string) => void | Promise<void>; code: string }> = {
  'a missing file': { make: () => undefined, code: 'CAPTURE_NO_SOURCE' },
  'a recording that was cut short': {
    make: (path) => writeFileSync(path, whole.subarray(0, 200_000)),
    code: 'CAPTURE_UNSUPPORTED',
  },
  garbage: {
    make: (path) => writeFileSync(path, Buffer.alloc(50_000, 'no video at all ')),
    code: 'CAPTURE_UNSUPPORTED',
  },
  'an empty file': { make: (path) => writeFileSync(path, ''), code: 'CAPTURE_UNSUPPORTED' },
  'a file with nothing but sound': {
    make: (path) => ffmpeg('-i', MOTION, '-vn', '-c', 'copy', '-f', 'mov', path),
    code: 'CAPTURE_UNSUPPORTED',
  },
};
for (const [name, { make, code }] of Object.entries(broken))
  t.test(`${name} is ${code}`, async (t) => {
    const path = join(t.testdir(), 'it\'s "odd" ! $(x) name.mov');
    await make(path);
    const recording = new Recording(captureConfig({ type: 'file', path, loop: true }));
    await recording.until('two attempts', () => recording.log.split('"waitMs"').length > 2);
    await recording.stop();
    t.match(recording.log, new RegExp(`"code":"${code}".*(check|it has no video)`));
    t.equal(recording.segments.length, 0);
    t.match(recording.gaps, [{ reason: 'source_lost', code, epoch: 7 }]);
    t.equal(recording.gaps.length, 1, 'one gap for all attempts');
  });

t.test('a file that appears later is captured, after one gap', async (t) => {
  const path = join(t.testdir(), 'late.mov');
  const recording = new Recording(captureConfig({ type: 'file', path, loop: true }));
  await recording.until('an attempt', () => recording.log.includes('CAPTURE_NO_SOURCE'));
  copyFileSync(MOTION, path);
  await recording.until('a segment', () => recording.segments.length > 0);
  await recording.stop();
  t.equal(recording.gaps.length, 1);
  const gap = recording.gaps[0];
  t.equal(
    (gap?.startMonoUs ?? 0) + (gap?.durationUs ?? 0),
    recording.segments[0]?.header.startMonoUs,
  );
  t.strictSame(recording.order.slice(0, 3), ['stream', 'gap', 'segment']);
});

t.test('a source without keyframes is CAPTURE_NO_KEYFRAME, after what could be kept', async (t) => {
  const path = join(t.testdir(), 'one-keyframe.mp4');
  await ffmpeg(
    ...['-i', MOTION, '-an', '-s', '160x90', '-c:v', 'libx264', '-preset', 'ultrafast'],
    ...['-g', '9999', '-sc_threshold', '0', '-keyint_min', '9999', path],
  );
  const recording = new Recording(
    captureConfig(
      { type: 'file', path, loop: false },
      { video: { keyframeIntervalMs: 200 }, capture: { startTimeoutMs: 1500 } },
    ),
  );
  await recording.until('the error', () => recording.log.includes('CAPTURE_NO_KEYFRAME'));
  await recording.stop();
  t.equal(recording.segments[0]?.header.decodeStartUs, 0);
  t.match(recording.log, /shorten the keyframe interval/);
});
