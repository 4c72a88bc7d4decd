// Pictures of a closed camera: one at a time, under consent, behind the light, and never in the way of a
// recording. No source is opened here.
import t, { type Test } from 'tap';
import { Camera } from '../../../agent/camera.ts';
import type { Still } from '../../../agent/capture/capture.ts';
import type { RecordingMode } from '../../../agent/recording/wanted.ts';
import { LenscapError } from '../../../proto/errors.ts';
import { eventually } from '../../e2e/processes.ts';
import { grant, makeGate, silent } from '../consent/grants.ts';

const STILL: Still = { jpeg: Buffer.from('a picture'), width: 640, height: 360, monoUs: 1 };
const NEVER = new AbortController().signal;
const GIVEN_UP = { code: 'CAPTURE_ENDED' };

/** A camera whose source gives a picture when the test lets it. */
function startCamera(t: Test) {
  const { gate } = makeGate(t.testdir());
  const source = { open: 0, most: 0, shots: 0, captures: 0 };
  const listeners = new Set<() => void>();
  const told: boolean[] = [];
  const hold = { mode: 'continuous' as RecordingMode, shot: Promise.resolve(), isDark: false };
  const open = async (until: AbortSignal, wait: Promise<unknown>): Promise<void> => {
    source.open += 1;
    source.most = Math.max(source.most, source.open);
    await Promise.race([wait, aborted(until)]);
    source.open -= 1;
  };
  const camera = new Camera({
    gate,
    capture: {
      run: (signal, permit) => {
        source.captures += 1;
        return open(AbortSignal.any([signal, permit.revoked]), new Promise(() => undefined));
      },
      shot: async (signal) => {
        source.shots += 1;
        await open(signal, hold.shot);
        if (signal.aborted) throw new LenscapError('CAPTURE_ENDED', 'aborted');
        return STILL;
      },
      still: async () => STILL,
      absent: () => undefined,
      close: () => undefined,
    },
    wanted: {
      mode: () => hold.mode,
      onChange: (listener) => {
        listeners.add(listener);
        return () => listeners.delete(listener);
      },
    },
    motion: { isRecording: () => false, onChange: () => () => undefined },
    wantsSound: () => false,
    opening: async ({ isTaking }) => {
      told.push(isTaking);
      if (hold.isDark) throw new LenscapError('LIGHT_FAILED', 'dark');
    },
    before: null,
    log: silent,
  });
  const end = new AbortController();
  const ended = camera.run(end.signal);
  const stop = async (): Promise<void> => {
    end.abort();
    await ended;
  };
  t.teardown(stop);
  const setMode = (mode: RecordingMode): void => {
    hold.mode = mode;
    for (const listener of [...listeners]) listener();
  };
  return { gate, camera, source, hold, told, stop, setMode };
}

function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve()));
}

const forEver = (): Promise<void> => new Promise(() => undefined);

t.test(
  'several that are asked for are taken one after the other, each behind the light',
  async (t) => {
    const { gate, camera, source, told } = startCamera(t);
    gate.accept(grant(1, ['snapshot']));
    t.same(await Promise.all([camera.still(NEVER), camera.still(NEVER)]), [STILL, STILL]);
    t.match(source, { open: 0, most: 1, shots: 2, captures: 0 });
    t.same(told, [true, true]);
    t.match(camera.state(), { cap: 'off', isCapturing: false, isTaking: false });
  },
);

t.test('without consent, or in the dark, the source stays closed', async (t) => {
  const { gate, camera, source, hold } = startCamera(t);
  await t.rejects(camera.still(NEVER), { code: 'CONSENT_MISSING' });
  gate.accept(grant(1, ['snapshot']));
  hold.isDark = true;
  await t.rejects(camera.still(NEVER), { code: 'LIGHT_FAILED' });
  t.equal(source.shots, 0);
  t.equal(camera.state().isTaking, false);
});

t.test('a withdrawal, and a light that fails, close the source under way', async (t) => {
  const { gate, camera, source, hold } = startCamera(t);
  gate.accept(grant(1, ['snapshot']));
  hold.shot = forEver();
  const dark = camera.still(NEVER);
  await eventually('open', () => source.open === 1);
  camera.restart();
  await t.rejects(dark, GIVEN_UP);
  const withdrawn = camera.still(NEVER);
  await eventually('open', () => source.open === 1);
  gate.accept(grant(2, []));
  await t.rejects(withdrawn, GIVEN_UP);
  t.equal(source.open, 0);
  t.match(camera.state(), { cap: 'on', isTaking: false });
});

t.test('one gives way at once to a recording that is consented to meanwhile', async (t) => {
  const { gate, camera, source, hold } = startCamera(t);
  gate.accept(grant(1, ['snapshot']));
  hold.shot = forEver();
  const taking = camera.still(NEVER);
  await eventually('open', () => source.open === 1);
  gate.accept(grant(2, ['snapshot', 'video'], {}, { snapshot: 1 }));
  await t.rejects(taking, GIVEN_UP);
  await eventually('recorded', () => source.captures === 1);
  t.equal(source.most, 1, 'never twice at a time');
});

t.test('one is taken though the capture was not told yet that it is wanted no more', async (t) => {
  const { gate, camera, source, hold } = startCamera(t);
  gate.accept(grant(1, ['snapshot', 'video']));
  await eventually('recorded', () => source.open === 1);
  hold.mode = 'closed';
  t.same(await camera.still(NEVER), STILL);
  t.match(source, { open: 0, most: 1, shots: 1 });
});

t.test('one that waits when the hours begin anew is refused, not forgotten', async (t) => {
  const { gate, camera, source, hold, setMode } = startCamera(t);
  gate.accept(grant(1, ['snapshot', 'video']));
  await eventually('recorded', () => source.open === 1);
  hold.mode = 'closed';
  const waiting = camera.still(NEVER);
  setMode('continuous');
  await t.rejects(waiting, GIVEN_UP);
  await eventually('recorded again', () => source.captures === 2);
});

t.test(
  'after the end of the camera those asked for are refused, as those that wait are',
  async (t) => {
    const { gate, camera, source, hold, stop } = startCamera(t);
    gate.accept(grant(1, ['snapshot']));
    hold.shot = forEver();
    const both = [camera.still(NEVER), camera.still(NEVER)];
    await eventually('open', () => source.open === 1);
    await Promise.all([stop(), ...both.map((one) => t.rejects(one, GIVEN_UP))]);
    await t.rejects(camera.still(NEVER), GIVEN_UP);
    t.equal(source.open, 0);
  },
);
