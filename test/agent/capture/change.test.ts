// What a change of settings asks of the capture.
import t from 'tap';
import { type Change, changeOf } from '../../../agent/capture/change.ts';
import { captureConfig, type Overrides } from './harness.ts';

const TRIANGLE = [
  [
    [0, 0],
    [1, 0],
    [1, 1],
  ],
] as const;
const changes: readonly (readonly [string, Overrides, Change])[] = [
  ['nothing', {}, 'none'],
  ['the bit rate', { video: { bitrateKbps: 777 } }, 'live'],
  ['the size', { video: { width: 640 } }, 'restart'],
  ['the keyframes', { video: { keyframeIntervalMs: 500 } }, 'restart'],
  ['the rotation', { video: { rotation: 90 } }, 'restart'],
  ['the brightness', { video: { brightness: 5 } }, 'restart'],
  ['the gain', { audio: { gainDb: 3 } }, 'live'],
  ['the loudness that counts', { audio: { eventDb: -20 } }, 'live'],
  ['whether there is sound', { audio: { on: false } }, 'restart'],
  ['masks', { masks: TRIANGLE }, 'live'],
  ['what is written', { overlay: { clock: true } }, 'live'],
  ['the name', { label: { name: 'door' } }, 'live'],
  ['the place', { label: { location: 'hall' } }, 'none'],
  ['zones', { motion: { zones: TRIANGLE } }, 'live'],
  ['looking for motion', { motion: { on: true } }, 'live'],
  ['the time before motion', { recording: { preRollMs: 1 } }, 'live'],
  ['the mode of recording', { recording: { mode: 'motion' } }, 'restart'],
  ['the length of segments', { segment: { durationMs: 2000 } }, 'restart'],
  ['how a source is watched', { capture: { stallTimeoutMs: 1000 } }, 'restart'],
  ['a name and a size', { label: { name: 'x' }, video: { height: 60 } }, 'restart'],
];
for (const [what, over, expected] of changes)
  t.test(`${what}: ${expected}`, async (t) => {
    const [before, after] = [
      captureConfig({ type: 'test' }),
      captureConfig({ type: 'test' }, over),
    ];
    t.equal(changeOf(before, after), expected);
    t.equal(changeOf(after, before), expected);
  });

t.test('another source is another capture', async (t) => {
  const after = captureConfig({ type: 'file', path: 'x', loop: true });
  t.equal(changeOf(captureConfig({ type: 'test' }), after), 'restart');
});
