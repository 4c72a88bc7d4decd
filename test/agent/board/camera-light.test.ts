// What the light is told of the camera, before the source is opened and when it could not be. No source is
// opened here.
import { pino } from 'pino';
import t, { type Test } from 'tap';
import { Camera, type CameraDeps, type CameraState } from '../../../agent/camera.ts';
import { LenscapError } from '../../../proto/errors.ts';
import { eventually } from '../../e2e/processes.ts';
import { grant, makeGate } from '../consent/grants.ts';

/** Whatever opens the source fails. */
function noCapture(why: string) {
  const fail = () => Promise.reject(new LenscapError('CONFIG_INVALID', why));
  const nothing = () => undefined;
  return { run: fail, still: fail, shot: fail, absent: nothing, close: nothing };
}

function cameraWith(t: Test, capture: CameraDeps['capture'], opening: CameraDeps['opening']) {
  const { gate } = makeGate(t.testdir());
  const said: string[] = [];
  const never = () => () => undefined;
  const camera = new Camera({
    gate,
    capture,
    wanted: { mode: () => 'continuous', onChange: never },
    motion: { isRecording: () => false, onChange: never },
    wantsSound: () => false,
    before: null,
    log: pino({ base: null }, { write: (line: string) => said.push(line) }),
    ...(opening && { opening }),
  });
  const stop = new AbortController();
  const running = camera.run(stop.signal);
  t.teardown(() => {
    stop.abort();
    return running;
  });
  return { gate, camera, said };
}

t.test('the light is told what is about to be recorded, also when it asks again', async (t) => {
  const asked: CameraState[] = [];
  const capture = noCapture('it was opened in the dark');
  const { gate, camera, said } = cameraWith(t, capture, async (state) => {
    asked.push(state, camera.state());
    throw new LenscapError('LIGHT_FAILED', 'no such light');
  });
  gate.accept(grant(1, ['video']));
  await eventually('the light was asked', () => said.join('').includes('LIGHT_FAILED'));
  t.match(asked, [{ isRecording: true }, { isRecording: true, isCapturing: false }]);
  t.match(camera.state(), { cap: 'off', isRecording: false, isCapturing: false });
  t.notMatch(said.join(''), /in the dark/);
});

t.test('a capture that cannot even be supervised is not said to record', async (t) => {
  const told: boolean[] = [];
  const capture = noCapture('no such source');
  const { gate, camera, said } = cameraWith(t, capture, undefined);
  camera.onChange(() => told.push(camera.state().isRecording));
  gate.accept(grant(1, ['video']));
  await eventually('it has failed', () => said.join('').includes('no such source'));
  t.match(camera.state(), { cap: 'off', isRecording: false, isCapturing: false });
  t.equal(told.at(-1), false);
});
