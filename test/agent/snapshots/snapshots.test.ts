// Still pictures: asked for by a command, an interval or motion, under consent alone.
import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { Gate } from '../../../agent/consent/gate.ts';
import { SnapshotSending } from '../../../agent/snapshots/sending.ts';
import { Snapshots, type Still } from '../../../agent/snapshots/snapshots.ts';
import type { Line } from '../../../agent/uplink/errand.ts';
import { LenscapError } from '../../../proto/errors.ts';
import {
  decodeSnapshot,
  encodeCommand,
  SNAPSHOT_SCOPES,
  type Snapshot,
} from '../../../proto/snapshot.ts';
import { eventually } from '../../e2e/processes.ts';
import { consent, DEVICE, grant, SimulatedClock, silent } from '../consent/grants.ts';
import { BOOT, hex } from '../spool/captured.ts';

const JPEG = Buffer.from('a picture');
const BOTH = ['video', 'snapshot'] as const;

/** A camera that gives a picture when the test lets it. */
function camera(t: Test) {
  const clock = new SimulatedClock();
  const settings = { intervalS: 0, onMotion: false, isOpenTime: true };
  const stills = { asked: 0, fail: false, hold: Promise.resolve(), jpeg: JPEG };
  const gate: Gate = new Gate({
    stateDir: t.testdir(),
    identity: { deviceId: DEVICE, consentKey: consent.publicKey },
    clock,
    log: silent,
    retain: (mayKeep) => snapshots?.retain(mayKeep) ?? true,
  });
  const still = async (signal: AbortSignal): Promise<Still> => {
    stills.asked += 1;
    await Promise.race([stills.hold, aborted(signal)]);
    signal.throwIfAborted();
    if (stills.fail) throw new LenscapError('CAPTURE_FAILED', 'no pictures flow');
    return { jpeg: stills.jpeg, width: 640, height: 360, monoUs: clock.mono - 40_000 };
  };
  const snapshots: Snapshots | undefined = new Snapshots({
    gate,
    still,
    isOpenTime: () => settings.isOpenTime,
    settings: () => settings,
    time: { wallUs: clock.wallUs, monoUs: clock.monoUs, isEstimated: () => false },
    bootId: BOOT,
    log: silent,
    lookMs: 5,
  });
  const told: Snapshot[] = [];
  const line: Line = {
    publish: async (noun, payload) => {
      t.equal(noun, 'snapshot');
      told.push(decodeSnapshot(payload));
    },
    reconnect: () => t.fail('no reason to'),
  };
  const sending = new SnapshotSending(snapshots, {
    gate,
    log: silent,
    nowMs: () => clock.mono / 1000,
  });
  const run = (start: (signal: AbortSignal) => Promise<void>) => {
    const end = new AbortController();
    const over = start(end.signal);
    const stop = async () => {
      end.abort();
      await over;
    };
    t.teardown(stop);
    return stop;
  };
  const connect = (over: Line = line) => run((signal) => sending.run(over, signal));
  const ask = (name: string) =>
    sending.receive(encodeCommand({ commandId: hex(name), kind: 'take_snapshot' }));
  const start = () => run((signal) => snapshots.run(signal));
  return { gate, clock, settings, stills, snapshots, sending, told, connect, ask, start, line };
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve()));
}

t.test('one that is asked for is taken, stamped and sent', async (t) => {
  const { gate, clock, snapshots, told, connect, ask } = camera(t);
  gate.accept(grant(3, BOTH));
  connect();
  ask('one');
  ask('one');
  await eventually('sent', () => told.length === 1);
  t.match(told[0], {
    bootId: BOOT,
    monoUs: clock.mono - 40_000,
    atUs: clock.wall - 40_000,
    epoch: 3,
    cause: 'requested',
    causeId: hex('one'),
    width: 640,
    height: 360,
  });
  t.same(told[0]?.sha256, createHash('sha256').update(JPEG).digest());
  t.ok(JPEG.equals(told[0]?.media ?? Buffer.alloc(0)));
  await eventually('gone from memory', () => snapshots.first() === undefined);
});

