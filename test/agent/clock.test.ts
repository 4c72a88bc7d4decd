// The time of what is captured on boards whose clock is unset, steps, or was in the future.
import t from 'tap';
import { KnownTime, MediaClock, type RecordedUntil } from '../../agent/clock.ts';
import { SimulatedClock } from './consent/grants.ts';

const BOOT = '01234567-89ab-4cde-8f01-23456789abcd';
const EARLIER = '99999999-89ab-4cde-8f01-23456789abcd';
const HOUR_US = 3_600_000_000;
const LAG_US = 275_000_000;
/** When this program was released. */
const RELEASED_US = 1_750_000_000_000_000;

function board(last: RecordedUntil | null, wallUs?: number) {
  const clock = new SimulatedClock();
  if (wallUs !== undefined) clock.wall = wallUs;
  const time = new KnownTime(clock, RELEASED_US);
  const media = new MediaClock({ clock, time, bootId: BOOT, last, lastLagUs: LAG_US });
  return { clock, time, media };
}

const recorded = (bootId: string, endAtUs: number, endMonoUs = 1_000_000): RecordedUntil => ({
  ...{ bootId, endAtUs, endMonoUs },
});
const NOW_US = new SimulatedClock().wall;

t.test('a wall clock that may be right is believed, and its steps are followed', async (t) => {
  for (const last of [null, recorded(EARLIER, NOW_US - 30e6), recorded(BOOT, NOW_US - 30e6)]) {
    const { clock, media } = board(last);
    t.equal(media.wallUs(), NOW_US);
    t.equal(media.monoUs(), clock.mono);
    t.notOk(media.isEstimated());
    clock.wall += HOUR_US;
    t.equal(media.wallUs(), NOW_US + HOUR_US);
    clock.wall -= HOUR_US - 10e6;
    t.equal(media.wallUs(), NOW_US + 10e6);
    t.notOk(media.isEstimated());
  }
});

t.test('in 1970 the time is an estimate that runs evenly, until the clock is set', async (t) => {
  const { clock, time, media } = board(null, 86_400e6);
  t.ok(media.isEstimated());
  t.equal(media.wallUs(), RELEASED_US, 'it is this late at least');
  clock.advance(100);
  t.equal(media.wallUs(), RELEASED_US + 100e6);
  time.learn(NOW_US);
  t.equal(media.wallUs(), NOW_US, 'a grant tells more');
  clock.wall = NOW_US + 5e6;
  t.notOk(media.isEstimated());
  t.equal(media.wallUs(), NOW_US + 5e6);
});

t.test(
  'after a boot it goes on from the last recording, behind all that may be there',
  async (t) => {
    for (const wallUs of [86_400e6, NOW_US - 2 * HOUR_US]) {
      const { clock, media } = board(recorded(EARLIER, NOW_US), wallUs);
      t.ok(media.isEstimated());
      t.equal(media.wallUs(), NOW_US + LAG_US);
      clock.advance(5 * 3600);
      t.equal(media.wallUs(), NOW_US + LAG_US + 5 * HOUR_US, 'a clock that runs on is no righter');
      t.ok(media.isEstimated());
      clock.wall = NOW_US + 6 * HOUR_US;
      t.notOk(media.isEstimated());
      t.equal(media.wallUs(), NOW_US + 6 * HOUR_US);
    }
  },
);

t.test('a quick boot after a crash is no reason to doubt a clock that is right', async (t) => {
  const { media } = board(recorded(EARLIER, NOW_US - 20e6));
  t.notOk(media.isEstimated());
  t.equal(media.wallUs(), NOW_US);
});

t.test('two boots at the same wall time do not overlap', async (t) => {
  const first = board(null, 86_400e6);
  first.clock.advance(60);
  const last = recorded(EARLIER, first.media.wallUs());
  const second = board(last, 86_400e6);
  t.ok(second.media.wallUs() >= last.endAtUs);
  t.ok(second.media.isEstimated());
});

t.test('another run in the same boot goes on where monotonic time is', async (t) => {
  const last = recorded(BOOT, NOW_US, 1_000_000);
  const { clock, media } = board(last, 86_400e6);
  t.equal(media.wallUs(), NOW_US + clock.mono - 1_000_000);
  const right = board(last, NOW_US + 4_000_000 - 900_000);
  t.notOk(right.media.isEstimated(), 'less than a second behind is a leap second at most');
  right.clock.wall -= 200_000;
  t.ok(right.media.isEstimated());
  right.clock.wall += 150_000;
  t.ok(right.media.isEstimated(), 'it does not change its mind at the edge');
  right.clock.wall += 1e6;
  t.notOk(right.media.isEstimated());
});

t.test('a last recording in the future holds until the server has told the time', async (t) => {
  const { clock, time, media } = board(recorded(EARLIER, NOW_US + 1000 * HOUR_US));
  t.ok(media.isEstimated());
  t.ok(media.wallUs() > NOW_US + 1000 * HOUR_US);
  media.confirm();
  t.ok(media.isEstimated(), 'nobody has told it yet');
  time.learn(NOW_US - 2e6);
  t.ok(media.isEstimated(), 'a saved grant may be old');
  media.confirm();
  t.notOk(media.isEstimated());
  t.equal(media.wallUs(), clock.wall);
  t.ok(time.floorUs() < NOW_US + HOUR_US, 'and what is known for certain was never touched');
});

t.test('a clock that is wrong is not confirmed', async (t) => {
  const { time, media } = board(recorded(EARLIER, NOW_US), NOW_US - 3 * HOUR_US);
  time.learn(NOW_US + 1);
  media.confirm();
  t.ok(media.isEstimated());
});

t.test('times that no message can carry are not taken from anywhere', async (t) => {
  const YEAR_2150_US = 5_680_281_600_000_000;
  const { media } = board(null, YEAR_2150_US);
  t.ok(media.isEstimated());
  t.equal(media.wallUs(), RELEASED_US);
  t.notOk(board(recorded(EARLIER, YEAR_2150_US)).media.isEstimated());
});
