// What a change of consent does to a capture that runs: real gate, real pictures.
import { join } from 'node:path';
import { pino } from 'pino';
import t, { type Test } from 'tap';
import { Camera, consentedSink } from '../../../agent/camera.ts';
import { Capture } from '../../../agent/capture/capture.ts';
import { LastPictures } from '../../../agent/capture/last-pictures.ts';
import { laterMark } from '../../../agent/capture/outage.ts';
import { wantsSound } from '../../../agent/capture/sound.ts';
import { systemClock } from '../../../agent/clock.ts';
import { Flash, spoolFolder } from '../../../agent/spool/flash.ts';
import { SpoolQueue } from '../../../agent/spool/queue.ts';
import type { Gap } from '../../../proto/gap.ts';
import type { SegmentHeader } from '../../../proto/segment.ts';
import type { Stream } from '../../../proto/stream.ts';
import { eventually } from '../../e2e/processes.ts';
import { DEVICE, grant, makeGate } from '../consent/grants.ts';
import { BOOT_ID, captureConfig, mediaClock, type Overrides, QUICK } from './harness.ts';

t.jobs = 4;

const log = pino({ level: 'silent' });
const STATE = {
  maxBytes: 64 << 20,
  maxAgeS: 3600,
  memoryBytes: 64 << 20,
  flushAfterMs: 60_000,
  minFreeMemoryBytes: 0,
  durability: 'sparing',
} as const;

/** A spool on a folder, with what it says is safe noted in the file of the last pictures. */
function openSpool(dir: string) {
  const last = new LastPictures({
    path: join(dir, 'last'),
    bootId: BOOT_ID,
    clock: systemClock,
    log,
  });
  const mark = last.read();
  const opened = Flash.open(spoolFolder(dir), DEVICE, log);
  const spool = new SpoolQueue({
    eraseUnread: () => undefined,
    config: STATE,
    flash: opened.flash,
    opened,
    clock: systemClock,
    bootId: BOOT_ID,
    floorUs: () => 0,
    usualUs: 500_000,
    mark: null,
    onSafe: (safe) => last.note(safe),
    log,
  });
  return { spool, last, before: laterMark(mark, spool.lastEnd, BOOT_ID) };
}

/** A camera with a gate that obeys the grants it is told, and all that it handed on. */
function start(dir: string, over: Overrides = {}) {
  const { gate, clock } = makeGate(dir);
  const got = { streams: [] as Stream[], segments: [] as SegmentHeader[], gaps: [] as Gap[] };
  const config = captureConfig({ type: 'test' }, { ...QUICK, ...over });
  const { spool, last, before } = openSpool(dir);
  const sink = consentedSink(spool, gate);
  const handOn: typeof sink = {
    stream: (stream) => {
      got.streams.push(stream);
      sink.stream(stream);
    },
    segment: (header, chunks) => {
      got.segments.push(header);
      sink.segment(header, chunks);
    },
    gap: (gap) => {
      got.gaps.push(gap);
      sink.gap(gap);
    },
  };
  const deps = { config: () => config, log, clock: mediaClock, random: () => 0, bootId: BOOT_ID };
  const capture = new Capture({ ...deps, sink: handOn });
  const isWanted = wantsSound(config.source, config.audio);
  const wanted = { mode: () => 'continuous' as const, onChange: () => () => undefined };
  const motion = { isRecording: () => true, onChange: () => () => undefined };
  const camera = new Camera({
    gate,
    capture,
    wanted,
    motion,
    wantsSound: () => isWanted,
    before,
    log,
  });
  const [stop, captured] = [new AbortController(), new AbortController()];
  const ended = Promise.all([
    spool.run(stop.signal, captured.signal),
    camera.run(stop.signal).finally(() => captured.abort()),
  ]).then(() => last.save());
  return {
    gate,
    /** Of the gate: the lease runs by it. */
    clock,
    ...got,
    stop: () => {
      stop.abort();
      return ended;
    },
  };
}
type Run = ReturnType<typeof start>;

const segmentsOf = (run: Run, at: number) =>
  run.segments.filter(({ streamId }) => streamId === run.streams[at]?.streamId);

async function recorded(run: Run, at: number): Promise<void> {
  await eventually(`a segment of stream ${at}`, () => segmentsOf(run, at).length > 0);
}

/** The gap fills all between two stretches of pictures. */
function fills(t: Test, gap: Gap | undefined, before?: SegmentHeader, after?: SegmentHeader): void {
  const fromUs = (before?.startMonoUs ?? 0) + (before?.durationUs ?? 0);
  t.equal(gap?.startMonoUs, fromUs);
  t.equal(fromUs + (gap?.durationUs ?? 0), after?.startMonoUs);
}

