// The decisions behind a delivery: which lane is open, how long the backlog rests, when a line is taken
// to be dead, how fast bytes leave, which network they go over.
import t from 'tap';
import {
  BacklogShare,
  openLanes,
  restMs,
  slotsFor,
  type Traffic,
} from '../../../agent/uplink/lanes.ts';
import { interfaceOf, isMetered } from '../../../agent/uplink/network.ts';
import { nextDueMs, sliceBytes, slicesOf } from '../../../agent/uplink/pace.ts';
import { hasMoved } from '../../../agent/uplink/patience.ts';
import { localAddressTo } from '../../../agent/uplink/route.ts';
import { queuedIn } from '../../../agent/uplink/send-queue.ts';
import { seeded } from '../../seeded.ts';

const idle: Traffic = {
  isMetered: false,
  window: 4,
  flights: 0,
  backlogFlights: 0,
  backlogSlots: 1,
  isResting: false,
  unsentBytes: 0,
};

t.test('the backlog goes only where nothing else does', async (t) => {
  const cases: [string, Partial<Traffic>, string][] = [
    ['idle', {}, 'live backlog'],
    ['one of the backlog under way', { flights: 1, backlogFlights: 1 }, 'live'],
    ['with room for three', { flights: 2, backlogFlights: 2, backlogSlots: 3 }, 'live backlog'],
    ['the last place is for what happens now', { flights: 3, backlogSlots: 3 }, 'live'],
    ['a full window', { flights: 4 }, ''],
    ['something unsent', { unsentBytes: 1 }, 'live'],
    ['its share is used up', { isResting: true }, 'live'],
    ['a window of one', { window: 1 }, 'live backlog'],
    ['a full window of one', { window: 1, flights: 1 }, ''],
    ['a network that costs by volume', { isMetered: true }, 'gaps'],
    ['the same, full', { isMetered: true, flights: 4 }, ''],
  ];
  for (const [what, traffic, wanted] of cases)
    t.equal(openLanes({ ...idle, ...traffic }).join(' '), wanted, what);
});

t.test('the backlog takes at most its share of the time', async (t) => {
  t.equal(restMs(800, 80), 200);
  t.equal(restMs(100, 1), 9900);
  t.equal(restMs(100, 100), 0);
  const random = seeded(t);
  for (const percent of [1, 25, 50, 80, 99]) {
    const share = new BacklogShare({ backlogPercent: percent, window: 4 });
    let nowMs = 1000;
    let busyMs = 0;
    for (let item = 0; item < 200; item += 1) {
      nowMs += share.restMs(nowMs);
      const tookMs = 1 + random() * 500;
      share.acknowledged('backlog', true, nowMs, nowMs + tookMs);
      nowMs += tookMs;
      busyMs += tookMs;
    }
    nowMs += share.restMs(nowMs);
    t.ok(Math.abs((busyMs / (nowMs - 1000)) * 100 - percent) < 0.5, `${percent} %`);
  }
});

t.test('what goes in parallel is counted once', async (t) => {
  const share = new BacklogShare({ backlogPercent: 50, window: 4 });
  for (const sentMs of [0, 0, 0]) share.acknowledged('backlog', true, sentMs, 2000);
  t.equal(share.restMs(2000), 2000);
  share.acknowledged('live', false, 2000, 3000);
  t.equal(share.restMs(3000), 1000, 'what happens now does not count');
});

t.test('several of the backlog go at a time only where the way is long, not thin', async (t) => {
  t.equal(slotsFor(2100, 2000, 4), 3);
  t.equal(slotsFor(5000, 2000, 4), 1);
  t.equal(slotsFor(2100, 2000, 1), 1);
  t.equal(slotsFor(2100, Number.POSITIVE_INFINITY, 4), 1, 'nothing is known yet');
});

t.test('how long the way is, only what is small tells', async (t) => {
  const share = new BacklogShare({ backlogPercent: 80, window: 4 });
  share.acknowledged('live', true, 0, 800);
  share.acknowledged('live', true, 800, 1700);
  t.equal(share.slots, 1);
  share.noteRoundTrip(600);
  share.acknowledged('live', true, 1700, 2500);
  t.equal(share.slots, 3);
  share.acknowledged('live', false, 2500, 2550);
  share.acknowledged('backlog', true, 2550, 3350);
  t.equal(share.slots, 1);
});

