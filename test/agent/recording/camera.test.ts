// When the camera is open: by the recording mode and the schedule, and around a restart.
import t from 'tap';
import { LenscapError } from '../../../proto/errors.ts';
import { eventually } from '../../e2e/processes.ts';
import { childPids } from '../capture/children.ts';
import { mediaClock } from '../capture/harness.ts';
import { grant } from '../consent/grants.ts';
import { holes, settingsOf, startCamera } from './rig.ts';

const TEST = { type: 'test' } as const;
const always = { mode: 'continuous' };
const off = { mode: 'off' };
const CLOSED = 'the camera stays closed';

t.test('a camera that is off is closed, and the time is a gap of its own', async (t) => {
  const run = startCamera(t, settingsOf(TEST, { recording: off }));
  run.gate.accept(grant(1, ['video']));
  await eventually('closed', () => run.says(CLOSED) === 1);
  t.equal(run.camera.isWanted(), false);
  t.same(childPids(), [], 'no capture process');
  run.settings.replace(settingsOf(TEST, { recording: always }));
  await eventually('pictures', () => run.segments.length >= 2);
  t.match(run.camera.state(), { isCapturing: true, isRecording: true });
  run.settings.replace(settingsOf(TEST, { recording: off }));
  await eventually('closed again', () => run.says(CLOSED) === 2);
  t.equal(run.camera.state().isCapturing, false);
  t.same(childPids(), []);
  const taken = run.segments.length;
  run.settings.replace(settingsOf(TEST, { recording: always }));
  await eventually('more', () => run.segments.length > taken);
  run.settings.replace(settingsOf(TEST, { recording: off }));
  await eventually('closed once more', () => run.says(CLOSED) === 3);
  // The last frame lasts until the next one would have come.
  const last = run.segments.at(-1)?.header;
  const untilUs = (last?.startMonoUs ?? 0) + (last?.durationUs ?? 0);
  await eventually('its end', () => mediaClock.monoUs() > untilUs + 1000);
  await run.stop();
  t.same(
    run.gaps.map(({ reason, epoch, code }) => [reason, epoch, code]),
    [
      ['not_wanted', 1, null],
      ['not_wanted', 1, null],
      ['not_wanted', 1, null],
    ],
  );
  for (const hole of holes(run.segments, run.gaps)) t.ok(Math.abs(hole) <= 1, `${hole} us`);
});

t.test('a withdrawal while it is closed leaves no gap', async (t) => {
  const run = startCamera(t, settingsOf(TEST, { recording: off }));
  run.gate.accept(grant(1, ['video']));
  await eventually('closed', () => run.says(CLOSED) === 1);
  run.gate.accept(grant(2, []));
  run.gate.accept(grant(3, ['video']));
  run.settings.replace(settingsOf(TEST, { recording: always }));
  await eventually('pictures', () => run.segments.length >= 1);
  await run.stop();
  t.ok(
    run.gaps.every(({ epoch, durationUs }) => epoch === 3 && durationUs < 20e6),
    'nothing of the time before',
  );
});

t.test('it opens and closes by the schedule, also when the clock is set', async (t) => {
  const wall = { us: Date.parse('2026-11-23T07:59:59.500Z') * 1000 };
  const clock = { wallUs: () => wall.us };
  const recording = {
    mode: 'continuous',
    schedule: [{ days: ['mon'], from: '08:00', to: '09:00' }],
  };
  const run = startCamera(t, settingsOf(TEST, { recording }), { clock });
  run.gate.accept(grant(1, ['video']));
  t.equal(run.camera.isWanted(), false);
  await eventually('closed', () => run.says(CLOSED) === 1);
  wall.us += 1e6;
  await eventually('open at eight', () => run.segments.length >= 1);
  t.same(
    run.gaps.map(({ reason }) => reason),
    ['not_wanted'],
  );
  wall.us += 3600e6;
  await eventually('closed at nine', () => !run.camera.state().isCapturing);
  await run.stop();
});

t.test('a restart is a gap of less than two seconds, and keeps the consent', async (t) => {
  const run = startCamera(t, settingsOf(TEST, { recording: always }));
  run.gate.accept(grant(1, ['video']));
  for (let round = 0; round < 2; round += 1) {
    const taken = run.segments.length;
    await eventually('pictures', () => run.segments.length > taken);
    run.settings.replace(settingsOf(TEST, { recording: always, video: { frameRate: 10 + round } }));
    run.camera.restart();
    await eventually('another stream', () => run.gaps.length > round);
  }
  await run.stop();
  t.equal(run.gaps.length, 2);
  for (const { reason, durationUs } of run.gaps) {
    t.equal(reason, 'capture_restarted');
    t.ok(durationUs < 2e6, `${Math.round(durationUs / 1000)} ms`);
    t.comment(`${Math.round(durationUs / 1000)} ms`);
  }
  for (const hole of holes(run.segments, run.gaps)) t.ok(Math.abs(hole) <= 1, `${hole} us`);
});

t.test(
  'where the light cannot be set, the source is not opened and the time is a gap',
  async (t) => {
    const asked: boolean[] = [];
    const opening = async (state: { readonly isRecording: boolean }) => {
      asked.push(state.isRecording);
      if (asked.length === 1) throw new LenscapError('LIGHT_FAILED', 'no such line');
    };
    const run = startCamera(t, settingsOf(TEST, { recording: always }), { opening });
    run.gate.accept(grant(1, ['video']));
    await eventually('the light was asked', () => asked.length === 1);
    t.same(childPids(), [], 'no capture process');
    await eventually('pictures', () => run.segments.length >= 1, 30_000);
    await run.stop();
    t.strictSame(asked, [true, true]);
    t.match(run.gaps, [{ reason: 'source_lost', code: 'LIGHT_FAILED' }]);
  },
);
