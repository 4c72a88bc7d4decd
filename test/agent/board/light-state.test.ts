import t from 'tap';
import { lightOf, stepsOf } from '../../../agent/board/light-state.ts';

t.test('the light tells of the cap before anything else', async (t) => {
  for (const watchers of [0, 2])
    for (const isRecording of [false, true])
      t.equal(lightOf({ isCapOff: false, isRecording, watchers }), 'off');
  t.equal(lightOf({ isCapOff: true, isRecording: false, watchers: 0 }), 'breathing');
  t.equal(lightOf({ isCapOff: true, isRecording: true, watchers: 0 }), 'on');
  t.equal(lightOf({ isCapOff: true, isRecording: true, watchers: 1 }), 'blinking');
  t.equal(lightOf({ isCapOff: true, isRecording: false, watchers: 1 }), 'blinking');
});

t.test('it is dark for good only while it says off', async (t) => {
  for (const canDim of [false, true]) {
    t.strictSame(stepsOf('off', canDim), [{ share: 0, forMs: 0 }]);
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
