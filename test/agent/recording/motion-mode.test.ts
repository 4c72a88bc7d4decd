// Recording on motion, with real pictures: what is recorded, what is only held, and what remains of it.
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { eventually } from '../../e2e/processes.ts';
import { decodeErrors } from '../capture/harness.ts';
import { grant } from '../consent/grants.ts';
import { holes, passing, settingsOf, startCamera } from './rig.ts';

/** Rounded times of frames differ by less. */
const NEAR_US = 70_000;

t.test('only what moves is recorded, from before it began on', async (t) => {
  const dir = t.testdir();
  const path = await passing(join(dir, 'clip.mp4'), 4, 5, 9);
  const recording = { mode: 'motion', preRollMs: 2000, postRollMs: 500 };
  const config = settingsOf(
    { type: 'file', path, loop: false },
    { recording, motion: { on: true } },
  );
  const run = startCamera(t, config);
  run.gate.accept(grant(1, ['video']));
  await eventually('frames', () => run.got.grays > 5);
  t.match(run.camera.state(), { cap: 'off', isCapturing: true, isRecording: false });
  t.same(run.segments, [], 'nothing of what does not move');
  await eventually('motion', () => run.camera.state().isRecording);
  await eventually('the end of it', () => run.got.events[0]?.toUs != null);
  await eventually('quiet', () => !run.camera.state().isRecording);
  await eventually('the end of the clip', () => !run.camera.state().isCapturing, 30_000);
  await run.stop();

  const [event] = run.events;
  t.equal(run.events.length, 1);
  const first = run.segments[0]?.header;
  const last = run.segments.at(-1)?.header;
  const fromUs = (first?.decodeStartUs ?? 0) / 1e6;
  const untilUs = ((last?.decodeStartUs ?? 0) + (last?.durationUs ?? 0)) / 1e6;
  t.ok(fromUs > 0.5 && fromUs <= 2.4, `recorded from ${fromUs} s of the clip on`);
  t.ok(untilUs >= 5.2 && untilUs <= 7.2, `until ${untilUs} s of it`);
  const before = (event?.fromUs ?? 0) - (first?.startMonoUs ?? 0);
  t.ok(before >= 2e6 && before <= 3.1e6, `${before} us before the motion`);
  t.strictSame(
    run.segments.map(({ header }) => header.sequence),
    run.segments.map((_, at) => at),
  );
  t.same(
    run.gaps.map(({ reason }) => reason),
    ['no_motion', 'no_motion'],
  );
  for (const hole of holes(run.segments, run.gaps)) t.ok(Math.abs(hole) < NEAR_US, `${hole} us`);
  const { init } = run.segments[0]?.stream ?? { init: Buffer.alloc(0) };
  const files = await Promise.all(
    run.segments.map(async ({ chunks }, at) => {
      const file = join(dir, `${at}.mp4`);
      await writeFile(file, Buffer.concat([init, ...chunks]));
      return file;
    }),
  );
  t.equal(await decodeErrors(...files), '', 'and each segment plays alone');
});

t.test('what was only held is gone with the consent, and leaves no trace', async (t) => {
  const recording = { mode: 'motion', preRollMs: 4000, postRollMs: 1000 };
  const path = await passing(join(t.testdir(), 'still.mp4'), 90, 91, 10);
  const run = startCamera(t, settingsOf({ type: 'file', path, loop: true }, { recording }));
  run.gate.accept(grant(1, ['video']));
  await eventually('frames', () => run.got.grays > 8);
  run.gate.accept(grant(2, []));
  run.roll.begun(0);
  await eventually('the cap is on', () => run.camera.state().cap === 'on');
  await run.stop();
  t.same(run.segments, []);
  t.same(run.gaps, []);
  t.same(run.events, []);
});
