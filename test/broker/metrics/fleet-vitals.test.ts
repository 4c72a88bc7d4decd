// How the fleet is: who counts, how counts go on over restarts, and what is forgotten.
import t from 'tap';
import { FleetVitals } from '../../../broker/metrics/fleet-vitals.ts';
import type { Health, Vitals } from '../../../proto/health.ts';
import { healthOf, reportedOf, vitals } from '../../proto/tellings.ts';

function health(over: Partial<Vitals> = {}, more: Partial<Health> = {}) {
  const message = healthOf(1, { vitals: { ...vitals, ...over }, ...more });
  return { noun: 'health', message } as const;
}

const NOTHING_WANTED = new Map<string, number>();

t.test('connected devices are counted by range, with those that cannot measure', async (t) => {
  const away = new Set(['d']);
  const fleet = new FleetVitals({ isConnected: (id) => !away.has(id), mayKnow: () => true });
  fleet.note('a', health({ temperatureCelsius: 39.9 }));
  fleet.note('b', health({ temperatureCelsius: 95, clockOffsetMs: -20_000 }));
  const spool = { state: 'memory_only', code: 'STORE_FAILED', items: 7, bytes: 70 } as const;
  fleet.note('c', health({ temperatureCelsius: null, memoryTotalBytes: 0 }, { spool }));
  fleet.note('d', health({ temperatureCelsius: 99 }));
  const figures = fleet.figures(NOTHING_WANTED);
  t.equal(figures.reporting, 3);
  t.equal(figures.maxCelsius, 95);
  t.same(Object.fromEntries(figures.gauges.celsius), {
    '-40': 1,
    '40-60': 0,
    '60-70': 0,
    '70-80': 0,
    '80-90': 0,
    '90-': 1,
    unknown: 1,
  });
  t.match(Object.fromEntries(figures.gauges.clockOffsetMs), { '-100': 2, '10000-': 1 });
  t.match(Object.fromEntries(figures.gauges.memoryAvailablePercent), { '25-50': 2, unknown: 1 });
  t.same(Object.fromEntries(figures.spools), { on_flash: 2, memory_only: 1 });
  t.match(figures, { spoolItems: 13, spoolBytes: 10_070 });
});

t.test(
  'totals grow by what was told between, over restarts of the agent, and never shrink',
  async (t) => {
    const fleet = new FleetVitals({ isConnected: () => true, mayKnow: () => true });
    const dropped = () => fleet.figures(NOTHING_WANTED).totals.framesDropped;
    fleet.note('a', health({ framesDropped: 100, uptimeS: 50 }));
    t.equal(dropped(), 0, 'nobody knows when that was');
    fleet.note('a', health({ framesDropped: 103, uptimeS: 60 }));
    t.equal(dropped(), 3);
    fleet.note('a', health({ framesDropped: 2, uptimeS: 5 }));
    t.equal(dropped(), 5, 'of another run');
    fleet.note('a', health({ framesDropped: 1, uptimeS: 6 }));
    t.equal(dropped(), 5, 'a count that goes back counts nothing');
  },
);

t.test(
  'configurations count by what became of them, and where another one is in force',
  async (t) => {
    const fleet = new FleetVitals({ isConnected: () => true, mayKnow: () => true });
    const reported = (over: object) =>
      ({ noun: 'reported', message: reportedOf(1, over) }) as const;
    fleet.note('a', reported({ version: 2, inForce: 2 }));
    fleet.note('b', reported({ version: 2, inForce: 1, state: 'reverted' }));
    fleet.note('c', reported({ version: 1, inForce: 1 }));
    const wanted = new Map([
      ['a', 2],
      ['b', 2],
      ['c', 2],
    ]);
    t.same(Object.fromEntries(fleet.figures(wanted).configurations), {
      applied: 2,
      reverted: 1,
      drift: 2,
    });
  },
);

t.test('what consent covers no longer is forgotten, at once and when it is read', async (t) => {
  const granted = new Set(['a', 'b']);
  const fleet = new FleetVitals({
    isConnected: () => true,
    mayKnow: (deviceId, epoch) => epoch === 1 && granted.has(deviceId),
  });
  fleet.note('a', health());
  fleet.note('b', health());
  t.equal(fleet.figures(NOTHING_WANTED).reporting, 2);
  granted.delete('a');
  fleet.recheck('a');
  granted.delete('b');
  t.equal(fleet.figures(NOTHING_WANTED).reporting, 0);
  granted.add('a').add('b');
  t.equal(fleet.figures(NOTHING_WANTED).reporting, 0, 'it does not come back');
});
