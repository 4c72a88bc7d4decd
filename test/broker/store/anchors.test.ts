// Times of what is stored follow the anchor of its boot, whichever came first.
import t from 'tap';
import {
  type AnchorRow,
  Anchors,
  isKnown,
  MAX_BOOTS,
  placed,
} from '../../../broker/store/anchors.ts';
import type { Candidate } from '../../../broker/store/commit.ts';
import { newId } from '../../../broker/store/ids.ts';
import { seeded } from '../../seeded.ts';
import { putEpoch, type StoreHouse, segmentOf, storeHouse, streamOf } from './house.ts';

/** The boot of `streamOf`. */
const BOOT = '11111111-2222-4333-8444-555555555555';
const NOW_US = 1_800_000_000_000_000;
const DAY_US = 86_400_000_000;
const SPAN = { fromUs: 0, toUs: 2 ** 53 };

function anchorOf({ deviceId }: StoreHouse, over: Partial<AnchorRow> = {}): AnchorRow {
  const row = { device_id: deviceId, boot_id: BOOT, offset_us: NOW_US, source: 'camera' };
  return { ...row, at_us: NOW_US, ...over };
}

function pieceOf(house: StoreHouse, sequence: number, saidUs: number, monoUs: number): Candidate {
  const piece = segmentOf(house, { sequence, startAtUs: saidUs });
  return { ...piece, row: { ...piece.row, start_mono_us: monoUs } };
}

function gapOf({ deviceId }: StoreHouse, saidUs: number, monoUs: number): Candidate {
  const row = {
    device_id: deviceId,
    gap_id: newId(),
    boot_id: BOOT,
    start_at_us: saidUs,
    start_mono_us: monoUs,
    duration_us: 1_000_000,
    reason: 'source_lost',
    epoch: 1,
    code: null,
    received_at_us: 5,
    corrected_us: 0,
  };
  return { kind: 'gap', scopes: ['video'], row };
}

type Times = { readonly at: number; readonly corrected: number };

async function timesOf({ store, deviceId }: StoreHouse): Promise<Times[]> {
  const segments = await store.media.segments({ deviceId, ...SPAN }, 10_000);
  const gaps = await store.media.gaps({ deviceId, ...SPAN });
  return [...segments.sort((one, other) => one.sequence - other.sequence), ...gaps].map((row) => ({
    at: row.start_at_us,
    corrected: row.corrected_us,
  }));
}

t.test('a row is corrected by more than a second, and as it was said within it', async (t) => {
  const row = { start_at_us: 5_000_000, start_mono_us: 2_000_000, corrected_us: 0 };
  t.same(placed(row, 2_000_000), row, 'a second off');
  const moved = { ...row, start_at_us: 3_999_999, corrected_us: -1_000_001 };
  t.same(placed(row, 1_999_999), moved);
  t.same(placed(moved, 3_000_000), row, 'and back');
  const far = placed({ ...row, start_mono_us: 2 ** 52 }, 2 ** 52);
  t.same(far, { ...far, start_at_us: 2 ** 52, corrected_us: 2 ** 52 - 5_000_000 });
  t.same(placed(row, -9_000_000), { ...row, start_at_us: 0, corrected_us: -5_000_000 });
});

t.test('what the journey of a message adds is no news', async (t) => {
  const known = { offset_us: NOW_US };
  const cases = [
    { laterUs: 99_000, source: 'camera', is: true },
    { laterUs: 101_000, source: 'camera', is: false },
    { laterUs: -101_000, source: 'camera', is: false },
    { laterUs: 9_000_000, source: 'server', is: true },
    { laterUs: 11_000_000, source: 'server', is: false },
    { laterUs: -101_000, source: 'server', is: false },
  ];
  for (const { laterUs, source, is } of cases)
    t.equal(isKnown(known, { offset_us: NOW_US + laterUs, source }), is, `${source} ${laterUs}`);
});

