// How a capture survives: crash, hang, hardware that is missing, encoders that do not work.
import t from 'tap';
import { systemClock } from '../../../agent/clock.ts';
import type { SourceConfig } from '../../../proto/agent-config.ts';
import { begin, isAlive } from './children.ts';
import { captureConfig, decodeErrors, packets, QUICK, Recording } from './harness.ts';
import { inChild } from './in-child.ts';

t.jobs = 3;

const TEST = { type: 'test' } as const;

t.test('the test source gives segments that follow each other without a hole', async (t) => {
  const dir = t.testdir();
  const { recording, pid } = begin(captureConfig(TEST));
  await recording.until('2 segments', () => recording.segments.length >= 2);
  const stoppedAtMs = performance.now();
  await recording.stop();
  t.ok(performance.now() - stoppedAtMs < 1500, 'stops within 1.5 s');
  t.ok(recording.segments.length >= 3, 'the segment under way was handed over');
  t.strictSame(recording.gaps, [], 'an orderly stop is no gap');
  t.notOk(isAlive(pid));
  for (const [index, { header, chunks, atUs }] of recording.segments.entries()) {
    t.equal(header.sequence, index);
    t.equal(header.epoch, 7);
    const path = await recording.write(dir, index);
    t.equal(await decodeErrors(path), '');
    const video = await packets(path, 'v', 'flags');
    t.match(video[0]?.[0], /^K/);
    t.equal(video.length, Math.round((header.durationUs * 15) / 1e6), 'all frames of its time');
    t.ok(chunks.length > 2);
    const lagUs = atUs - header.startMonoUs - header.durationUs;
    t.ok(Math.abs(lagUs) < 700_000, `times are those of the capture (${lagUs} us)`);
    const wallLessMonoUs = header.startAtUs - header.startMonoUs;
    const stepUs = wallLessMonoUs - (systemClock.wallUs() - systemClock.monoUs());
    t.ok(Math.abs(stepUs) < 5e6, `wall time and monotonic time belong together (${stepUs} us)`);
  }
});

t.test('without consent to sound, or without a wish for it, there is none', async (t) => {
  for (const recording of [
    new Recording(captureConfig(TEST, QUICK), false),
    new Recording(captureConfig(TEST, { ...QUICK, audio: { source: 'none' } })),
  ]) {
    await recording.until('a segment', () => recording.segments.length > 0);
    await recording.stop();
    t.strictSame(recording.streams[0]?.scopes, ['video']);
    t.equal(recording.streams[0]?.tracks.length, 1);
  }
});

t.test('a child that crashes is replaced, and the time between is one Gap', async (t) => {
  const { recording, pid } = begin(captureConfig(TEST, QUICK));
  await recording.until('a segment', () => recording.segments.length > 0);
  process.kill(pid, 'SIGKILL');
  await recording.until('a second stream', () => recording.streams.length > 1);
  await recording.stop();
  t.equal(recording.gaps.length, 1);
  const [gap] = recording.gaps;
  t.match(gap, { reason: 'capture_crashed', code: 'CAPTURE_FAILED' });
  const first = recording.segments.filter(({ stream }) => stream === recording.streams[0]).at(-1);
  const second = recording.segments.find(({ stream }) => stream === recording.streams[1]);
  t.equal(gap?.startMonoUs, (first?.header.startMonoUs ?? 0) + (first?.header.durationUs ?? 0));
  t.equal((gap?.startMonoUs ?? 0) + (gap?.durationUs ?? 0), second?.header.startMonoUs);
});

t.test('a child that hangs is noticed in time and replaced', async (t) => {
  const short = { ...QUICK, capture: { stallTimeoutMs: 1500 } };
  const { recording, pid } = begin(captureConfig(TEST, short));
  await recording.until('a segment', () => recording.segments.length > 0);
  const beginMs = performance.now();
  process.kill(pid, 'SIGSTOP');
  await recording.until('the stall', () => recording.log.includes('CAPTURE_STALLED'));
  const noticedMs = performance.now() - beginMs;
  t.ok(noticedMs > 1400 && noticedMs < 3000, `noticed after ${Math.round(noticedMs)} ms`);
  await recording.until('a second stream', () => recording.streams.length > 1);
  t.notOk(isAlive(pid));
  await recording.stop();
  t.match(recording.gaps, [{ reason: 'source_stalled', code: 'CAPTURE_STALLED' }]);
});

