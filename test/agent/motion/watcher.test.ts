// What a watcher tells of what it sees and hears: to the events, and to the recording.
import t from 'tap';
import { Settings } from '../../../agent/config/settings.ts';
import type { Told } from '../../../agent/events/events.ts';
import { Watcher } from '../../../agent/motion/watcher.ts';
import { eventually } from '../../e2e/processes.ts';
import { settingsOf } from '../recording/rig.ts';
import { box, picture, view } from './clips.ts';

const still = picture(view);
const STEP_US = 200_000;
const wide = box(0, 0, 0.93, 1);
const upsideDown = { rotation: 180 };

/** A box that stands somewhere else in each frame. */
const moving = (nth: number) =>
  picture((x, y) =>
    x >= (nth * 9) % 140 && x < ((nth * 9) % 140) + 12 && y > 40 ? 240 : view(x, y),
  );

function start(motion: object, more: { recording?: object; audio?: object } = {}) {
  const lines: string[] = [];
  const settings = new Settings(settingsOf({ type: 'test' }, { motion, ...more }));
  const watcher = new Watcher({
    settings,
    roll: {
      begun: (us) => lines.push(`roll from ${us}`),
      ended: (us) => lines.push(`roll to ${us}`),
    },
    events: {
      begin: (kind, { monoUs = 0, peak = 0 }: Told = {}) => {
        let last = peak;
        lines.push(`${kind} from ${monoUs}`);
        return {
          id: kind,
          peak: (value) => {
            last = value;
          },
          end: (us = 0) => lines.push(`${kind} to ${us}${kind === 'sound' ? ` peak ${last}` : ''}`),
        };
      },
    },
    onMotion: (id) => lines.push(`picture for ${id}`),
  });
  t.teardown(() => watcher.stop());
  return { watcher, lines, settings };
}

/** Frames of a fifth of a second each: quiet, motion, quiet. */
function play(watcher: Watcher): void {
  for (let nth = 0; nth < 40; nth += 1)
    watcher.gray(nth >= 10 && nth < 20 ? moving(nth) : still, nth * STEP_US);
}

t.test('motion is told to the events and to the recording, begin and end', async (t) => {
  const { watcher, lines } = start({ on: true });
  play(watcher);
  t.strictSame(lines.slice(0, 3), [
    'roll from 2000000',
    'motion from 2000000',
    'picture for motion',
  ]);
  t.equal(lines.length, 5);
  const to = Number(lines[3]?.replace('roll to ', ''));
  t.ok(to >= 3_800_000 && to <= 4_600_000, `ended at ${to}`);
  t.equal(lines[4], `motion to ${to}`);
});

t.test('in motion mode alone the recording hears of it and nobody else', async (t) => {
  const { watcher, lines } = start({ on: false }, { recording: { mode: 'motion' } });
  play(watcher);
  t.equal(lines[0], 'roll from 2000000');
  t.notOk(lines.some((line) => line.startsWith('motion')));
  const blind = start({ on: false });
  play(blind.watcher);
  t.strictSame(blind.lines, [], 'and where neither is set, nothing is looked for');
});

t.test('what has begun ends when nothing comes any more', async (t) => {
  const { watcher, lines } = start({ on: true }, { audio: { source: 'source', eventDb: -30 } });
  for (let nth = 0; nth < 20; nth += 1)
    watcher.gray(nth >= 10 ? moving(nth) : still, nth * STEP_US);
  watcher.sound(-40, 0);
  watcher.sound(-20.4, 100_000);
  watcher.sound(-12.6, 300_000);
  watcher.sound(-32, 500_000);
  await eventually('both ends', () => lines.filter((line) => line.includes(' to ')).length === 3);
  t.ok(lines.includes('sound from 100000'));
  t.ok(lines.includes('sound to 500000 peak 13'), lines.join('\n'));
  t.ok(lines.includes('motion to 3800000'), lines.join('\n'));
});

t.test('what the settings do to the picture is neither motion nor tampering', async (t) => {
  const { watcher, lines, settings } = start({ on: true });
  let at = 0;
  const show = (frame: Uint8Array, count: number) => {
    for (let nth = 0; nth < count; nth += 1, at += 1) watcher.gray(frame, at * STEP_US);
  };
  const masked = picture((x, y) => (x < 150 ? 0 : view(x, y)));
  const turned = picture((x, y) => view(159 - x, 89 - y));
  show(still, 60);
  settings.replace(settingsOf({ type: 'test' }, { motion: { on: true }, masks: [wide] }));
  show(still, 2);
  show(masked, 100);
  settings.replace(settingsOf({ type: 'test' }, { motion: { on: true }, video: upsideDown }));
  show(turned, 100);
  t.strictSame(lines, []);
  settings.replace(
    settingsOf(
      { type: 'test' },
      { motion: { on: true }, video: { ...upsideDown, bitrateKbps: 99 } },
    ),
  );
  show(
    picture(() => 200),
    100,
  );
  t.ok(
    lines.some((line) => line.startsWith('covered from')),
    'what is not seen in the picture changes nothing',
  );
});
