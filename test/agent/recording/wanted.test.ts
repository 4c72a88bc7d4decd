// When pictures are wanted: as the hours, the zone and the clock are changed while it runs, and where
// nobody has set the clock.
import t, { type Test } from 'tap';
import { type Clock, KnownTime, MediaClock } from '../../../agent/clock.ts';
import { Settings } from '../../../agent/config/settings.ts';
import { type RecordingMode, Wanted } from '../../../agent/recording/wanted.ts';
import type { Hours } from '../../../proto/settings.ts';
import { eventually } from '../../e2e/processes.ts';
import { BOOT } from '../spool/captured.ts';
import { settingsOf } from './rig.ts';

const at = (iso: string) => Date.parse(iso) * 1000;
// 2026-11-20 is a Friday.
const NIGHTS: readonly Hours[] = [{ days: ['fri', 'sat'], from: '22:00', to: '06:00' }];
const hoursIn = (timeZone: string, schedule: readonly Hours[] | null = NIGHTS) => ({
  ...settingsOf({ type: 'test' }, { recording: { schedule } }),
  clock: { timeZone },
});

function start(t: Test, clock: Pick<Clock, 'wallUs'>, zone = 'Etc/UTC') {
  const settings = new Settings(hoursIn(zone));
  const wanted = new Wanted({ settings, clock, lookMs: 5 });
  const told: RecordingMode[] = [];
  wanted.onChange(() => told.push(wanted.mode()));
  const end = new AbortController();
  const ended = wanted.run(end.signal);
  t.teardown(async () => {
    end.abort();
    await ended;
  });
  const tells = (mode: RecordingMode) =>
    eventually(mode, () => told.at(-1) === mode && wanted.mode() === mode);
  return { settings, wanted, told, tells };
}

t.test('a step of the clock, another zone and other hours count at once', async (t) => {
  const wall = { us: at('2026-11-20T21:30:00Z') };
  const { settings, wanted, told, tells } = start(t, { wallUs: () => wall.us });
  t.equal(wanted.mode(), 'closed');
  wall.us += 3600e6;
  await tells('continuous');
  wall.us -= 3600e6;
  await tells('closed');
  settings.replace(hoursIn('Europe/Berlin'));
  await tells('continuous');
  settings.replace(hoursIn('America/New_York'));
  await tells('closed');
  settings.replace(hoursIn('America/New_York', null));
  await tells('continuous');
  settings.replace(settingsOf({ type: 'test' }, { recording: { mode: 'off', schedule: NIGHTS } }));
  await tells('closed');
  settings.replace(settingsOf({ type: 'test' }, { recording: { mode: 'motion' } }));
  await tells('motion');
  t.equal(told.length, 7, 'each once');
});

t.test('it opens at its minute, not at the next look', async (t) => {
  const began = process.hrtime.bigint();
  const ranUs = () => Number((process.hrtime.bigint() - began) / 1000n);
  const opensUs = at('2026-11-20T22:00:00Z');
  const clock = { wallUs: () => opensUs - 150_000 + ranUs() };
  const wanted = new Wanted({ settings: new Settings(hoursIn('Etc/UTC')), clock });
  let openedUs = 0;
  wanted.onChange(() => {
    openedUs = clock.wallUs();
  });
  const end = new AbortController();
  const ended = wanted.run(end.signal);
  await eventually('open', () => openedUs > 0, 5000);
  end.abort();
  await ended;
  t.ok(openedUs >= opensUs, `${openedUs - opensUs} us after`);
  t.ok(openedUs < opensUs + 5e6, 'long before the ten seconds of a look');
});

t.test('where nobody has set the clock, the hours go on from what was known last', async (t) => {
  const BOOTED_US = 20e6;
  const board = { wall: BOOTED_US, mono: BOOTED_US };
  const clock = { wallUs: () => board.wall, monoUs: () => board.mono };
  const pass = (seconds: number) => {
    board.wall += seconds * 1e6;
    board.mono += seconds * 1e6;
  };
  /** The last recording ended then; a grant was signed then. */
  const known = (recordedUntil: string | null, signed: string) => {
    const time = new KnownTime(clock, 0);
    time.learn(at(signed));
    const last = recordedUntil && { bootId: BOOT, endMonoUs: 9e9, endAtUs: at(recordedUntil) };
    return new MediaClock({ clock, time, bootId: '', last: last || null, lastLagUs: 275e6 });
  };
  // Power was away for a moment, on a Friday at 23:00.
  const night = start(t, known('2026-11-20T23:00:00Z', '2026-11-20T12:00:00Z'));
  t.equal(night.wanted.mode(), 'continuous', 'not Thursday, the first of January 1970');
  const day = start(t, known(null, '2026-11-20T12:00:00Z'));
  t.equal(day.wanted.mode(), 'closed', 'noon is the last that was heard');
  pass(6 * 3600);
  t.equal(night.wanted.mode(), 'continuous', '05:04');
  pass(3600);
  await night.tells('closed');
  pass(4 * 3600);
  await day.tells('continuous');
  // The network is back: it is Monday.
  board.wall = at('2026-11-23T12:00:00Z');
  await day.tells('closed');
  t.equal(night.wanted.mode(), 'closed');
});