t.test('at an interval, read as it is now, and when something begins to move', async (t) => {
  const { gate, clock, settings, told, connect, start, snapshots } = camera(t);
  gate.accept(grant(1, BOTH));
  connect();
  start();
  clock.advance(100);
  await sleep(30);
  t.same(told, [], 'an interval of 0 is none');
  settings.intervalS = 60;
  await eventually('the first', () => told.length === 1);
  clock.advance(59);
  await sleep(30);
  t.equal(told.length, 1);
  clock.advance(1);
  await eventually('the second', () => told.length === 2);
  t.match(told[1], { cause: 'interval', causeId: null });
  snapshots.onMotion(hex('motion'));
  settings.onMotion = true;
  snapshots.onMotion(null);
  snapshots.onMotion(hex('motion'));
  await eventually('that of the motion', () => told.length === 3);
  t.match(told[2], { cause: 'event', causeId: hex('motion') });
});

t.test('without consent to still pictures none is taken', async (t) => {
  const { gate, stills, connect, ask, told } = camera(t);
  connect();
  ask('none');
  gate.accept(grant(1, ['video']));
  ask('video');
  await sleep(20);
  t.same([stills.asked, told], [0, []]);
  gate.accept(grant(2, ['snapshot']));
  ask('snapshot');
  await eventually('sent', () => told.length === 1);
  t.equal(stills.asked, 1);
});

t.test('one that is being taken at a withdrawal is thrown away', async (t) => {
  for (const left of [['video'], []] as const) {
    const { gate, stills, snapshots, ask } = camera(t);
    gate.accept(grant(1, BOTH));
    const { promise, resolve } = Promise.withResolvers<void>();
    stills.hold = promise;
    ask('one');
    await eventually('being taken', () => stills.asked === 1);
    gate.accept(grant(2, left, {}, { video: 1, snapshot: 1 }));
    resolve();
    await sleep(10);
    t.equal(snapshots.first(), undefined, `what is left: ${left}`);
  }
});

t.test('those that wait are erased by a withdrawal, and the newest 16 are kept', async (t) => {
  const { gate, clock, snapshots, ask, connect, told, stills } = camera(t);
  gate.accept(grant(1, BOTH));
  for (let at = 0; at < 20; at += 1) {
    ask(`${at}`);
    await eventually('taken', () => stills.asked === at + 1);
    clock.advance(10);
  }
  await eventually('the fifth is the oldest', () => snapshots.first()?.causeId === hex('4'));
  const disconnect = connect();
  await eventually('sent', () => told.length === 16);
  await disconnect();
  ask('more');
  await eventually('waits', () => snapshots.first() !== undefined);
  gate.accept(grant(2, ['video'], {}, { video: 1 }));
  t.equal(snapshots.first(), undefined);
});

t.test(
  'where the network costs by volume, those of the interval wait and others pass them',
  async (t) => {
    const { gate, clock, settings, stills, snapshots, start, ask, connect, told, line } = camera(t);
    gate.accept(grant(1, BOTH));
    settings.intervalS = 60;
    start();
    clock.advance(60);
    await eventually('that of the interval waits', () => snapshots.first() !== undefined);
    settings.intervalS = 0;
    const disconnect = connect({ ...line, isMetered: () => true });
    ask('one');
    settings.onMotion = true;
    snapshots.onMotion(hex('motion'));
    await eventually('sent', () => told.length === 2);
    t.same(
      told.map(({ cause }) => cause),
      ['requested', 'event'],
    );
    t.equal(snapshots.first()?.cause, 'interval');
    await disconnect();
    connect({ ...line, isMetered: () => false });
    await eventually('sent as well', () => told.length === 3);
    t.equal(stills.asked, 3);
  },
);

t.test('what waits is bounded in bytes as well', async (t) => {
  const { gate, stills, ask, snapshots, told, connect } = camera(t);
  gate.accept(grant(1, BOTH));
  stills.jpeg = Buffer.alloc(4 << 20, 1);
  for (const [at, name] of ['a', 'b', 'c', 'd', 'e', 'f'].entries()) {
    ask(name);
    await eventually('taken', () => stills.asked === at + 1);
  }
  await eventually('the newest four', () => snapshots.first()?.causeId === hex('c'));
  connect();
  await eventually('sent', () => told.length === 4);
});

