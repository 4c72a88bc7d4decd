import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate, setTimeout } from 'node:timers/promises';
import t from 'tap';
import { GroupCommit, type Offer } from '../../../broker/collector/group-commit.ts';
import type { Blobs } from '../../../broker/store/blobs.ts';
import { type ErrorCode, LenscapError } from '../../../proto/errors.ts';
import { type StoreHouse, segmentOf, storeHouse, streamOf } from '../store/house.ts';

function offerOf(house: StoreHouse, sequence: number, sha256 = 'same'): Offer {
  const candidate = segmentOf(house, { sequence, sha256 });
  return { candidate, sealed: () => [Buffer.from(`object ${sequence}`)], bytes: 10 };
}

/** The same place for objects, with methods that can be replaced one by one. */
function over(blobs: Blobs): Blobs {
  return {
    group: () => blobs.group(),
    read: (blobId) => blobs.read(blobId),
    remove: (blobIds) => blobs.remove(blobIds),
    list: (part) => blobs.list(part),
    freeBytes: () => blobs.freeBytes(),
  };
}

function objects(folder: string): number {
  const root = join(folder, 'blobs');
  return readdirSync(root).flatMap((shard) => readdirSync(join(root, shard))).length;
}

t.test('what arrives together is stored together, each answered for itself', async (t) => {
  const house = await storeHouse(t);
  const groups = new GroupCommit({ ...house.store, minFreeBytes: 0 });
  const answers = await Promise.all(
    Array.from({ length: 200 }, (_, sequence) => groups.offer(offerOf(house, sequence))),
  );
  t.same(new Set(answers), new Set(['stored']));
  t.equal(objects(t.testdirName), 200);
  const row = await house.store.media.segment(house.deviceId, house.streamId, 199);
  t.equal((await house.store.blobs.read(row?.blob_id ?? '')).toString(), 'object 199');
});

t.test('segments wait for the group with their stream, however slow its disk', async (t) => {
  const known = await storeHouse(t);
  const house = { ...known, streamId: 'a'.repeat(32) };
  // Each group waits for its gate before its objects are written.
  const gates = Array.from({ length: 4 }, () => Promise.withResolvers<void>());
  let made = 0;
  const blobs = {
    ...over(known.store.blobs),
    group: () => {
      const group = known.store.blobs.group();
      const gate = gates[made++] ?? Promise.withResolvers<void>();
      return { write: group.write, commit: () => gate.promise.then(group.commit) };
    },
  };
  const groups = new GroupCommit({ commit: known.store.commit, blobs, minFreeBytes: 0 });
  const lanes = [1, 2].map((sequence) => groups.offer(offerOf(known, sequence)));
  const stream = { candidate: streamOf(house), sealed: null, bytes: 1 };
  const slow = [offerOf(known, 3), stream].map((offer) => groups.offer(offer));
  gates[0]?.resolve();
  await lanes[0];
  // Once this turn is over, the group with the stream is under way.
  await setImmediate();
  const after = groups.offer(offerOf(house, 1));
  gates[1]?.resolve();
  await lanes[1];
  gates[3]?.resolve();
  t.equal(await Promise.race([after, setTimeout(100, 'waits')]), 'waits');
  gates[2]?.resolve();
  t.same(await Promise.all([...slow, after]), ['stored', 'stored', 'stored']);
});

t.test('the object of a refused segment does not stay', async (t) => {
  const house = await storeHouse(t);
  const groups = new GroupCommit({ ...house.store, minFreeBytes: 0 });
  t.equal(await groups.offer(offerOf(house, 1)), 'stored');
  t.equal(await groups.offer(offerOf(house, 1)), 'duplicate');
  t.equal(await groups.offer(offerOf(house, 1, 'other')), 'SEGMENT_CONFLICT');
  t.equal(objects(t.testdirName), 1);
});

t.test('with too little room nothing is stored, and it goes on when there is room', async (t) => {
  const house = await storeHouse(t);
  let freeBytes = 100;
  const blobs = { ...over(house.store.blobs), freeBytes: async () => freeBytes };
  const groups = new GroupCommit({ commit: house.store.commit, blobs, minFreeBytes: 1000 });
  await t.rejects(groups.offer(offerOf(house, 1)), { code: 'STORE_FULL' });
  t.equal(objects(t.testdirName), 0);
  freeBytes = 2000;
  t.equal(await groups.offer(offerOf(house, 1)), 'stored');
});

t.test('a failing disk fails the whole group, and only that group', async (t) => {
  const house = await storeHouse(t);
  let failures = 1;
  const blobs = {
    ...over(house.store.blobs),
    group: () => {
      const group = house.store.blobs.group();
      if (failures-- <= 0) return group;
      const full = new LenscapError('STORE_FULL', 'no space left');
      return { write: group.write, commit: () => Promise.reject(full) };
    },
  };
  const groups = new GroupCommit({ commit: house.store.commit, blobs, minFreeBytes: 0 });
  await t.rejects(groups.offer(offerOf(house, 1)), { code: 'STORE_FULL' });
  t.equal(await house.store.media.segment(house.deviceId, house.streamId, 1), undefined);
  t.equal(await groups.offer(offerOf(house, 1)), 'stored');
});

/** A commit that fails with these codes first, in turn. */
function failing(house: StoreHouse, codes: readonly ErrorCode[]): StoreHouse['store']['commit'] {
  const left = [...codes];
  return (group) => {
    const code = left.shift();
    return code ? Promise.reject(new LenscapError(code, 'injected')) : house.store.commit(group);
  };
}

t.test('objects of a commit that failed stay until another one has succeeded', async (t) => {
  const house = await storeHouse(t);
  const commit = failing(house, ['STORE_FAILED']);
  const groups = new GroupCommit({ commit, blobs: house.store.blobs, minFreeBytes: 0 });
  t.equal(await groups.offer(offerOf(house, 1)).catch(({ code }) => code), 'STORE_FAILED');
  t.equal(objects(t.testdirName), 1, 'a crash may bring its row back');
  t.equal(await groups.offer(offerOf(house, 2)), 'stored');
  t.equal(objects(t.testdirName), 1, 'its object is of no use now');
});

t.test('a commit that changed nothing says nothing of the one that failed before', async (t) => {
  const house = await storeHouse(t);
  await new GroupCommit({ ...house.store, minFreeBytes: 0 }).offer(offerOf(house, 1));
  const commit = failing(house, ['STORE_FAILED']);
  const groups = new GroupCommit({ commit, blobs: house.store.blobs, minFreeBytes: 0 });
  await groups.offer(offerOf(house, 2)).catch(() => undefined);
  t.equal(await groups.offer(offerOf(house, 1)), 'duplicate');
  t.equal(objects(t.testdirName), 2);
});

t.test('objects of a commit that had no room are given back at once', async (t) => {
  const house = await storeHouse(t);
  const commit = failing(house, ['STORE_FULL']);
  const groups = new GroupCommit({ commit, blobs: house.store.blobs, minFreeBytes: 0 });
  await t.rejects(groups.offer(offerOf(house, 1)), { code: 'STORE_FULL' });
  t.equal(objects(t.testdirName), 0);
});
