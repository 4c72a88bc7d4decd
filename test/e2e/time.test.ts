// Boards whose wall clock is wrong: it steps while they record, it starts in 1970, two boots have the
// same wall time. All that is stored has its right time in the end, once, and nothing overlaps.
import { randomUUID } from 'node:crypto';
import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { FakedClock } from '../faked-clock.ts';
import { seeded } from '../seeded.ts';
import { PICTURE, startAgent, stateOf } from './agent.ts';
import { type Added, House } from './house.ts';
import { eventually, FILE_TIMEOUT_MS, type Running } from './processes.ts';

t.setTimeout(FILE_TIMEOUT_MS);

const HOUR_S = 3600;
/** Of the clock against the right time, one after another. Further behind it would not be believed. */
const STEPS_H = process.env.TORTURE === '1' ? manySteps(40) : [1, 0, -0.5, 1];
/** Of what is stored: capture begins a little before its first picture arrives. */
const RIGHT_US = 2_000_000;
/** Of two neighbours: clocks of milliseconds, and half a picture. */
const TOUCH_US = 100_000;
/** Makes the namespace of one board, which has its own boot id. */
const OWN_BOOT_ID = [
  'unshare',
  ...(process.geteuid?.() === 0 ? ['-m'] : ['-rm']),
  ...['sh', '-c', 'mount --bind "$0" /proc/sys/kernel/random/boot_id && exec "$@"'],
];

/** Steps by chance; each is one. */
function manySteps(count: number): number[] {
  const random = seeded(t);
  const steps: number[] = [];
  while (steps.length < count) {
    const step = Math.floor(random() * 50) / 2 - 0.5;
    if (step !== (steps.at(-1) ?? 0)) steps.push(step);
  }
  return steps;
}

/** Wall less monotonic time of this machine, which all processes here share. */
function trueOffsetUs(): number {
  return Date.now() * 1000 - Number(process.hrtime.bigint() / 1000n);
}

/** A board that is switched on again and again; each time it has another boot id. */
class Board {
  readonly clock: FakedClock;
  readonly camera: Added;
  readonly #t: Test;
  bootId = '';

  constructor(t: Test, camera: Added) {
    this.#t = t;
    this.camera = camera;
    this.clock = new FakedClock(`${camera.file}.clock`);
  }

  boot(aheadS: number): Running {
    this.bootId = randomUUID();
    const file = `${this.camera.file}.${this.bootId}`;
    writeFileSync(file, `${this.bootId}\n`);
    this.clock.set(aheadS);
    return startAgent(this.#t, this.camera, {
      source: PICTURE,
      audio: 'none',
      segment: { durationMs: 500 },
      spool: { flushAfterMs: 500 },
      uplink: { drainTimeoutMs: 1000 },
      env: this.clock.env,
      under: [...OWN_BOOT_ID, file],
    });
  }

  /** Segments that wait on flash. */
  waiting(): number {
    const names = readdirSync(join(stateOf(this.camera), 'spool'));
    return names.filter((name) => name.endsWith('.segment')).length;
  }
}

interface Piece {
  readonly streamId: string;
  readonly sequence: number;
  readonly bootId: string;
  readonly startAtUs: number;
  readonly durationUs: number;
  readonly isEstimated: boolean;
  readonly correctedUs: number;
  /** How far its time is from the right one. */
  readonly wrongUs: number;
}

const house = await House.open(t);

/** All that is stored of a camera, in order of its monotonic time. */
function stored({ id }: Added): Promise<Piece[]> {
  return house.inside(async ({ store }) => {
    const rows = await store.index
      .selectFrom('segments')
      .innerJoin('streams', (join) =>
        join
          .onRef('streams.device_id', '=', 'segments.device_id')
          .onRef('streams.stream_id', '=', 'segments.stream_id'),
      )
      .selectAll('segments')
      .select(['streams.boot_id', 'streams.time_estimated'])
      .where('segments.device_id', '=', id)
      .orderBy('segments.start_mono_us')
      .execute();
    return rows.map((row) => ({
      streamId: row.stream_id,
      sequence: row.sequence,
      bootId: row.boot_id,
      startAtUs: row.start_at_us,
      durationUs: row.duration_us,
      isEstimated: row.time_estimated === 1,
      correctedUs: row.corrected_us,
      wrongUs: row.start_at_us - row.start_mono_us - trueOffsetUs(),
    }));
  });
}

/** Two segments more are acknowledged, of a stream that was not there before. */
async function newStream(agent: Running): Promise<void> {
  const known = new Set(acknowledged(agent));
  await eventually(
    'a new stream',
    () => acknowledged(agent).filter((streamId) => !known.has(streamId)).length >= 2,
    undefined,
    () => agent.tail(),
  );
}

