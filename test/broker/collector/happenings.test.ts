// Events and snapshots through the collector: what is acknowledged is durable or was not wanted.
import { hash } from 'node:crypto';
import { pino } from 'pino';
import t from 'tap';
import { GroupCommit } from '../../../broker/collector/group-commit.ts';
import { Happenings } from '../../../broker/collector/happenings.ts';
import { ConsentGate } from '../../../broker/consent/gate.ts';
import { newDeviceId, newId } from '../../../broker/store/ids.ts';
import { type Event, encodeEvent } from '../../../proto/event.ts';
import type { InfoField } from '../../../proto/info.ts';
import type { Scope } from '../../../proto/scopes.ts';
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
  gate.close(house.deviceId, ['video', 'snapshot']);
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

t.test('consent that changes while an event waits for its turn is what decides', async (t) => {
  const house = await storeHouse(t);
  const { store, deviceId } = house;
  const { gate, epoch } = await started(house, ['health']);
  const decided: number[] = [];
  let then: () => Promise<unknown> = async () => undefined;
  const happenings = new Happenings({
    gate,
    consent: {
      infoInForce: async () => {
        const { epoch: inForce } = await store.consent.standing(deviceId);
        decided.push(inForce);
        // The owner is quicker: what was found does not hold any more.
        await then();
        const parts: InfoField[] = decided.length === 4 ? ['model'] : ['health'];
        return { epoch: inForce, parts };
      },
    },
    groups: new GroupCommit({ ...store, minFreeBytes: 0 }),
    keys: store.keys,
    nowUs: () => 77,
    log: pino({ level: 'silent' }),
  });
  const once = (scopes: readonly Scope[]) => async () => {
    then = async () => undefined;
    await putEpoch(store, deviceId, scopes);
  };
  const failing = () => eventOf({ kind: 'storage_failing', epoch });
  then = once(['audio', ...GRANTED]);
  t.equal(await happenings.take(house, 'event', failing()), 'stored', 'decided anew');
  t.same(decided, [epoch, epoch + 1]);
  then = once(GRANTED);
  t.equal(await happenings.take(house, 'event', failing()), 'dropped', 'named no longer');
  t.equal(decided.length, 4);
  then = once(['video']);
  t.equal(await happenings.take(house, 'event', failing()), 'dropped', 'withdrawn');
  const span = { deviceId, fromUs: 0, toUs: 100 };
  t.equal((await store.events.list(span, 9)).length, 1);
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

t.test('what a hostile camera tells is what its owner sees, once, and can delete', async (t) => {
  const house = await storeHouse(t);
  const { store, deviceId } = house;
  const { happenings, epoch } = await started(house, ['health']);
  const year2100Us = Date.UTC(2100, 0) * 1000;
  const [eventId, snapshotId] = [newId(), newId()];
  const told = eventOf({ eventId, startAtUs: 0, lasts: true });
  // A picture that is none, and one whose head promises 65,535 by 65,535: nobody here looks into them.
  const noPicture = snapshotOf({ snapshotId, media: Buffer.from('no JPEG') });
  const head = Buffer.from('ffd8ffc0001108ffffffff03012200021101031101', 'hex');
  const messages = [
    ['event', told],
    ['event', eventOf({ startAtUs: year2100Us, durationUs: 2 ** 51 })],
    ['event', eventOf({ kind: 'clock_jumped', epoch, startAtUs: 2 ** 52 })],
    ['snapshot', noPicture],
    ['snapshot', snapshotOf({ atUs: year2100Us, media: head, width: 16384, height: 16384 })],
  ] as const;
  for (const [noun, payload] of [...messages, ...messages])
    t.equal(await happenings.take(house, noun, payload), 'stored');
  for (const [noun, payload] of [
    ['event', eventOf({ startAtUs: 2 ** 52 + 1 })],
    ['snapshot', snapshotOf({ media: Buffer.alloc(10 << 20) })],
    ['snapshot', snapshotOf({ width: 65_535, height: 65_535 })],
  ] as const)
    await t.rejects(happenings.take(house, noun, payload), { code: 'DECODE_INVALID' });
  const stranger = { ...house, deviceId: newDeviceId() };
  t.equal(await happenings.take(stranger, 'event', told), 'dropped', 'of a device nobody knows');
  for (const payload of [eventOf({ epoch: epoch + 1 }), eventOf({ kind: 'sound' })])
    t.equal(await happenings.take(house, 'event', payload), 'dropped');
  const span = { deviceId, fromUs: 0, toUs: Number.MAX_SAFE_INTEGER };
  t.equal((await store.events.list(span, 9)).length, 3, 'what came again changed nothing');
  t.equal(await objects(house), 2);
  t.equal(await store.deletion.events(span, 99), 3);
  t.equal(await store.deletion.snapshots(span, 99), 2);
  t.equal(await happenings.take(house, 'event', told), 'dropped', 'deleted is deleted');
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
