// How the fleet is: who counts, how counts go on over restarts, and what is forgotten.
import t from 'tap';
import {
  FleetVitals,
  type FleetVitalsDeps,
  MIN_GROUP,
} from '../../../broker/metrics/fleet-vitals.ts';
import type { Health, Vitals } from '../../../proto/health.ts';
import { healthOf, reportedOf, vitals } from '../../proto/tellings.ts';

function health(over: Partial<Vitals> = {}, more: Partial<Health> = {}) {
  const message = healthOf(1, { vitals: { ...vitals, ...over }, ...more });
  return { noun: 'health', message } as const;
}

const NOTHING_WANTED = new Map<string, number>();

/** The fleet, with so many others in it that what is said is not of one. */
function crowd(deps: Partial<FleetVitalsDeps> = {}): FleetVitals {
  const fleet = new FleetVitals({ isConnected: () => true, mayKnow: () => true, ...deps });
  for (let n = 0; n < MIN_GROUP; n++) {
    fleet.note(`other ${n}`, health({ framesDropped: 0 }));
    fleet.note(`other ${n}`, { noun: 'reported', message: reportedOf(1, { inForce: 1 }) });
  }
  return fleet;
}

t.test('connected devices are counted by range, with those that cannot measure', async (t) => {
  const away = new Set(['d']);
  const fleet = crowd({ isConnected: (id) => !away.has(id) });
  fleet.note('a', health({ temperatureCelsius: 39.9 }));
  fleet.note('b', health({ temperatureCelsius: 95, clockOffsetMs: -20_000 }));
  const spool = { state: 'memory_only', code: 'STORE_FAILED', items: 7, bytes: 70 } as const;
  fleet.note('c', health({ temperatureCelsius: null, memoryTotalBytes: 0 }, { spool }));
  fleet.note('d', health({ temperatureCelsius: 99 }));
  const { reporting, health: figures } = fleet.figures(NOTHING_WANTED);
  t.equal(reporting, MIN_GROUP + 3);
  t.same(Object.fromEntries(figures?.gauges.celsius ?? []), {
    '-40': 1,
    '40-60': MIN_GROUP,
    '60-70': 0,
    '70-80': 0,
    '80-90': 0,
    '90-': 1,
    unknown: 1,
  });
  const { clockOffsetMs = [], memoryAvailablePercent = [] } = figures?.gauges ?? {};
  t.match(Object.fromEntries(clockOffsetMs), { '-100': MIN_GROUP + 2, '10000-': 1 });
  t.match(Object.fromEntries(memoryAvailablePercent), { '25-50': MIN_GROUP + 2, unknown: 1 });
  t.same(Object.fromEntries(figures?.spools ?? []), { on_flash: MIN_GROUP + 2, memory_only: 1 });
  t.match(figures, { spoolItems: 28, spoolBytes: 35_070 });
});

t.test('of few devices nothing is said, since it would say how each of them is', async (t) => {
  const here = new Set<string>();
  const fleet = crowd({ isConnected: (id) => here.has(id) });
  for (let n = 0; n < MIN_GROUP; n++) {
    const few = { reporting: n, health: null, configurations: null };
    t.same(fleet.figures(NOTHING_WANTED), few, `of ${n}`);
    here.add(`other ${n}`);
  }
  const { health, configurations } = fleet.figures(NOTHING_WANTED);
  t.ok(health && configurations);
});

t.test(
  'totals grow by what was told between, over restarts of the agent, and never shrink',
  async (t) => {
    const fleet = crowd();
    const dropped = () => fleet.figures(NOTHING_WANTED).health?.totals.framesDropped;
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
    const fleet = crowd();
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
    const { configurations } = fleet.figures(wanted);
    // Of the others another one is in force than none, which is what is wanted.
    const [applied, drift] = [MIN_GROUP + 2, MIN_GROUP + 2];
    const none = { accepted: 0, rejected: 0 };
    t.same(Object.fromEntries(configurations ?? []), { ...none, applied, reverted: 1, drift });
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

t.test('a part that the policy names no longer is forgotten with its consent', async (t) => {
  const fleet = crowd();
  fleet.recheck('other 0');
  t.equal(fleet.figures(NOTHING_WANTED).reporting, MIN_GROUP);
  fleet.recheck('other 0', ['model', 'configuration']);
  const { reporting, configurations } = fleet.figures(NOTHING_WANTED);
  t.equal(reporting, MIN_GROUP - 1);
  t.equal(configurations?.get('applied'), MIN_GROUP, 'what is named stays');
  fleet.recheck('other 0', []);
  t.equal(fleet.figures(NOTHING_WANTED).configurations, null);
});
