import t from 'tap';
import { putEpoch, segmentOf, storeHouse, streamOf } from './house.ts';

t.test('a segment is taken once: again changes nothing, other bytes are refused', async (t) => {
  const house = await storeHouse(t);
  const take = async (sha256: string) =>
    (await house.store.commit([segmentOf(house, { sequence: 7, sha256 })]))[0];
  t.equal(await take('first'), 'stored');
  t.equal(await take('first'), 'duplicate');
  t.equal(await take('other'), 'SEGMENT_CONFLICT');
  const stored = await house.store.media.segment(house.deviceId, house.streamId, 7);
  t.equal(stored?.sha256, 'first');
});

t.test('the same segment twice in one group is stored once', async (t) => {
  const house = await storeHouse(t);
  const group = [segmentOf(house, { sequence: 1 }), segmentOf(house, { sequence: 1 })];
  t.same(await house.store.commit(group), ['stored', 'duplicate']);
});

t.test('each member of a group is judged for itself', async (t) => {
  const house = await storeHouse(t);
  const outcomes = await house.store.commit([
    segmentOf(house, { sequence: 0 }),
    segmentOf(house, { sequence: 1, streamId: 'f'.repeat(32) }),
    segmentOf(house, { sequence: 2, scopes: ['video', 'audio'] }),
    segmentOf(house, { sequence: 3, epoch: 0 }),
    segmentOf(house, { sequence: 4 }),
  ]);
  t.same(outcomes, ['stored', 'STREAM_UNKNOWN', 'CONSENT_MISSING', 'CONSENT_MISSING', 'stored']);
});

t.test('a stream and its segment may come in one group', async (t) => {
  const house = { ...(await storeHouse(t)), streamId: 'e'.repeat(32) };
  const group = [segmentOf(house, { sequence: 0 }), streamOf(house)];
  t.same(await house.store.commit(group), ['stored', 'stored']);
  t.same(await house.store.commit([streamOf(house)]), ['duplicate']);
});

t.test('scopes that are not those of the stream are refused', async (t) => {
  const house = await storeHouse(t);
  await putEpoch(house.store, house.deviceId, ['video', 'audio']);
  const withSound = { ...house, streamId: 'd'.repeat(32) };
  await house.store.commit([streamOf(withSound, ['video', 'audio'], 2)]);
  const lie = segmentOf(withSound, { sequence: 0, epoch: 2, scopes: ['video'] });
  t.same(await house.store.commit([lie]), ['DECODE_INVALID']);
});

t.test(
  'after a withdrawal nothing captured before it is taken in, granted again or not',
  async (t) => {
    const house = await storeHouse(t);
    await putEpoch(house.store, house.deviceId, []);
    const old = segmentOf(house, { sequence: 0, epoch: 1 });
    t.same(await house.store.commit([old]), ['CONSENT_MISSING']);
    const epoch = await putEpoch(house.store, house.deviceId, ['video']);
    t.same(await house.store.commit([old]), ['CONSENT_MISSING']);
    t.same(await house.store.commit([segmentOf(house, { sequence: 1, epoch })]), ['stored']);
  },
);

t.test(
  '200 withdrawals among 4,000 commits: no commit after the withdrawal has returned',
  async (t) => {
    const house = await storeHouse(t);
    let sequence = 0;
    let late = 0;
    for (let round = 0; round < 200; round++) {
      const epoch = await putEpoch(house.store, house.deviceId, ['video']);
      let isWithdrawn = false;
      const commits = Array.from({ length: 20 }, async () => {
        const asked = segmentOf(house, { sequence: sequence++, epoch });
        const wasWithdrawn = isWithdrawn;
        const [outcome] = await house.store.commit([asked]);
        if (wasWithdrawn && outcome === 'stored') late++;
        return outcome;
      });
      const withdrawal = putEpoch(house.store, house.deviceId, []).then(() => {
        isWithdrawn = true;
      });
      await Promise.all([...commits, withdrawal]);
      const [after] = await house.store.commit([segmentOf(house, { sequence: sequence++, epoch })]);
      if (after !== 'CONSENT_MISSING') late++;
    }
    t.equal(late, 0);
  },
);
