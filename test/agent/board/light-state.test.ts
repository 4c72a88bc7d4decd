import t from 'tap';
import { lightOf, stepsOf } from '../../../agent/board/light-state.ts';

t.test('the light tells of the cap before anything else', async (t) => {
  const cap = (isCapOff: boolean) => (isOpen: boolean, isRecording: boolean, watchers: number) =>
    lightOf({ isCapOff, isOpen, isRecording, watchers });
  const [on, off] = [cap(false), cap(true)];
  for (const watchers of [0, 2])
    for (const isRecording of [false, true]) t.equal(on(false, isRecording, watchers), 'off');
  t.equal(off(false, false, 0), 'breathing');
  t.equal(off(true, false, 0), 'breathing');
  t.equal(off(true, true, 0), 'on');
  t.equal(off(true, true, 1), 'blinking');
  t.equal(off(true, false, 1), 'blinking');
});

t.test('it is not dark before the source is closed', async (t) => {
  t.equal(lightOf({ isCapOff: false, isOpen: true, isRecording: true, watchers: 0 }), 'on');
  t.equal(lightOf({ isCapOff: false, isOpen: true, isRecording: false, watchers: 0 }), 'breathing');
});

t.test('it is dark for good only while it says off', async (t) => {
  for (const canDim of [false, true]) {
    t.ok(
      stepsOf('off', canDim).every(({ share, forMs }) => share === 0 && forMs > 0),
      'and is looked at',
    );
    for (const state of ['on', 'breathing', 'blinking'] as const) {
      const steps = stepsOf(state, canDim);
      t.ok(
        steps.some(({ share }) => share === 1),
        `${state} is bright at some moment`,
      );
      t.ok(
        steps.every(({ share, forMs }) => share <= 1 && forMs > 0),
        `${state} goes on`,
      );
    }
  }
  t.ok(
    stepsOf('breathing', true).every(({ share }) => share > 0.05),
    'never quite dark',
  );
});
