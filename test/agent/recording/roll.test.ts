// Which stretches are recorded around motion, and who hears of it.
import t from 'tap';
import { Settings } from '../../../agent/config/settings.ts';
import { Roll } from '../../../agent/recording/roll.ts';
import { eventually } from '../../e2e/processes.ts';
import { settingsOf } from './rig.ts';

const S = 1e6;
const recordingOf = (recording: object) =>
  settingsOf({ type: 'test' }, { recording: { mode: 'motion', ...recording } });

function start(recording: object) {
  const settings = new Settings(recordingOf(recording));
  const clock = { us: 1000 * S, monoUs: () => clock.us };
  const roll = new Roll({ settings, clock });
  let told = 0;
  roll.onChange(() => {
    told += 1;
  });
  return { settings, clock, roll, told: () => told };
}

t.test('from the pre-roll before a motion to the post-roll after it', async (t) => {
  const { clock, roll } = start({ preRollMs: 4000, postRollMs: 5000 });
  const wants = (from: number, to: number) => roll.isWanted(from * S, to * S);
  t.equal(wants(0, 2000), false);
  roll.begun(1000 * S);
  t.strictSame([wants(990, 996), wants(990, 996.001), wants(2000, 2001)], [false, true, true]);
  clock.us = 1010 * S;
  roll.ended(1008 * S);
  t.strictSame([wants(1012, 1013), wants(1013, 1014)], [true, false]);
  roll.begun(1015 * S);
  t.equal(wants(995, 997), true, 'what was wanted stays so');
  roll.ended(1001 * S);
  t.equal(wants(1019, 1020), true, 'a motion does not end before its begin');
  clock.us = 1100 * S;
  t.equal(roll.keepFromUs(), 1095 * S);
  t.equal(roll.isRecording(), false);
});

t.test('who listens hears of the end of the post-roll, and of settings that move it', async (t) => {
  const { settings, clock, roll, told } = start({ preRollMs: 0, postRollMs: 20 });
  roll.begun(clock.us);
  roll.ended(clock.us);
  t.equal(roll.isRecording(), true);
  const before = told();
  clock.us += 1 * S;
  await eventually('the end is told', () => told() > before);
  t.equal(roll.isRecording(), false);
  const now = told();
  settings.replace(recordingOf({ preRollMs: 0, postRollMs: 60_000 }));
  t.equal(told(), now + 1);
  t.equal(roll.isRecording(), true, 'or the light would lie');
  settings.replace(recordingOf({ mode: 'continuous' }));
  t.equal(roll.isWanted(0, 1), true, 'in any other mode all is');
});