t.test('while the lease is out they wait, and one that was not taken in comes again', async (t) => {
  const { gate, clock, snapshots, ask, connect, told } = camera(t);
  gate.accept(grant(1, BOTH));
  ask('one');
  await eventually('waits', () => snapshots.first() !== undefined);
  clock.advance(4000);
  const disconnect = connect();
  await sleep(10);
  t.same(told, []);
  await disconnect();
  gate.accept(grant(1, BOTH, { issuedAtUs: 1_800_000_000_000_001 }));
  const lost: Line = {
    publish: () => Promise.reject(new LenscapError('UPLINK_LOST', 'gone')),
    reconnect: () => undefined,
  };
  const disconnectLost = connect(lost);
  await sleep(10);
  await disconnectLost();
  connect();
  await eventually('sent', () => told.length === 1);
});

t.test('what is under way is known, so that a withdrawal cuts it off', async (t) => {
  const { gate, ask, connect, sending } = camera(t);
  gate.accept(grant(1, BOTH));
  const { promise, resolve } = Promise.withResolvers<void>();
  connect({ publish: () => promise, reconnect: () => undefined });
  t.equal(sending.underWay(), null);
  ask('one');
  await eventually('under way', () => sending.underWay() !== null);
  t.same(sending.underWay(), { epoch: 1, scopes: SNAPSHOT_SCOPES });
  resolve();
  await eventually('taken in', () => sending.underWay() === null);
});

t.test('a camera that gives none, too many commands, and nonsense do no harm', async (t) => {
  const { gate, clock, stills, ask, sending, snapshots } = camera(t);
  gate.accept(grant(1, BOTH));
  sending.receive(Buffer.from('nonsense'));
  stills.fail = true;
  ask('failing');
  await eventually('asked', () => stills.asked === 1);
  stills.fail = false;
  stills.jpeg = Buffer.alloc((4 << 20) + 1);
  ask('large');
  await eventually('asked', () => stills.asked === 2);
  stills.jpeg = JPEG;
  for (let at = 0; at < 60; at += 1) {
    ask(`${at}`);
    await sleep(1);
  }
  t.ok(stills.asked <= 30, `${stills.asked} in a minute`);
  clock.advance(61);
  const before = stills.asked;
  ask('later');
  await eventually('asked again', () => stills.asked === before + 1);
  await eventually('waits', () => snapshots.first() !== undefined);
});

t.test(
  'those of the interval leave room for what is asked for, and open no closed camera',
  async (t) => {
    const { gate, clock, settings, stills, ask, start, told, connect } = camera(t);
    gate.accept(grant(1, ['snapshot']));
    const { promise, resolve } = Promise.withResolvers<void>();
    stills.hold = promise;
    settings.intervalS = 1;
    settings.onMotion = true;
    start();
    for (let at = 0; at < 6; at += 1) {
      clock.advance(1);
      await sleep(15);
    }
    t.equal(stills.asked, 1, 'the first of them takes its time');
    ask('one');
    settings.isOpenTime = false;
    resolve();
    connect();
    await eventually('both are sent', () => told.length === 2);
    await sleep(20);
    t.same(
      told.map(({ cause }) => cause),
      ['interval', 'requested'],
    );
  },
);

t.test('what began to move is not looked at after the camera was closed', async (t) => {
  const { gate, settings, stills, ask, snapshots, told, connect } = camera(t);
  gate.accept(grant(1, ['snapshot']));
  const { promise, resolve } = Promise.withResolvers<void>();
  stills.hold = promise;
  settings.onMotion = true;
  ask('one');
  snapshots.onMotion(hex('motion'));
  settings.isOpenTime = false;
  resolve();
  connect();
  await eventually('sent', () => told.length === 1);
  await sleep(20);
  t.equal(stills.asked, 1);
});
