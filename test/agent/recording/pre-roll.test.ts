// What is held of quiet stretches: as long as it may be wanted, in order, and never too much.
import t from 'tap';
import { Recorder } from '../../../agent/capture/recorder.ts';
import { MAX_HELD_BYTES, PreRoll } from '../../../agent/recording/pre-roll.ts';
import { BOOT_ID, mediaClock } from '../capture/harness.ts';

const piece = (second: number, bytes = 10) => ({
  startMonoUs: second * 1e6,
  endMonoUs: (second + 1) * 1e6,
  bytes,
});
const all = () => true;

t.test('what ended too long ago goes, and what is taken is in order and taken once', async (t) => {
  const held = new PreRoll();
  for (let second = 0; second < 10; second += 1) held.hold(piece(second), (second - 3) * 1e6);
  const wanted = held.take(({ startMonoUs }) => startMonoUs >= 7e6 && startMonoUs < 9e6);
  t.same(wanted, [piece(7), piece(8)]);
  t.same(held.take(all), [piece(9)], 'what was before is gone as well');
  t.same(held.take(all), []);
  held.hold(piece(20), 0);
  held.drop();
  t.same(held.take(all), []);
});

t.test('of too many bytes the oldest go, whatever the settings want', async (t) => {
  const held = new PreRoll();
  const large = MAX_HELD_BYTES / 4;
  for (let second = 0; second < 100; second += 1) held.hold(piece(second, large), 0);
  t.same(
    held.take(all).map(({ startMonoUs }) => startMonoUs / 1e6),
    [96, 97, 98, 99],
  );
  held.hold(piece(0, MAX_HELD_BYTES + 1), 0);
  t.same(held.take(all), [], 'one that is too much by itself is not held');
});

t.test('a recorder that is closed or finished listens to no roll any more', async (t) => {
  let listeners = 0;
  const roll = {
    isWanted: () => false,
    keepFromUs: () => 0,
    onChange: () => {
      listeners += 1;
      return () => {
        listeners -= 1;
        return true;
      };
    },
  };
  const make = () =>
    new Recorder({
      ...{ clock: mediaClock, bootId: BOOT_ID, epoch: 1, roll, clockJumpUs: 1e6 },
      limits: { targetUs: 1e6, keyframeWaitUs: 1e6, maxBytes: 1e6, maxChunks: 10 },
      onStream: () => t.fail('nothing came'),
      onSegment: () => t.fail('nothing came'),
      onVideo: () => undefined,
    });
  const [one, other] = [make(), make()];
  t.equal(listeners, 2);
  one.close();
  other.finish();
  t.equal(listeners, 0);
});
