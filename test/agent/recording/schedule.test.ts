// Hours of the week against the clocks of the world, with the calendars that Node brings.
import t from 'tap';
import { Schedule } from '../../../agent/recording/schedule.ts';
import { DAYS, type Hours } from '../../../proto/settings.ts';

const at = (iso: string) => Date.parse(iso) * 1000;
const iso = (us: number | null) => (us === null ? null : new Date(us / 1000).toISOString());
const daily = (from: string, to: string): Hours => ({ days: DAYS, from, to });

/** The changes after an instant, each with what begins then. */
function changes(schedule: Schedule, from: string, count: number): [string | null, boolean][] {
  const found: [string | null, boolean][] = [];
  let us = at(from);
  for (let nth = 0; nth < count; nth += 1) {
    const next = schedule.nextChange(us);
    if (next === null) return found;
    t.not(schedule.isOpen(next - 1), schedule.isOpen(next), 'a change is one');
    found.push([iso(next), schedule.isOpen(next)]);
    us = next;
  }
  return found;
}

t.test('hours over midnight belong to the day on which they begin', async (t) => {
  const schedule = new Schedule([{ days: ['fri'], from: '22:00', to: '06:00' }], 'Etc/UTC');
  // 2026-11-20 is a Friday.
  t.equal(schedule.isOpen(at('2026-11-20T21:59:59Z')), false);
  t.equal(schedule.isOpen(at('2026-11-20T22:00:00Z')), true);
  t.equal(schedule.isOpen(at('2026-11-21T05:59:59Z')), true);
  t.equal(schedule.isOpen(at('2026-11-21T06:00:00Z')), false);
  t.equal(schedule.isOpen(at('2026-11-20T05:00:00Z')), false, 'not the night before');
  t.strictSame(changes(schedule, '2026-11-21T06:00:00Z', 2), [
    ['2026-11-27T22:00:00.000Z', true],
    ['2026-11-28T06:00:00.000Z', false],
  ]);
});

t.test('the whole week never changes, and 24:00 joins the next day', async (t) => {
  const always = new Schedule([daily('00:00', '24:00')], 'Europe/Berlin');
  t.equal(always.isOpen(at('2026-03-29T01:00:00Z')), true);
  t.equal(always.nextChange(at('2026-03-27T12:00:00Z')), null);
  const two = new Schedule(
    [
      { days: ['mon'], from: '12:00', to: '24:00' },
      { days: ['tue'], from: '00:00', to: '01:00' },
    ],
    'Etc/UTC',
  );
  t.strictSame(changes(two, '2026-11-23T00:00:00Z', 2), [
    ['2026-11-23T12:00:00.000Z', true],
    ['2026-11-24T01:00:00.000Z', false],
  ]);
});

t.test('hours that overlap are one', async (t) => {
  const schedule = new Schedule([daily('08:00', '12:00'), daily('10:00', '14:00')], 'Etc/UTC');
  t.strictSame(changes(schedule, '2026-11-23T00:00:00Z', 2), [
    ['2026-11-23T08:00:00.000Z', true],
    ['2026-11-23T14:00:00.000Z', false],
  ]);
});

t.test('in Berlin the night of March is an hour shorter, that of October longer', async (t) => {
  const night = new Schedule([daily('22:00', '06:00')], 'Europe/Berlin');
  t.strictSame(changes(night, '2026-03-28T12:00:00Z', 3), [
    ['2026-03-28T21:00:00.000Z', true],
    ['2026-03-29T04:00:00.000Z', false],
    ['2026-03-29T20:00:00.000Z', true],
  ]);
  t.strictSame(changes(night, '2026-10-24T12:00:00Z', 2), [
    ['2026-10-24T20:00:00.000Z', true],
    ['2026-10-25T05:00:00.000Z', false],
  ]);
});

t.test(
  'an hour that the clock skips does not exist; one that it shows twice counts twice',
  async (t) => {
    const early = new Schedule([daily('02:00', '03:00')], 'Europe/Berlin');
    t.strictSame(changes(early, '2026-03-28T12:00:00Z', 1), [['2026-03-30T00:00:00.000Z', true]]);
    t.strictSame(changes(early, '2026-10-24T12:00:00Z', 2), [
      ['2026-10-25T00:00:00.000Z', true],
      ['2026-10-25T02:00:00.000Z', false],
    ]);
    const half = new Schedule([daily('02:30', '04:00')], 'Europe/Berlin');
    t.strictSame(changes(half, '2026-03-28T12:00:00Z', 2), [
      ['2026-03-29T01:00:00.000Z', true],
      ['2026-03-29T02:00:00.000Z', false],
    ]);
    t.strictSame(changes(half, '2026-10-24T12:00:00Z', 4), [
      ['2026-10-25T00:30:00.000Z', true],
      ['2026-10-25T01:00:00.000Z', false],
      ['2026-10-25T01:30:00.000Z', true],
      ['2026-10-25T03:00:00.000Z', false],
    ]);
  },
);

t.test('zones of half and quarter hours, and a clock that goes half an hour ahead', async (t) => {
  const office = (zone: string) => new Schedule([daily('09:00', '17:00')], zone);
  const first = (zone: string, from: string) => iso(office(zone).nextChange(at(from)));
  t.equal(first('Asia/Kolkata', '2026-11-23T00:00:00Z'), '2026-11-23T03:30:00.000Z');
  t.equal(first('Asia/Kathmandu', '2026-11-23T00:00:00Z'), '2026-11-23T03:15:00.000Z');
  t.equal(first('Pacific/Kiritimati', '2026-11-23T00:00:00Z'), '2026-11-23T03:00:00.000Z');
  // Lord Howe: +10:30, from the first Sunday of October +11:00.
  t.equal(first('Australia/Lord_Howe', '2026-10-02T12:00:00Z'), '2026-10-02T22:30:00.000Z');
  t.equal(first('Australia/Lord_Howe', '2026-10-03T12:00:00Z'), '2026-10-03T22:00:00.000Z');
  const gap = new Schedule([daily('01:45', '02:15')], 'Australia/Lord_Howe');
  t.strictSame(changes(gap, '2026-10-03T12:00:00Z', 3), [
    ['2026-10-03T15:15:00.000Z', true],
    ['2026-10-03T15:30:00.000Z', false],
    ['2026-10-04T14:45:00.000Z', true],
  ]);
});

t.test('a time before 1970 and the end of what is known are no exceptions', async (t) => {
  const schedule = new Schedule([daily('08:00', '12:00')], 'Europe/Berlin');
  t.equal(schedule.isOpen(at('1970-01-01T07:00:00Z')), true);
  t.equal(schedule.isOpen(0), false);
  t.type(schedule.nextChange(-1e6), 'number');
  t.type(schedule.nextChange(at('2099-12-31T23:59:59Z')), 'number');
});

t.test('fifty hours of a week are looked through in a blink', async (t) => {
  const many = Array.from(
    { length: 50 },
    (_, nth): Hours => ({
      days: DAYS,
      from: `${String(Math.floor(nth / 3)).padStart(2, '0')}:${nth % 3}0`,
      to: '24:00',
    }),
  );
  const schedule = new Schedule(many, 'America/New_York');
  const began = performance.now();
  t.equal(schedule.nextChange(at('2026-11-23T12:00:00Z')), null, '00:00 to 24:00 is among them');
  const tookMs = performance.now() - began;
  t.ok(tookMs < 2000, `${Math.round(tookMs)} ms`);
  t.comment(`${Math.round(tookMs)} ms`);
});
