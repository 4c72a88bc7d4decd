// When the server is told how the camera is: under consent, after a change, and not too often.
import { setTimeout as sleep } from 'node:timers/promises';
import t, { type Test } from 'tap';
import type { Line } from '../../../agent/uplink/errand.ts';
import { LinkFigures } from '../../../agent/uplink/figures.ts';
import { HealthReport, healthVitals } from '../../../agent/uplink/health.ts';
import { decodeHealth, type Health, type SpoolHealth, type Vitals } from '../../../proto/health.ts';
import { eventually } from '../../e2e/processes.ts';
import { grant, makeGate, silent } from '../consent/grants.ts';

/** Long against the machine's hiccups. */
const QUIET_MS = 500;
const FINE: SpoolHealth = { state: 'on_flash', code: null, items: 1, bytes: 1000 };
const BROKEN: SpoolHealth = { ...FINE, state: 'memory_only', code: 'STORE_FAILED' };

const VITALS: Vitals = {
  temperatureCelsius: 48.5,
  memoryTotalBytes: 1 << 30,
  memoryAvailableBytes: 1 << 29,
  cpuPercent: 12,
  flashWearPercent: 20,
  clockOffsetMs: -3,
  framesCaptured: 1500,
  framesDropped: 2,
  segmentsSent: 3,
  bytesSent: 4000,
  roundTripMs: null,
  connectionsLost: 1,
  signalDbm: -60,
  uptimeS: 60,
};

/** A camera whose spool is as the test says. */
function camera(t: Test, intervalS = 3600) {
  const { gate, clock } = makeGate(t.testdir());
  const listeners = new Set<() => void>();
  const spool = {
    now: FINE,
    health: () => spool.now,
    onChange: (listener: () => void) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
  const told: (Health & { atMs: number })[] = [];
  const line: Line = {
    publish: async (noun, payload) => {
      t.equal(noun, 'health');
      told.push({ ...decodeHealth(payload), atMs: performance.now() });
    },
    reconnect: () => t.fail('no reason to'),
  };
  const figures = new LinkFigures();
  const report = new HealthReport({
    gate,
    spool,
    figures,
    vitals: async () => VITALS,
    intervalS,
    log: silent,
    quietMs: QUIET_MS,
  });
  const connect = () => {
    const end = new AbortController();
    const running = report.run(line, end.signal);
    const disconnect = async () => {
      end.abort();
      await running;
    };
    t.teardown(disconnect);
    return disconnect;
  };
  const become = (health: SpoolHealth): void => {
    spool.now = health;
    for (const listener of listeners) listener();
  };
  return { gate, clock, told, connect, become, listeners, figures };
}

t.test('it is told on each connection and after a change of state, no other', async (t) => {
  const { gate, told, connect, become, listeners } = camera(t);
  gate.accept(grant(1, ['video', 'device_info']));
  const disconnect = connect();
  await eventually('told', () => told.length === 1);
  t.match(told[0], { epoch: 1, spool: FINE });
  become({ ...FINE, items: 7, bytes: 7000 });
  await sleep(QUIET_MS * 1.2);
  t.equal(told.length, 1, 'how much waits is no news');
  become({ ...BROKEN, items: 8 });
  await eventually('told of the change', () => told.length === 2);
  t.match(told[1], { spool: { ...BROKEN, items: 8 } });
  await disconnect();
  t.equal(listeners.size, 0, 'nothing listens after the connection');
  connect();
  await eventually('told again', () => told.length === 3);
});

t.test('what the board says is told with it, and again after the interval', async (t) => {
  const { gate, told, connect, figures } = camera(t, 1);
  gate.accept(grant(1, ['device_info']));
  connect();
  await eventually('told twice', () => told.length === 2);
  t.same(told[0]?.vitals, VITALS);
  const [first, second] = told.map(({ atMs }) => atMs);
  t.ok((second ?? 0) - (first ?? 0) >= 995, 'a second apart');
  t.not(figures.roundTripMs, null, 'and how long the way takes is known from it');
});

t.test('a policy that does not name health hears nothing of it', async (t) => {
  const { gate, told, connect, become } = camera(t, 1);
  gate.accept(grant(1, ['video', 'device_info'], { infoFields: ['model'] }));
  connect();
  become(BROKEN);
  await sleep(QUIET_MS * 1.2);
  t.same(told, []);
});

t.test('the figures of all parts make the report', async (t) => {
  const figures = new LinkFigures();
  figures.noteSent('segment', 100);
  figures.noteSent('gap', 20);
  figures.noteRoundTrip(7.4);
  figures.noteLost();
  const { clockOffsetMs, framesCaptured, framesDropped, ...rest } = VITALS;
  const { segmentsSent, bytesSent, roundTripMs, connectionsLost, ...board } = rest;
  const frames = { framesCaptured, framesDropped };
  const sent = { segmentsSent: 1, bytesSent: 120, roundTripMs: 7, connectionsLost: 1 };
  t.same(healthVitals({ board, figures, frames, clockOffsetMs }), { ...VITALS, ...sent });
});

t.test('a flash that changes its mind all the time is told of now and then', async (t) => {
  const { gate, told, connect, become } = camera(t);
  gate.accept(grant(1, ['device_info']));
  connect();
  await eventually('told', () => told.length === 1);
  for (let turn = 0; turn < 30; turn += 1) {
    become(turn % 2 === 0 ? BROKEN : FINE);
    await sleep(QUIET_MS / 10);
  }
  become(BROKEN);
  await eventually('the last state is told', () => told.at(-1)?.spool.state === 'memory_only');
  const waits = told.slice(1).map(({ atMs }, turn) => atMs - (told[turn]?.atMs ?? 0));
  t.ok(
    waits.every((waitMs) => waitMs >= QUIET_MS - 5),
    `${waits.map(Math.round)} ms apart`,
  );
});

t.test('without consent to device information nothing is told', async (t) => {
  const { gate, told, connect, become } = camera(t);
  gate.accept(grant(1, ['video']));
  connect();
  become(BROKEN);
  gate.accept(grant(2, ['video', 'device_info'], {}, { video: 1 }));
  await eventually('told', () => told.length === 1);
  t.match(told[0], { epoch: 2, spool: BROKEN });
  gate.accept(grant(3, ['video'], {}, { video: 1 }));
  become(FINE);
  await sleep(QUIET_MS * 1.2);
  t.equal(told.length, 1);
  gate.accept(grant(4, ['video', 'device_info'], {}, { video: 1 }));
  await eventually('told anew', () => told.length === 2);
  t.match(told[1], { epoch: 4, spool: FINE });
});