t.test('sound that is granted or withdrawn leaves a gap, pictures withdrawn none', async (t) => {
  const run = start(t.testdir());
  run.gate.accept(grant(1, ['video']));
  await recorded(run, 0);
  run.gate.accept(grant(2, ['video', 'audio'], {}, { video: 1 }));
  await recorded(run, 1);
  run.gate.accept(grant(3, ['video'], {}, { video: 1 }));
  await recorded(run, 2);
  run.gate.accept(grant(4, []));
  run.gate.accept(grant(5, ['video']));
  await recorded(run, 3);
  run.gate.accept(grant(6, []));
  await eventually('the cap is on', () => run.gate.permit() === null);
  run.gate.accept(grant(7, ['video']));
  await recorded(run, 4);
  await run.stop();
  t.same(
    run.streams.map(({ epoch, scopes }) => [epoch, scopes.length]),
    [
      [1, 1],
      [2, 2],
      [2, 1],
      [5, 1],
      [7, 1],
    ],
  );
  t.match(run.gaps, [
    { reason: 'capture_restarted', epoch: 1, code: null },
    { reason: 'capture_restarted', epoch: 2, code: null },
  ]);
  t.equal(run.gaps.length, 2);
  fills(t, run.gaps[0], segmentsOf(run, 0).at(-1), segmentsOf(run, 1)[0]);
  fills(t, run.gaps[1], segmentsOf(run, 1).at(-1), segmentsOf(run, 2)[0]);
});

t.test('sound that is granted to a camera without any restarts nothing', async (t) => {
  const run = start(t.testdir(), { audio: { source: 'none' } });
  run.gate.accept(grant(1, ['video']));
  await recorded(run, 0);
  const before = run.segments.length;
  run.gate.accept(grant(2, ['video', 'audio'], {}, { video: 1 }));
  await eventually('more of the same', () => run.segments.length >= before + 2);
  t.equal(run.streams.length, 1);
  run.gate.accept(grant(3, ['audio'], {}, { audio: 2 }));
  const atWithdrawal = run.segments.length;
  await run.stop();
  t.equal(run.segments.length, atWithdrawal, 'and the first permit is still revoked');
});

t.test('a stop of the agent under consent is a gap once it runs again', async (t) => {
  const dir = t.testdir();
  const first = start(dir);
  first.gate.accept(grant(1, ['video']));
  await recorded(first, 0);
  await first.stop();
  const second = start(dir);
  await recorded(second, 0);
  await second.stop();
  t.match(second.gaps, [{ reason: 'agent_stopped', epoch: 1, bootId: BOOT_ID }]);
  fills(t, second.gaps[0], first.segments.at(-1), second.segments[0]);
  const third = start(dir);
  third.gate.accept(grant(2, []));
  third.gate.accept(grant(3, ['video']));
  const isOld = third.streams.length;
  await eventually('a segment', () => third.segments.some(({ epoch }) => epoch === 3));
  await third.stop();
  t.equal(isOld, 0);
  t.strictSame(third.gaps, [], 'a withdrawal in between is none');
});

/** The lease runs out as the gate sees it. */
function leaseEnds(t: Test, { gate, clock }: Run): void {
  clock.advance(4000);
  t.equal(gate.permit(), null);
}

t.test(
  'a lease that ran out is a gap when consent lasted, and none when it was withdrawn',
  async (t) => {
    const dir = t.testdir();
    const run = start(dir);
    run.gate.accept(grant(1, ['video']));
    await recorded(run, 0);
    leaseEnds(t, run);
    run.gate.accept(grant(2, ['video', 'live'], {}, { video: 1 }));
    await recorded(run, 1);
    t.match(run.gaps, [{ reason: 'lease_expired', epoch: 1, code: null, bootId: BOOT_ID }]);
    fills(t, run.gaps[0], segmentsOf(run, 0).at(-1), segmentsOf(run, 1)[0]);
    leaseEnds(t, run);
    run.gate.accept(grant(3, []));
    run.gate.accept(grant(4, ['video']));
    await recorded(run, 2);
    t.equal(run.gaps.length, 1);
    leaseEnds(t, run);
    await run.stop();
    t.match(
      run.gaps.slice(1),
      [{ reason: 'lease_expired', epoch: 4 }],
      'and up to the end of the agent',
    );
    const next = start(dir);
    await eventually('the agent waits', () => next.gate.permit() === null);
    next.gate.accept(grant(5, ['video', 'live'], {}, { video: 4 }));
    await recorded(next, 0);
    await next.stop();
    t.match(next.gaps, [
      { reason: 'agent_stopped', startMonoUs: endOf(run.gaps.at(-1)) },
      { reason: 'lease_expired', startMonoUs: endOf(next.gaps[0]) },
    ]);
    t.equal(endOf(next.gaps[1]), next.segments[0]?.startMonoUs);
  },
);

const endOf = (gap: Gap | undefined) => (gap?.startMonoUs ?? 0) + (gap?.durationUs ?? 0);
