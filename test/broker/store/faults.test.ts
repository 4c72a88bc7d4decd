// The store when the server dies, or its disk fails, at a call that changes a file: what was
// acknowledged is there, what was deleted is gone, the rest comes again, and a start mends.
// All calls with TORTURE=1, else some by chance; SEED=… repeats those.
import { hash, randomBytes } from 'node:crypto';
import { cpSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { sql } from 'kysely';
import t, { type Test } from 'tap';
import { newId } from '../../../broker/store/ids.ts';
import { finishBegun } from '../../../broker/store/repair.ts';
import { openStore, type Store } from '../../../broker/store/store.ts';
import { inspect } from '../../../broker/store/verify.ts';
import { encodeEvent } from '../../../proto/event.ts';
import { encodeGap } from '../../../proto/gap.ts';
import { encodeSegment } from '../../../proto/segment.ts';
import { encodeSnapshot } from '../../../proto/snapshot.ts';
import { encodeStream } from '../../../proto/stream.ts';
import { seeded } from '../../seeded.ts';
import type { Doomed } from './delete-once.ts';
import { putEpoch, type StoreHouse, storeHouse } from './house.ts';
import { type Asked, type Message, takeAll } from './taking.ts';
import { callsOf, interrupted, type Outcome, type Point, type Target } from './under-strace.ts';

const isShort = process.env.TORTURE === undefined;
t.setTimeout(isShort ? 300_000 : 3_600_000);
const random = seeded(t);
const STEP_US = 1_000_000;
const COMMON = { startMonoUs: 1, epoch: 1 } as const;

const WAL = 'index.db-wal';
const INGEST: readonly Target[] = [
  { call: 'pwrite64', file: WAL },
  { call: 'fsync', file: WAL },
  { call: 'pwrite64', file: 'index.db' },
  { call: 'fsync', file: 'index.db' },
  ...['writev', 'fdatasync', 'fsync', 'mkdir', 'unlink', 'rename'].map((call) => ({ call })),
];
const DELETION: readonly Target[] = [
  { call: 'pwrite64', file: WAL },
  { call: 'fsync', file: WAL },
  { call: 'pwrite64', file: 'index.db' },
  { call: 'fsync', file: 'index.db' },
  ...['fsync', 'unlink', 'rename'].map((call) => ({ call })),
];
/** Between the work and its answer; that the answer fails is nobody's fault. */
const ANSWER: Target = { call: 'write', file: 'said' };
const PROGRAMS = {
  ingest: new URL('./ingest-once.ts', import.meta.url).pathname,
  deletion: new URL('./delete-once.ts', import.meta.url).pathname,
};

/** A picture of each of these times, named by its id. */
function pictures(bootId: string, timesS: readonly number[]): Message[] {
  return timesS.map((atS) => {
    const media = randomBytes(2000);
    const snapshotId = newId();
    const payload = encodeSnapshot({
      ...{ snapshotId, bootId, atUs: atS * STEP_US + 1, monoUs: 1, epoch: 2, cause: 'interval' },
      ...{ causeId: null, width: 64, height: 48, sha256: hash('sha256', media, 'buffer'), media },
    });
    return { noun: 'snapshot', name: snapshotId, payload: Buffer.from(payload).toString('hex') };
  });
}

function happened(bootId: string): Message {
  const payload = encodeEvent({
    ...{ eventId: newId(), kind: 'motion', bootId, startAtUs: STEP_US, startMonoUs: 1, epoch: 1 },
    ...{ durationUs: 0, lasts: false, peak: 1, code: null, detail: '' },
  });
  return { noun: 'event', name: 'event', payload: Buffer.from(payload).toString('hex') };
}

function messages(streamId: string): Message[][] {
  const track = { trackId: 1, codec: 'avc1.42c01f', timescale: 90000 };
  const size = { width: 64, height: 64, sampleRate: 0, channels: 0 };
  const bootId = '11111111-2222-4333-8444-555555555555';
  const scopes = ['video'] as const;
  const stream = encodeStream({
    ...{ ...COMMON, startAtUs: 1, scopes, streamId, bootId, timeEstimated: false },
    ...{ tracks: [{ kind: 'video', ...track, ...size }], init: randomBytes(500) },
  });
  const segments = Array.from({ length: 7 }, (_, sequence): Message => {
    const media = randomBytes(3000);
    const times = { startAtUs: sequence * STEP_US, durationUs: STEP_US, decodeStartUs: 0 };
    const sha256 = hash('sha256', media, 'buffer');
    const header = { ...COMMON, ...times, scopes, streamId, sequence, sha256 };
    const payload = encodeSegment(header, [media]).toString('hex');
    return { noun: 'segment', name: String(sequence), payload };
  });
  const lost = { ...COMMON, startAtUs: 9 * STEP_US, durationUs: 5, reason: 'source_lost' } as const;
  const gap = encodeGap({ ...lost, gapId: streamId, bootId, code: null });
  const first: Message = {
    noun: 'stream',
    name: 'stream',
    payload: Buffer.from(stream).toString('hex'),
  };
  const last: Message = { noun: 'gap', name: 'gap', payload: Buffer.from(gap).toString('hex') };
  const [before, within, after] = pictures(bootId, [2, 4, 8]);
  if (!before || !within || !after) throw new Error('three pictures');
  return [
    [first, ...segments.slice(0, 1), before],
    [...segments.slice(1, 4), within],
    // One is sent again, as by a camera that did not hear the answer.
    [...segments.slice(4, 5), ...segments.slice(1, 2), before, last],
    [...segments.slice(5), after, happened(bootId)],
  ];
}

/** A data folder to begin with, of which each run gets a copy. */
interface Base {
  readonly house: StoreHouse;
  readonly folder: string;
  readonly asked: Asked;
  copy(): string;
}

async function base(t: Test, isFilled: boolean): Promise<Base> {
  const house = await storeHouse(t);
  const { store, deviceId, accountId, streamId } = house;
  await sql`delete from streams`.execute(store.index);
  await putEpoch(store, deviceId, ['video', 'snapshot']);
  const asked = { deviceId, accountId, groups: messages(streamId) };
  if (isFilled) await takeAll(store, asked, () => undefined);
  await sql`pragma wal_checkpoint(truncate)`.execute(store.index);
  const top = t.testdirName;
  const keep = join(top, 'base');
  mkdirSync(keep);
  for (const name of ['index.db', 'keys', 'blobs'])
    cpSync(join(top, name), join(keep, name), { recursive: true });
  let runs = 0;
  const copy = (): string => {
    const folder = join(top, `run-${runs++}`);
    cpSync(keep, folder, { recursive: true });
    return folder;
  };
  return { house, folder: top, asked, copy };
}

const FAULTS = ['SIGKILL', 'EIO', 'ENOSPC'] as const;

/** Some points by chance, or all there are: a target is over when it is not hit any more. */
function* points(
  targets: readonly Target[],
  counts: () => number[],
  samples: number,
): Generator<Point, void, boolean> {
  const kinds = FAULTS.flatMap((fault) =>
    [...targets, ...(fault === 'SIGKILL' ? [ANSWER] : [])].map((target) => ({ ...target, fault })),
  );
  if (!isShort) {
    for (const kind of kinds) for (let at = 1; yield { ...kind, at }; at++);
    return;
  }
  const known = counts();
  const called = kinds.flatMap((kind) => {
    const count =
      known[targets.findIndex(({ call, file }) => call === kind.call && file === kind.file)];
    return count === undefined || count === 0 ? [] : { kind, count };
  });
  for (let sample = 0; sample < samples; sample++) {
    const [next] = called.splice(Math.floor(random() * called.length), 1);
    if (next) yield { ...next.kind, at: 1 + Math.floor(random() * next.count) };
  }
}

const named = (said: readonly string[], verb: string): Set<string> =>
  new Set(
    said.filter((line) => line.startsWith(`${verb} `)).map((line) => line.split(' ')[1] ?? ''),
  );

const nameOf = ({ call, file, at, fault }: Point): string =>
  `${fault} at ${call} ${at}${file === undefined ? '' : ` of ${file}`}`;

async function sequencesIn(store: Store): Promise<string[]> {
  const rows = await store.index.selectFrom('segments').select('sequence').execute();
  return rows.map(({ sequence }) => String(sequence)).sort();
}

/** Ids of the pictures in order of their time. */
async function picturesIn(store: Store): Promise<string[]> {
  const { rows } = await sql<{ snapshot_id: string }>`
    select snapshot_id from snapshots order by start_at_us`.execute(store.index);
  return rows.map(({ snapshot_id }) => snapshot_id);
}

const picturesOf = (asked: Asked): string[] => [
  ...new Set(asked.groups.flat().flatMap(({ noun, name }) => (noun === 'snapshot' ? name : []))),
];

/** Opens it as the next start does: nothing may be left to complain about. */
async function started<T>(t: Test, folder: string, use: (store: Store) => Promise<T>): Promise<T> {
  const store = await openStore(folder, () => Date.now() * 1000);
  try {
    await finishBegun(store);
    const { findings } = await inspect(store, folder, () => undefined);
    t.same(
      findings.map(({ what }) => what),
      [],
      'a start mends',
    );
    return await use(store);
  } finally {
    await store.close();
  }
}

/** Runs the program to each point, and has what it left checked. */
async function each(
  t: Test,
  { copy }: Base,
  program: readonly string[],
  walk: Generator<Point, void, boolean>,
  check: (t: Test, folder: string, outcome: Outcome, point: Point) => Promise<void>,
): Promise<void> {
  const hits = new Map<string, number>();
  let step = walk.next();
  while (!step.done) {
    const point = step.value;
    const folder = copy();
    const outcome = interrupted(folder, program, point);
    if (outcome.isHit) {
      const key = `${point.fault} ${point.call} ${point.file ?? ''}`;
      hits.set(key, (hits.get(key) ?? 0) + 1);
    }
    await t.test(nameOf(point), (t) => check(t, folder, outcome, point));
    rmSync(folder, { recursive: true });
    step = walk.next(outcome.isHit);
  }
  t.ok(hits.size > 0, 'calls were hit');
  t.comment(Object.fromEntries(hits));
}

async function ingestCheck(
  t: Test,
  folder: string,
  { said, isHit }: Outcome,
  point: Point,
  asked: Asked,
): Promise<void> {
  const acked = named(said, 'acked');
  const refused = named(said, 'refused');
  for (const code of refused)
    t.match(code, /^STORE_(FULL|FAILED)$|^STREAM_UNKNOWN$/, `refused ${code}`);
  if (!isHit || (point.fault !== 'SIGKILL' && !said.some((line) => line.startsWith('ended'))))
    t.equal(said.at(-1), 'closed', 'it goes on to its end');
  for (const line of said.filter((line) => line.startsWith('ended')))
    t.match(line, /^ended STORE_(FULL|FAILED)/, line);
  const all = asked.groups.flat().map(({ name }) => name);
  if (said.at(-1) === 'closed')
    t.same([...acked].sort(), [...new Set(all)].sort(), 'all is acknowledged');
  await started(t, folder, async (store) => {
    const stored = await sequencesIn(store);
    const lost = [...acked].filter((name) => /^\d+$/.test(name) && !stored.includes(name));
    const shown = await picturesIn(store);
    lost.push(...picturesOf(asked).filter((id) => acked.has(id) && !shown.includes(id)));
    t.same(lost, [], 'what was acknowledged is there');
    await takeAll(store, asked, () => undefined);
    t.same(await sequencesIn(store), ['0', '1', '2', '3', '4', '5', '6'], 'the rest comes again');
    t.same(await picturesIn(store), picturesOf(asked));
    const { findings } = await inspect(store, folder, () => undefined);
    t.same(
      findings.map(({ what }) => what),
      [],
    );
  });
}

async function deletionCheck(
  t: Test,
  folder: string,
  { said, isHit }: Outcome,
  point: Point,
  doomed: Doomed,
  [before = '', within = '', after = '']: readonly string[],
): Promise<void> {
  for (const line of said.filter((line) => /^(refused|ended)/.test(line)))
    t.match(line, /^\w+ STORE_(FULL|FAILED)/, line);
  if (!isHit || (point.fault !== 'SIGKILL' && !said.some((line) => line.startsWith('ended'))))
    t.equal(said.at(-1), 'closed', 'it goes on to its end');
  const done = named(said, 'deleted');
  await started(t, folder, async (store) => {
    const left = await sequencesIn(store);
    const gone = doomed.sequences.map(String).filter((sequence) => done.has(sequence));
    if (done.has('range')) gone.push('3', '4', '5');
    t.same(
      left.filter((sequence) => gone.includes(sequence)),
      [],
      'what was deleted is gone',
    );
    t.ok(left.includes('6'), 'what was not meant is there');
    const shown = await picturesIn(store);
    t.ok(shown.includes(after), 'and the picture');
    t.notOk(done.has('snapshot') && shown.includes(before), 'the picture deleted is gone');
    t.equal(shown.includes(within), left.includes('3'), 'pictures go with their range');
    const range = left.filter((sequence) => ['3', '4', '5'].includes(sequence));
    t.ok(range.length === 0 || range.length === 3, 'a range goes as a whole');
  });
}

t.test('interrupted while it takes in', async (t) => {
  const from = await base(t, false);
  const file = join(from.folder, 'asked.json');
  writeFileSync(file, JSON.stringify(from.asked));
  const program = [PROGRAMS.ingest, file];
  const walk = points(INGEST, () => callsOf(from.copy(), program, INGEST), 8);
  await each(t, from, program, walk, (t, folder, outcome, point) =>
    ingestCheck(t, folder, outcome, point, from.asked),
  );
});

t.test('interrupted while it deletes', async (t) => {
  const from = await base(t, true);
  const { deviceId, streamId } = from.house;
  const span = { fromUs: 3 * STEP_US, toUs: 6 * STEP_US };
  const shown = picturesOf(from.asked);
  const [snapshotId = ''] = shown;
  const doomed: Doomed = { deviceId, streamId, sequences: [0, 2], snapshotId, ...span };
  const file = join(from.folder, 'doomed.json');
  writeFileSync(file, JSON.stringify(doomed));
  const program = [PROGRAMS.deletion, file];
  const walk = points(DELETION, () => callsOf(from.copy(), program, DELETION), 5);
  await each(t, from, program, walk, (t, folder, outcome, point) =>
    deletionCheck(t, folder, outcome, point, doomed, shown),
  );
});
