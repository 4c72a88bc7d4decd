// What happens is told under the consent of its kind, at its begin and its end, and of nothing else.
import t, { type Test } from 'tap';
import { Events } from '../../../agent/events/events.ts';
import type { Event } from '../../../proto/event.ts';
import { decodeEvent, EVENT_KINDS, EVENT_SCOPES, encodeEvent } from '../../../proto/event.ts';
import { grant, makeGate, silent } from '../consent/grants.ts';
import { BOOT } from '../spool/captured.ts';

function camera(t: Test) {
  const { gate, clock } = makeGate(t.testdir());
  const told: Event[] = [];
  const time = { ...clock, wallUs: clock.wallUs, monoUs: clock.monoUs, isEstimated: () => false };
  // Through the message, so that nothing is made that could not be sent.
  const sink = { event: (event: Event) => told.push(decodeEvent(encodeEvent(event))) };
  const events = new Events({
    gate,
    sink: { event: (event) => void sink.event(event) },
    time,
    bootId: BOOT,
    log: silent,
  });
  return { gate, clock, told, events };
}

const ALL = ['video', 'audio', 'device_info'] as const;

t.test('what lasts is told at its begin and at its end, with the strongest', async (t) => {
  const { gate, clock, told, events } = camera(t);
  gate.accept(grant(4, ALL));
  const startMonoUs = clock.mono - 500_000;
  const motion = events.begin('motion', { monoUs: startMonoUs, peak: 3 });
  clock.advance(2);
  motion.peak(17.6);
  motion.peak(5);
  motion.end();
  motion.end();
  t.equal(told.length, 2);
  const [begin, end] = told;
  t.match(begin, { kind: 'motion', lasts: true, durationUs: 0, peak: 3, epoch: 4, bootId: BOOT });
  t.match(begin, { startMonoUs, startAtUs: clock.wall - 2_500_000, eventId: motion.id });
  t.same(end, { ...begin, lasts: false, durationUs: 2_500_000, peak: 18 });
});

t.test('the loudest of a sound is the least below full scale', async (t) => {
  const { gate, told, events } = camera(t);
  gate.accept(grant(1, ALL));
  const sound = events.begin('sound');
  for (const db of [30, 12, 40]) sound.peak(db);
  sound.end();
  t.match(told, [{ peak: 0 }, { peak: 12 }]);
});

t.test('a moment is told once, with its error and in few words', async (t) => {
  const { gate, told, events } = camera(t);
  gate.accept(grant(1, ALL));
  const detail = 'x'.repeat(500);
  const id = events.moment('config_reverted', { code: 'CONFIG_UNHEALTHY', detail });
  t.match(told, [{ eventId: id, lasts: false, durationUs: 0, code: 'CONFIG_UNHEALTHY' }]);
  t.equal(told[0]?.detail.length, 200);
});

t.test('each kind needs its own scope, and those of the device need health named', async (t) => {
  const { gate, told, events } = camera(t);
  const kindsTold = (): string[] => {
    told.length = 0;
    for (const kind of EVENT_KINDS) events.moment(kind);
    return told.map(({ kind }) => kind);
  };
  t.same(kindsTold(), [], 'without a grant none');
  const scopes = ['video', 'audio', 'device_info'] as const;
  for (const [at, scope] of scopes.entries()) {
    gate.accept(grant(at + 1, [scope]));
    t.same(
      kindsTold(),
      EVENT_KINDS.filter((kind) => EVENT_SCOPES[kind] === scope),
      scope,
    );
  }
  gate.accept(grant(9, ['device_info'], { infoFields: ['model', 'storage'] }));
  t.same(kindsTold(), []);
});

t.test('what began before a withdrawal has no end, also when it is given again', async (t) => {
  const { gate, told, events } = camera(t);
  gate.accept(grant(1, ['video']));
  const motion = events.begin('motion');
  gate.accept(grant(2, []));
  gate.accept(grant(3, ['video']));
  motion.end();
  t.equal(told.length, 1);
  const untold = camera(t).events.begin('motion');
  t.equal(untold.id, null);
  untold.peak(3);
  untold.end();
});

t.test(
  'beyond the end of the lease it is noted, as a gap is, under the consent known',
  async (t) => {
    const { gate, clock, told, events } = camera(t);
    gate.accept(grant(5, ['device_info']));
    clock.advance(4000);
    t.equal(gate.grantOf('device_info'), null);
    events.moment('power_restored');
    t.match(told, [{ epoch: 5 }]);
    t.notOk(gate.maySend({ epoch: 5, scopes: ['device_info'] }), 'and waits for the next lease');
  },
);

t.test('times and peaks that make no sense are brought into range', async (t) => {
  const { gate, clock, told, events } = camera(t);
  gate.accept(grant(1, ['video']));
  const motion = events.begin('motion', { monoUs: clock.mono + 9_000_000, peak: 1e9 });
  motion.end(0);
  t.match(told, [
    { startMonoUs: clock.mono, peak: 200 },
    { durationUs: 1, lasts: false },
  ]);
});

t.test('what a run that crashed left open ends then, if consent still covers it', async (t) => {
  const { gate, clock, told, events } = camera(t);
  gate.accept(grant(1, ['video']));
  events.begin('motion', { peak: 5, detail: 'as it began' });
  const [begun] = told.splice(0);
  if (begun === undefined) throw new Error('nothing was told');
  events.leftOpen(begun, clock.mono + 3_000_000);
  events.leftOpen(begun, 0);
  t.match(told, [
    { eventId: begun.eventId, lasts: false, durationUs: 3_000_000, peak: 5, detail: /at least/ },
    { durationUs: 1 },
  ]);
  gate.accept(grant(2, []));
  gate.accept(grant(3, ['video']));
  events.leftOpen(begun, clock.mono);
  t.equal(told.length, 2);
});