for (const { source, code } of [
  { source: { type: 'v4l2', device: '/dev/video99', format: 'raw' }, code: 'CAPTURE_NO_SOURCE' },
  { source: { type: 'v4l2', device: '/dev/null', format: 'h264' }, code: 'CAPTURE_NO_SOURCE' },
  { source: { type: 'libcamera', camera: 'none such' }, code: 'CAPTURE_NO_SOURCE' },
] as const)
  t.test(`what is not there is named: ${Object.values(source)}`, async (t) => {
    const recording = new Recording(captureConfig(source));
    await recording.until('the error', () => recording.log.includes('"waitMs"'));
    await recording.stop();
    t.match(recording.gaps, [{ reason: 'source_lost', code }], `${source.type}: ${recording.log}`);
    t.match(recording.log, /check /);
  });

t.test('pictures go on without a microphone that is missing', async (t) => {
  const audio = { source: 'alsa', device: 'hw:99' } as const;
  const recording = new Recording(captureConfig(TEST, { ...QUICK, audio }));
  await recording.until('a segment', () => recording.segments.length > 0);
  await recording.stop();
  t.strictSame(recording.streams[0]?.scopes, ['video']);
  t.match(recording.gaps, [{ reason: 'source_lost', code: 'CAPTURE_NO_SOURCE' }]);
  t.match(recording.log, /check audio.device/);
  t.equal(recording.log.split('without sound').length, 2, 'said once');
});

t.test('waiting long in vain does not count as health', async (t) => {
  let calls = 0;
  const clock = {
    wallUs: () => Date.now() * 1000,
    monoUs: () => ++calls * 100e6,
    isEstimated: () => false,
  };
  const source = { type: 'v4l2', device: '/dev/video99', format: 'raw' } as const;
  const recording = new Recording(captureConfig(source), true, { clock });
  await recording.until('another failure', () => recording.log.includes('"failures":2'));
  await recording.stop();
  t.strictSame(recording.streams, []);
});

t.test('an encoder that does not exist or work here is CAPTURE_UNSUPPORTED', async (t) => {
  for (const encoder of ['nosuchenc', 'v4l2h264enc']) {
    const recording = new Recording(captureConfig(TEST, { video: { encoder } }));
    await recording.until('the error', () => recording.log.includes('"waitMs"'));
    await recording.stop();
    t.match(recording.gaps, [{ code: 'CAPTURE_UNSUPPORTED' }]);
    t.match(recording.log, /set video.encoder to auto/);
  }
  const recording = new Recording(
    captureConfig(TEST, {
      ...QUICK,
      video: { ...QUICK.video, encoder: 'openh264enc' },
    }),
  );
  await recording.until('a segment', () => recording.segments.length > 0);
  await recording.stop();
  t.match(recording.log, /"video":"openh264enc"/);
});

/** Says such words, and dies. */
function dyingChild(...words: readonly string[]) {
  const say = words.map((word) => `fs.writeSync(2, ${JSON.stringify(word)});`).join('');
  return inChild(`${say} process.kill(process.pid, 'SIGSEGV');`);
}

t.test('what a child says before it dies is told at warn, its secrets are not', async (t) => {
  const url = 'rtsp://me:hunter2@192.0.2.1/cam';
  const many = Array.from({ length: 30 }, (_, at) => `line ${at}\n`).join('');
  const source: SourceConfig = {
    type: 'rtsp',
    url,
    credentialsFile: null,
    transport: 'tcp',
    latencyMs: 9,
  };
  const recording = new Recording(captureConfig(source), true, {
    ...dyingChild(many, `at rtsp://me:hun`, `ter2@192.0.2.1/cam\n`, 'Bail out! no end of the line'),
  });
  const warned = () => recording.log.split('\n').filter((line) => line.includes('"level":40'));
  await recording.until('its end', () => recording.log.includes('"failures":1'));
  await recording.stop();
  const said = warned().filter((line) => line.includes('last words'));
  t.equal(said.length, 10, 'the last ones');
  t.match(said.at(-1), 'Bail out! no end of the line');
  t.match(said.at(-2), /at \*\*\*/);
  t.match(warned().join(' '), /"droppedLines":22/);
  t.match(warned().join(' '), /ended by SIGSEGV/);
  t.notMatch(recording.log, /hun|ter2/);
});