t.test('what is stored already and what comes later stand at the time of the anchor', async (t) => {
  const house = await storeHouse(t);
  const { store } = house;
  await store.commit([pieceOf(house, 0, 10_000_000, 10_000_000), gapOf(house, 4e6, 4e6)]);
  t.equal(await store.anchors.note(anchorOf(house)), 2, 'a piece and a gap');
  t.equal(await store.anchors.note(anchorOf(house)), 0, 'and no more');
  await store.commit([
    pieceOf(house, 1, 14_000_000, 14_000_000),
    pieceOf(house, 2, NOW_US + 18_000_000, 18_000_000),
  ]);
  t.same(await timesOf(house), [
    { at: NOW_US + 10e6, corrected: NOW_US },
    { at: NOW_US + 14e6, corrected: NOW_US },
    { at: NOW_US + 18e6, corrected: 0 },
    { at: NOW_US + 4e6, corrected: NOW_US },
  ]);
  const stream = await store.media.stream(house.deviceId, house.streamId);
  t.match(stream, { start_at_us: NOW_US, corrected_us: NOW_US - 1000 });
  t.same(await store.commit([pieceOf(house, 1, 14_000_000, 14_000_000)]), ['duplicate']);
});

t.test('a stream and its pieces in one group are placed together', async (t) => {
  const house = await storeHouse(t);
  await house.store.anchors.note(anchorOf(house));
  const other = { ...house, streamId: newId() };
  const outcomes = await house.store.commit([streamOf(other), pieceOf(other, 0, 5e6, 5e6)]);
  t.same(outcomes, ['stored', 'stored']);
  t.same(await timesOf(house), [{ at: NOW_US + 5e6, corrected: NOW_US }]);
});

t.test('boots do not touch each other, and devices neither', async (t) => {
  const house = await storeHouse(t);
  await house.store.commit([pieceOf(house, 0, 10_000_000, 10_000_000)]);
  const boot_id = '99999999-2222-4333-8444-555555555555';
  t.equal(await house.store.anchors.note(anchorOf(house, { boot_id })), 0);
  t.same(await timesOf(house), [{ at: 10_000_000, corrected: 0 }]);
});

t.test('whether the anchor or the pieces come first makes no difference', async (t) => {
  const random = seeded(t);
  const pick = (max: number): number => Math.floor(random() * max);
  const anchors = [0, 1e6, 3600e6, -1e6 - 1, NOW_US, 2 ** 52];
  const [early, late] = [await storeHouse(t), await storeHouse(t)];
  const offsets = Array.from({ length: 5 }, () => anchors[pick(anchors.length)] ?? 0);
  const times = Array.from({ length: 200 }, () => {
    const monoUs = pick(100) * 1e6;
    return { monoUs, saidUs: Math.max(0, monoUs + (anchors[pick(6)] ?? 0) + pick(3e6) - 15e5) };
  });
  const pieces = (house: StoreHouse): Candidate[] =>
    times.map(({ saidUs, monoUs }, sequence) => pieceOf(house, sequence, saidUs, monoUs));
  for (const offset_us of offsets) await early.store.anchors.note(anchorOf(early, { offset_us }));
  await early.store.commit(pieces(early));
  await late.store.commit(pieces(late).slice(0, 100));
  for (const offset_us of offsets) await late.store.anchors.note(anchorOf(late, { offset_us }));
  await late.store.commit(pieces(late).slice(100));
  t.same(await timesOf(late), await timesOf(early));
});

t.test('who changes the time without end is not heard any more for a while', async (t) => {
  const house = await storeHouse(t);
  const { store } = house;
  await store.commit([pieceOf(house, 0, 10e6, 10e6)]);
  const note = (turn: number, at_us: number): Promise<number> =>
    store.anchors.note(anchorOf(house, { offset_us: NOW_US + turn * 60e6, at_us }));
  for (let turn = 0; turn < 60; turn++) t.equal(await note(turn, NOW_US), 1);
  t.equal(await note(60, NOW_US), 0);
  t.same(await timesOf(house), [{ at: NOW_US + 59 * 60e6 + 10e6, corrected: NOW_US + 59 * 60e6 }]);
  t.equal(await note(60, NOW_US + 3600e6), 1);
});

