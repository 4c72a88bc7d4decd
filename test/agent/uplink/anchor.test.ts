// What the server is told of the camera's clock, and when.
import { setTimeout as sleep } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { KnownTime, MediaClock } from '../../../agent/clock.ts';
import { Anchoring } from '../../../agent/uplink/anchor.ts';
import type { Line } from '../../../agent/uplink/errand.ts';
import { type Anchor, decodeAnchor } from '../../../proto/anchor.ts';
import { LenscapError } from '../../../proto/errors.ts';
import { eventually } from '../../e2e/processes.ts';
import { grant, makeGate, SimulatedClock, silent } from '../consent/grants.ts';

const BOOT = '01234567-89ab-4cde-8f01-23456789abcd';
const HOUR_US = 3_600_000_000;
/** The clock is looked at once a second. */
const LOOKS_MS = 1300;

function camera(t: Test) {
  const clock = new SimulatedClock();
  const time = new KnownTime(clock, clock.wall - 10 * HOUR_US);
  const last = { bootId: '99999999-89ab-4cde-8f01-23456789abcd', endMonoUs: 1, endAtUs: 2e15 };
  const media = new MediaClock({ clock, time, bootId: BOOT, last, lastLagUs: 0 });
  const { gate } = makeGate(t.testdir(), clock);
  gate.accept(grant(1, ['device_info'], { leaseS: 1e6 }));
  const anchoring = new Anchoring({ clock, time, bootId: BOOT, media, gate, log: silent });
  const told: Anchor[] = [];
  const line: Line = {
    publish: async (noun, payload) => {
      t.equal(noun, 'anchor');
      told.push(decodeAnchor(payload));
    },
    reconnect: () => t.fail('no reason to'),
  };
  return { clock, time, media, gate, anchoring, line, told };
}

t.test('each connection opens with both clocks at one moment', async (t) => {
  const { clock, time, media, anchoring } = camera(t);
  time.learn(clock.wall);
  t.ok(media.isEstimated());
  const opening = anchoring.opening();
  t.equal(opening?.noun, 'anchor');
  const anchor = () => decodeAnchor(anchoring.opening()?.payload ?? new Uint8Array());
  const want = { bootId: BOOT, atUs: clock.wall, monoUs: clock.mono, estimated: false };
  t.strictSame(decodeAnchor(opening?.payload ?? new Uint8Array()), want);
  t.notOk(media.isEstimated(), 'and what the first grant told confirms the clock');
  clock.advance(100);
  clock.wall = 86_400e6;
  t.match(anchor(), { atUs: 86_400e6, estimated: true });
  clock.wall = 2 ** 53;
  t.match(anchor(), { atUs: 2 ** 52, estimated: true });
});

t.test('a step of the clock is told while the connection lasts, and nothing else', async (t) => {
  const { clock, time, anchoring, line, told } = camera(t);
  anchoring.opening();
  const end = new AbortController();
  const running = anchoring.run(line, end.signal);
  clock.advance(3600);
  clock.wall += 900_000;
  await sleep(LOOKS_MS);
  t.strictSame(told, [], 'a clock that runs, or is set by less than a second, is no news');
  clock.wall += HOUR_US;
  await eventually('forward', () => told.length === 1);
  clock.wall -= HOUR_US + 2e6;
  await eventually('back', () => told.length === 2);
  time.learn(clock.wall + 3 * HOUR_US);
  await eventually('behind what a grant told', () => told.length === 3);
  const offsets = told.map(({ atUs, monoUs }) => atUs - monoUs);
  t.strictSame(
    told.map(({ estimated }) => estimated),
    [false, false, true],
    'that it is wrong is news as well',
  );
  t.equal((offsets[1] ?? 0) - (offsets[0] ?? 0), -HOUR_US - 2e6);
  end.abort();
  await running;
});

t.test('nothing is told without any consent, and at once with the first', async (t) => {
  const { gate, anchoring, line, told } = camera(t);
  gate.accept(grant(2, []));
  t.equal(anchoring.opening(), null);
  const end = new AbortController();
  const running = anchoring.run(line, end.signal);
  await sleep(LOOKS_MS);
  t.strictSame(told, []);
  gate.accept(grant(3, ['video']));
  await eventually('with consent', () => told.length === 1);
  gate.accept(grant(4, []));
  await sleep(LOOKS_MS);
  gate.accept(grant(5, ['video']));
  await eventually('with consent anew', () => told.length === 2);
  end.abort();
  await running;
});

t.test('an end of the connection ends it at once, and a failure does not', async (t) => {
  const { clock, anchoring } = camera(t);
  const end = new AbortController();
  let tries = 0;
  const lost: Line = {
    publish: async () => {
      tries += 1;
      throw new LenscapError('UPLINK_LOST', 'lost');
    },
    reconnect: () => undefined,
  };
  const running = anchoring.run(lost, end.signal);
  clock.wall += HOUR_US;
  await eventually('told again', () => tries === 2);
  const startMs = performance.now();
  end.abort();
  await running;
  t.ok(performance.now() - startMs < 500);
});
