// Events and snapshots through the collector: what is acknowledged is durable or was not wanted.
import { hash } from 'node:crypto';
import { pino } from 'pino';
import t from 'tap';
import { GroupCommit } from '../../../broker/collector/group-commit.ts';
import { Happenings } from '../../../broker/collector/happenings.ts';
import { ConsentGate } from '../../../broker/consent/gate.ts';
import { newId } from '../../../broker/store/ids.ts';
import { type Event, encodeEvent } from '../../../proto/event.ts';
import type { InfoField } from '../../../proto/info.ts';
import { encodeSnapshot, type Snapshot } from '../../../proto/snapshot.ts';
import { BOOT } from '../store/happened.ts';
import { putEpoch, type StoreHouse, storeHouse } from '../store/house.ts';

const GRANTED = ['video', 'snapshot', 'device_info'] as const;

async function started(house: StoreHouse, parts: readonly InfoField[], minFreeBytes = 0) {
  const { store, deviceId } = house;
  const epoch = await putEpoch(store, deviceId, GRANTED);
  const gate = new ConsentGate();
  gate.set(deviceId, (await store.consent.standing(deviceId)).granted);
  const happenings = new Happenings({
    gate,
    consent: { infoInForce: async () => ({ epoch, parts }) },
    groups: new GroupCommit({ ...store, minFreeBytes }),
    keys: store.keys,
    nowUs: () => 77,
    log: pino({ level: 'silent' }),
  });
  return { gate, happenings, epoch };
}

function eventOf(event: Partial<Event>): Uint8Array {
  return encodeEvent({
    ...{ eventId: newId(), kind: 'motion', bootId: BOOT, startAtUs: 5, startMonoUs: 5 },
    ...{ durationUs: 0, lasts: false, epoch: 2, peak: 3, code: null, detail: '' },
    ...event,
  });
}

function snapshotOf(snapshot: Partial<Snapshot> = {}): Uint8Array {
  const media = snapshot.media ?? Buffer.from('picture');
  return encodeSnapshot({
    ...{ snapshotId: newId(), bootId: BOOT, atUs: 5, monoUs: 5, epoch: 2 },
    ...{ cause: 'interval', causeId: null, width: 64, height: 48 },
    ...{ sha256: hash('sha256', media, 'buffer'), media },
    ...snapshot,
  });
}

const objects = async ({ store }: StoreHouse): Promise<number> => {
  let count = 0;
  for await (const { blobIds } of store.blobs.list('all')) count += blobIds.length;
  return count;
};

t.test('what consent covers is stored, the rest is acknowledged and dropped', async (t) => {
  const house = await storeHouse(t);
  const { gate, happenings } = await started(house, ['health']);
  const snapshotId = newId();
  t.equal(await happenings.take(house, 'snapshot', snapshotOf({ snapshotId })), 'stored');
  t.equal(await happenings.take(house, 'snapshot', snapshotOf({ snapshotId })), 'stored', 'again');
  const other = snapshotOf({ snapshotId, media: Buffer.from('other') });
  t.equal(await happenings.take(house, 'snapshot', other), 'dropped');
  t.equal(await happenings.take(house, 'event', eventOf({ detail: 'a\u001b[2Jb' })), 'stored');
  t.equal(await happenings.take(house, 'event', eventOf({ kind: 'clock_jumped' })), 'stored');
  t.equal(await happenings.take(house, 'event', eventOf({ kind: 'sound' })), 'dropped');
  t.equal(await happenings.take(house, 'snapshot', snapshotOf({ epoch: 1 })), 'dropped');
  gate.close(house.deviceId, ['video']);
  t.equal(await happenings.take(house, 'snapshot', snapshotOf()), 'dropped');
  t.equal(await happenings.take(house, 'event', eventOf({})), 'dropped');
  const span = { deviceId: house.deviceId, fromUs: 0, toUs: 100 };
  t.match(await house.store.snapshots.list(span, 9), [{ snapshot_id: snapshotId }]);
  const events = await house.store.events.list(span, 9);
  t.same(events.map(({ kind }) => kind).sort(), ['clock_jumped', 'motion']);
  t.same(events.map(({ detail }) => detail).sort(), ['', 'a [2Jb']);
  t.equal(await objects(house), 1, 'nothing of what was dropped is on the disk');
});

t.test('what tells of the camera itself needs its part of the policy', async (t) => {
  const house = await storeHouse(t);
  const { happenings } = await started(house, ['model']);
  const failing = eventOf({ kind: 'storage_failing' });
  t.equal(await happenings.take(house, 'event', failing), 'dropped');
  t.equal(await happenings.take(house, 'event', eventOf({})), 'stored');
});

t.test('a damaged picture is dropped, one that is no message cuts off', async (t) => {
  const house = await storeHouse(t);
  const { happenings } = await started(house, []);
  const damaged = snapshotOf({ sha256: new Uint8Array(32) });
  t.equal(await happenings.take(house, 'snapshot', damaged), 'dropped');
  for (const noun of ['event', 'snapshot'] as const)
    await t.rejects(happenings.take(house, noun, Buffer.from('x')), { code: 'DECODE_INVALID' });
  t.equal(await objects(house), 0);
});

t.test('on a full disk nothing is acknowledged, and an unreadable key drops nothing', async (t) => {
  const house = await storeHouse(t);
  const { happenings } = await started(house, [], 2 ** 50);
  for (const [noun, payload] of [
    ['event', eventOf({})],
    ['snapshot', snapshotOf()],
  ] as const)
    await t.rejects(happenings.take(house, noun, payload), { code: 'STORE_FULL' });
  await house.store.keys.destroyAccount(house.accountId);
  await t.rejects(happenings.take(house, 'snapshot', snapshotOf()), { code: 'STORE_CORRUPT' });
  t.equal(await objects(house), 0);
});