t.test('who moves very much is not heard any more for a while either', async (t) => {
  const house = await storeHouse(t);
  const { store, deviceId } = house;
  await store.commit([0, 1, 2].map((at) => pieceOf(house, at, at * 4e6, at * 4e6)));
  const anchors = new Anchors(store.index, 5);
  const note = (turn: number, at_us: number): Promise<number> =>
    anchors.note(anchorOf(house, { offset_us: NOW_US + turn * 60e6, at_us }));
  t.same([await note(0, NOW_US), await note(1, NOW_US), await note(2, NOW_US)], [3, 3, 0]);
  t.equal(await note(2, NOW_US + 3600e6), 3);
  const span = { deviceId, fromUs: NOW_US + 120e6, toUs: NOW_US + 132e6 };
  t.equal((await store.media.segments(span, 10)).length, 3);
});

t.test('a deleted range is judged by the true time', async (t) => {
  const house = await storeHouse(t);
  const { store, deviceId } = house;
  await store.anchors.note(anchorOf(house));
  const span = { deviceId, fromUs: NOW_US, toUs: NOW_US + 20e6 };
  await store.deletion.range(span, NOW_US + 60e6);
  const late = [pieceOf(house, 0, 10e6, 10e6), pieceOf(house, 1, 30e6, 30e6)];
  t.same(await store.commit(late), ['SEGMENT_DELETED', 'stored']);
});

t.test('of a device of which nothing is granted not even a boot is known', async (t) => {
  const house = await storeHouse(t);
  const { store, deviceId } = house;
  const boots = async (): Promise<string[]> =>
    (await store.index.selectFrom('anchors').select('boot_id').execute()).map((row) => row.boot_id);
  const boot_id = '22222222-2222-4333-8444-555555555555';
  await store.anchors.note(anchorOf(house));
  await store.anchors.note(anchorOf(house, { boot_id }));
  t.same((await boots()).sort(), [BOOT, boot_id]);
  await putEpoch(store, deviceId, ['live', 'device_log']);
  t.same(await boots(), [BOOT], 'the boot that has a stream stays');
  await store.anchors.note(anchorOf(house, { boot_id }));
  t.same(await boots(), [BOOT]);
  await putEpoch(store, deviceId, ['device_info']);
  await store.anchors.note(anchorOf(house, { boot_id }));
  t.equal((await boots()).length, 2);
});

t.test('anchors of a device are bounded, and those of boots with pictures stay', async (t) => {
  const house = await storeHouse(t);
  const { store, deviceId } = house;
  const boots = async (): Promise<string[]> => {
    const rows = await store.index.selectFrom('anchors').selectAll().orderBy('at_us').execute();
    return rows.map(({ boot_id }) => boot_id);
  };
  await store.anchors.note(anchorOf(house, { at_us: NOW_US - 2 * DAY_US }));
  const others = Array.from({ length: MAX_BOOTS }, (_, boot) => {
    const boot_id = `00000000-0000-4000-8000-${String(boot).padStart(12, '0')}`;
    return anchorOf(house, { boot_id, at_us: NOW_US + boot * 1e6 });
  });
  const newest = others.pop() ?? anchorOf(house);
  await store.index.insertInto('anchors').values(others).execute();
  await store.anchors.note({ ...newest, boot_id: BOOT.replace('1', '2') });
  t.equal((await boots()).length, MAX_BOOTS);
  t.notOk((await boots()).includes(BOOT), 'the oldest, though it has a stream');
  await store.index.deleteFrom('anchors').where('at_us', '>', NOW_US).execute();
  await store.anchors.note(anchorOf(house, { at_us: NOW_US - 2 * DAY_US }));
  await store.anchors.note(newest);
  t.equal((await boots())[0], BOOT, 'it has a stream');
  const left = await boots();
  await store.deletion.expire(deviceId, NOW_US, NOW_US + 2 * DAY_US);
  t.same(await boots(), left.slice(-1), 'the newest may be running');
  await store.inTransaction((rows) => rows.bury(deviceId, NOW_US));
  t.same(await boots(), []);
});
