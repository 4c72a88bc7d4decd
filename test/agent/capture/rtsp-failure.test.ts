// Network cameras that are away, hang up, die or fall silent.
import { join } from 'node:path';
import t from 'tap';
import { camera, ffmpeg, MOTION, rtsp } from './harness.ts';

t.jobs = 3;

t.test('a camera that is not there is CAPTURE_NO_SOURCE', async (t) => {
  const recording = rtsp('rtsp://127.0.0.1:9/cam?user=a&password=hunter2');
  await recording.until('the error', () => recording.log.includes('"waitMs"'));
  await recording.stop();
  t.match(recording.gaps, [{ code: 'CAPTURE_NO_SOURCE' }]);
  t.notMatch(recording.log, /hunter2/);
});

t.test('a camera that hangs up is captured again when it is back', async (t) => {
  const short = join(t.testdir(), 'short.mov');
  await ffmpeg(
    '-i',
    MOTION,
    '-t',
    '2',
    '-c:v',
    'libx264',
    '-bf',
    '0',
    '-g',
    '15',
    '-c:a',
    'copy',
    short,
  );
  const { url } = await camera(t, '--file', short);
  const recording = rtsp(url, {}, { segment: { durationMs: 1000 } });
  await recording.until('a second stream', () => recording.streams.length >= 2);
  await recording.stop();
  t.match(recording.gaps[0], { reason: 'source_lost', code: 'CAPTURE_ENDED' });
  t.equal(recording.gaps.length, 1);
});

t.test('a camera that is killed is a Gap', async (t) => {
  const { url, process } = await camera(t);
  const recording = rtsp(url);
  await recording.until('a segment', () => recording.segments.length > 0);
  process.kill('SIGKILL');
  await recording.until('attempts', () => recording.log.includes('CAPTURE_NO_SOURCE'));
  await recording.stop();
  t.equal(recording.gaps.length, 1);
  t.match(recording.gaps[0], { reason: 'source_lost' });
});

t.test('a camera that hangs is noticed in time, and is one Gap when it is back', async (t) => {
  const { url, process } = await camera(t);
  const recording = rtsp(url, {}, { capture: { stallTimeoutMs: 2000 } });
  await recording.until('a segment', () => recording.segments.length > 0);
  const hungAtMs = performance.now();
  process.kill('SIGSTOP');
  await recording.until('the stall', () => recording.log.includes('CAPTURE_STALLED'));
  const noticedMs = performance.now() - hungAtMs;
  t.ok(noticedMs > 1500 && noticedMs < 3500, `noticed after ${Math.round(noticedMs)} ms`);
  process.kill('SIGCONT');
  await recording.until('a second stream', () => recording.streams.length > 1);
  await recording.stop();
  t.equal(recording.gaps.length, 1);
  const [gap] = recording.gaps;
  t.match(gap, { reason: 'source_stalled', code: 'CAPTURE_STALLED', epoch: 7 });
  const second = recording.segments.find(({ stream }) => stream === recording.streams[1]);
  t.equal((gap?.startMonoUs ?? 0) + (gap?.durationUs ?? 0), second?.header.startMonoUs);
});