/** The streams of the segments that the server took in from this run, one for each segment. */
function acknowledged({ err }: Running): string[] {
  const lines = err.split('\n').filter((line) => line.includes('"acknowledged"'));
  return lines.flatMap((line) => /"kind":"segment","streamId":"(\w+)"/.exec(line)?.[1] ?? []);
}

/** Right times, no hole in any stream, no overlap. */
function isWhole(t: Test, pieces: readonly Piece[]): void {
  const wrong = pieces.filter(({ wrongUs }) => Math.abs(wrongUs) > RIGHT_US);
  t.same(wrong, [], 'each segment has its right time');
  const overlaps = pieces.filter(({ startAtUs }, position) => {
    const before = pieces[position - 1];
    return before && startAtUs < before.startAtUs + before.durationUs - TOUCH_US;
  });
  t.same(overlaps, [], 'no two overlap');
  const bySequence = Map.groupBy(pieces, ({ streamId }) => streamId);
  for (const [streamId, own] of bySequence)
    t.same(
      own.map(({ sequence }) => sequence),
      own.map((_piece, position) => position),
      `no hole in ${streamId}`,
    );
}

const streamsOf = (pieces: readonly Piece[]) => [...Map.groupBy(pieces, (one) => one.streamId)];

t.test('a clock that steps by an hour, forward and back, while the board records', async (t) => {
  const board = new Board(t, await house.addDevice('stepping'));
  await house.grant(board.camera.id, 'video');
  const agent = board.boot(0);
  await newStream(agent);
  for (const step of STEPS_H) {
    board.clock.set(step * HOUR_S);
    await newStream(agent);
  }
  t.equal(await agent.kill('SIGTERM'), 0);
  const pieces = await stored(board.camera);
  isWhole(t, pieces);
  const corrections = streamsOf(pieces).map(([, own]) => [
    ...new Set(own.map(({ correctedUs }) => Math.round((correctedUs / 1e6 / HOUR_S) * 100) / 100)),
  ]);
  t.same(
    corrections,
    [0, ...STEPS_H].map((step) => [0 - step]),
    'what was wrong is marked with how much',
  );
  t.ok(pieces.every(({ isEstimated }) => !isEstimated));
  t.same((await house.stored(board.camera.id)).gaps, []);
});

t.test('a clock that was in the future leaves nothing to the next boot', async (t) => {
  const board = new Board(t, await house.addDevice('future'));
  await house.grant(board.camera.id, 'video');
  const first = board.boot(HOUR_S);
  await newStream(first);
  t.equal(await first.kill('SIGTERM'), 0);
  const second = board.boot(0);
  await eventually(
    'times that need no correction',
    async () => {
      await newStream(second);
      return (await stored(board.camera)).at(-1)?.correctedUs === 0;
    },
    undefined,
    () => second.tail(),
  );
  t.equal(await second.kill('SIGTERM'), 0);
  isWhole(t, await stored(board.camera));
});

t.test('two boots in 1970, offline, and the right time later', async (t) => {
  const board = new Board(t, await house.addDevice('unset'));
  await house.grant(board.camera.id, 'video');
  const since1970S = Math.round(Date.now() / 1000) - 86_400;
  const first = board.boot(-since1970S);
  const firstBoot = board.bootId;
  await newStream(first);
  await house.server.kill('SIGTERM');
  await eventually('segments on flash', () => board.waiting() >= 2);
  t.equal(await first.kill('SIGTERM'), 0);
  // Switched on at the same wall time, but not before that of the grant.
  const ranS = Math.round(Date.now() / 1000) - 86_400 - since1970S;
  const before = board.waiting();
  const second = board.boot(-since1970S - ranS + 5);
  await eventually(
    'segments of an estimated time',
    () => board.waiting() >= before + 2,
    undefined,
    () => second.tail(),
  );
  board.clock.set(0);
  await eventually(
    'the clock is right',
    () => second.err.split('"capturing"').length > 2,
    undefined,
    () => second.tail(),
  );
  const atStep = board.waiting();
  await eventually('segments of the right time', () => board.waiting() >= atStep + 2);
  await house.start();
  await eventually('the backlog is sent', () => board.waiting() === 0);
  t.equal(await second.kill('SIGTERM'), 0);
  const pieces = await stored(board.camera);
  isWhole(t, pieces);
  const inSecond = pieces.filter(({ bootId }) => bootId === board.bootId);
  const estimated = inSecond.filter(({ correctedUs }) => correctedUs !== 0);
  t.ok(estimated.length >= 2, `${estimated.length} segments were corrected`);
  t.ok(inSecond.length >= estimated.length + 2);
  t.same([...new Set(pieces.map(({ bootId }) => bootId))], [firstBoot, board.bootId]);
  t.match(await house.check(), { faults: { length: 0 } });
});
