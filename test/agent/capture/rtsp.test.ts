// Network cameras: a real RTSP server, with its passwords, its hang-ups and its silences.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import {
  captureConfig,
  decodeErrors,
  MOTION,
  never,
  type Overrides,
  packets,
  Recording,
} from './harness.ts';

t.jobs = 2;

const CAMERA = new URL('../../fixtures/camera.py', import.meta.url).pathname;

async function camera(t: Test, ...args: readonly string[]): Promise<{ url: string; process: ChildProcess }> {
  const process = spawn('/usr/bin/python3', [CAMERA, ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.teardown(() => process.kill('SIGKILL'));
  const [line] = await once(process.stdout ?? never('no output'), 'data');
  return { url: `rtsp://127.0.0.1:${String(line).split(' ')[1]?.trim()}/cam`, process };
}

function rtsp(
  url: string,
  options: { credentialsFile?: string; transport?: 'tcp' | 'udp' } = {},
  over: Overrides = {},
): Recording {
  const { credentialsFile = null, transport = 'tcp' } = options;
  return new Recording(
    captureConfig({ type: 'rtsp', url, credentialsFile, transport, latencyMs: 100 }, over),
  );
}

async function playsAlone(t: Test, recording: Recording, count: number): Promise<void> {
  const dir = t.testdir();
  await recording.until(`${count} segments`, () => recording.segments.length >= count);
  await recording.stop();
  for (const index of recording.segments.keys()) {
    const path = await recording.write(dir, index);
    t.equal(await decodeErrors(path), '', `segment ${index} decodes`);
    t.match((await packets(path, 'v', 'flags'))[0]?.[0], /^K/);
  }
  t.strictSame(recording.gaps, []);
}

t.test('H.264 and AAC over TCP pass through', async (t) => {
  const recording = rtsp((await camera(t, '0')).url);
  await playsAlone(t, recording, 3);
  t.match(recording.log, /"video":"passthrough","audio":"passthrough"/);
  t.match(recording.streams[0]?.tracks, [{ width: 320, height: 240 }, { codec: 'mp4a.40.2' }]);
});

t.test('MJPEG and G.711 over UDP are converted', async (t) => {
  const { url } = await camera(t, '0', '--video', 'jpeg', '--audio', 'pcma');
  const recording = rtsp(url, { transport: 'udp' });
  await playsAlone(t, recording, 3);
  t.match(recording.streams[0]?.tracks, [{ codec: /^avc1/, width: 160 }, { codec: 'mp4a.40.2' }]);
});

t.test('a camera with a password and without sound', async (t) => {
  const { url } = await camera(t, '0', '--audio', 'none', '--digest', 'me:pass:word');
  const credentialsFile = join(t.testdir(), 'credentials');
  writeFileSync(credentialsFile, 'me:pass:word\n', { mode: 0o600 });
  const recording = rtsp(url, { credentialsFile });
  await playsAlone(t, recording, 2);
  t.strictSame(recording.streams[0]?.scopes, ['video']);
  t.notMatch(recording.log, /pass:word/);
});

t.test('a wrong password, none, and one that others can read are CAPTURE_UNAUTHORIZED', async (t) => {
  const { url } = await camera(t, '0', '--digest', 'me:right');
  const wrong = join(t.testdir({ wrong: 'me:not-this\n', open: 'me:right\n' }), 'wrong');
  const open = join(t.testdirName, 'open');
  chmodSync(wrong, 0o600);
  chmodSync(open, 0o644);
  const missing = join(t.testdirName, 'missing');
  for (const options of [
    { credentialsFile: wrong },
    {},
    { credentialsFile: open },
    { credentialsFile: missing },
  ]) {
    const recording = rtsp(url, options);
    await recording.until('the error', () => recording.log.includes('"waitMs"'));
    await recording.stop();
    t.match(recording.gaps, [{ reason: 'source_lost', code: 'CAPTURE_UNAUTHORIZED' }]);
    t.notMatch(recording.log, /not-this|right/);
    t.match(recording.log, /credentialsFile|no such file/);
  }
});

t.test('a camera that is not there is CAPTURE_NO_SOURCE', async (t) => {
  const recording = rtsp('rtsp://127.0.0.1:9/cam?user=a&password=hunter2');
  await recording.until('the error', () => recording.log.includes('"waitMs"'));
  await recording.stop();
  t.match(recording.gaps, [{ code: 'CAPTURE_NO_SOURCE' }]);
  t.notMatch(recording.log, /hunter2/);
});

t.test('a camera that hangs up is captured again when it is back', async (t) => {
  const { url } = await camera(t, '0', '--file', MOTION);
  const recording = rtsp(url, {}, { segment: { durationMs: 2000 } });
  await recording.until('a second stream', () => recording.streams.length >= 2);
  await recording.stop();
  t.match(recording.gaps[0], { reason: 'source_lost', code: 'CAPTURE_ENDED' });
  t.equal(recording.gaps.length, 1);
});

t.test('a camera that is killed is a Gap', async (t) => {
  const { url, process } = await camera(t, '0');
  const recording = rtsp(url);
  await recording.until('a segment', () => recording.segments.length > 0);
  process.kill('SIGKILL');
  await recording.until('attempts', () => recording.log.includes('CAPTURE_NO_SOURCE'));
  await recording.stop();
  t.equal(recording.gaps.length, 1);
  t.match(recording.gaps[0], { reason: 'source_lost' });
});

t.test('a camera that hangs is noticed within 5 s, and is one Gap when it is back', async (t) => {
  const { url, process } = await camera(t, '0');
  const recording = rtsp(url);
  await recording.until('a segment', () => recording.segments.length > 0);
  const hungAtMs = performance.now();
  process.kill('SIGSTOP');
  await recording.until('the stall', () => recording.log.includes('CAPTURE_STALLED'));
  const noticedMs = performance.now() - hungAtMs;
  t.ok(noticedMs < 5000, `noticed after ${Math.round(noticedMs)} ms`);
  process.kill('SIGCONT');
  await recording.until('a second stream', () => recording.streams.length > 1);
  await recording.stop();
  t.equal(recording.gaps.length, 1);
  const [gap] = recording.gaps;
  t.match(gap, { reason: 'source_stalled', code: 'CAPTURE_STALLED', epoch: 7 });
  const second = recording.segments.find(({ stream }) => stream === recording.streams[1]);
  t.equal((gap?.startMonoUs ?? 0) + (gap?.durationUs ?? 0), second?.header.startMonoUs);
});