t.test('slices are of the rate, and hold all bytes in order', async (t) => {
  t.same([0, 1, 200, 8000, 10_000_000].map(sliceBytes), [65_536, 512, 1250, 50_000, 65_536]);
  const random = seeded(t);
  for (let round = 0; round < 50; round += 1) {
    const pieces = Array.from({ length: 1 + Math.floor(random() * 6) }, () =>
      Buffer.from(Array.from({ length: Math.floor(random() ** 3 * 5000) }, () => random() * 256)),
    );
    const limit = 1 + Math.floor(random() * 3000);
    const slices = [...slicesOf(pieces, limit)];
    if (!Buffer.concat(slices).equals(Buffer.concat(pieces))) t.fail('other bytes');
    if (slices.some(({ length }, i) => length !== limit && i !== slices.length - 1))
      t.fail('another size');
  }
  t.pass('50 rounds');
});

t.test('after an idle time no more than one slice leaves at once', async (t) => {
  t.equal(nextDueMs(0, 5000, 1250, 200), 5050);
  t.equal(nextDueMs(5050, 5010, 1250, 200), 5100);
  t.equal(nextDueMs(9000, 5000, 1250, 0), 5000, 'without a limit at once');
});

t.test('a line moves while anything leaves, arrives or is acknowledged', async (t) => {
  const look = { acknowledged: 1, leftBytes: 100, queuedBytes: 50 };
  t.notOk(hasMoved(look, look));
  t.ok(hasMoved(look, { ...look, acknowledged: 2 }));
  t.ok(hasMoved(look, { ...look, leftBytes: 101 }));
  t.ok(hasMoved(look, { ...look, queuedBytes: 40 }), 'the far end confirmed some of it');
  t.notOk(hasMoved({ ...look, queuedBytes: null }, look), 'the first look tells nothing');
});

const TABLE = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid
   0: 0100007F:22B3 00000000:0000 0A 00000000:00000000 00:00000000 00000000  0  0 1 1 0
   1: 0100007F:9C40 0100007F:22B3 01 0000ABCD:00000000 01:00000014 00000000  0  0 1 1 0
   2: 0100007F:22B3 0100007F:9C40 01 00000007:00000001 00:00000000 00000000  0  0 1 1 0
`;

t.test('what the system holds is found by both ports', async (t) => {
  t.equal(queuedIn(TABLE, 40_000, 8883), 0xabcd);
  t.equal(queuedIn(TABLE, 8883, 40_000), 7);
  t.equal(queuedIn(TABLE, 8883, 1), null);
  t.equal(queuedIn('', 8883, 1), null);
});

t.test('an interface is known by its address', async (t) => {
  const one = (address: string) => [
    { address, netmask: '', family: 'IPv4' as const, mac: '', internal: false, cidr: null },
  ];
  const interfaces = { lo: one('127.0.0.1'), wwan0: one('10.1.2.3'), eth0: one('FE80::1') };
  t.equal(interfaceOf('::ffff:10.1.2.3', interfaces), 'wwan0');
  t.equal(interfaceOf('fe80::1%eth0', interfaces), 'eth0');
  t.equal(interfaceOf('10.1.2.4', interfaces), undefined);
  t.equal(interfaceOf('', interfaces), undefined);
});

t.test('the address towards the loopback is its own', async (t) => {
  t.equal(await localAddressTo('127.0.0.1', 8883), '127.0.0.1');
  t.equal(await localAddressTo('no address', 8883), undefined);
});

t.test('an interface is metered by its name or the beginning of it', async (t) => {
  t.ok(isMetered('wwan0', ['eth0', 'wwan0']));
  t.ok(isMetered('ppp3', ['ppp*']));
  t.notOk(isMetered('ppp3', ['ppp', 'pp3*']));
  t.notOk(isMetered('wwan0', []));
});
