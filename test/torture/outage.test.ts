// A long outage with a spool that is full for most of it, the agent killed and stopped meanwhile: the
// oldest go first, the Gap is exact to the GOP, nothing else is missing, and what waited is caught up in
// order behind what happens. Two hours of 4-second segments are these minutes of short ones.
import { setTimeout as sleep } from 'node:timers/promises';
import t, { type Test } from 'tap';
import type { Gap, Segment } from '../e2e/house.ts';
import { House } from '../e2e/house.ts';
import { AGENT, eventually, FILE_TIMEOUT_MS, finished, node } from '../e2e/processes.ts';
import { seeded } from '../seeded.ts';
import {
  type Evidence,
  endUs,
  faultsOf,
  figuresOf,
  idOf,
  inOrder,
  totalsOf,
  unionUs,
} from './audit.ts';
import { nowUs, WatchedCamera } from './camera.ts';
import { FolderWatch } from './folder-watch.ts';
import { FOOTAGE_BYTES_PER_S, GOP_MS, makeFootage } from './footage.ts';
import { decodingFaults } from './media.ts';
import { printTable } from './table.ts';

const IS_LONG = process.env.TORTURE === '1';
/** 7,200 s at 20 times. */
const OUTAGE_MS = IS_LONG ? 360_000 : 18_000;
const FULL_AFTER = 0.22;
const FLUSH_AFTER_MS = 1000;
const WINDOW = 4;
/** The line carries this many times what is recorded. */
const LINE_FACTOR = 4;
const MAX_BYTES = Math.max(
  1 << 20,
  Math.round((FOOTAGE_BYTES_PER_S * OUTAGE_MS * FULL_AFTER) / 1000),
);
/** Two segments and what the transfer of one takes, on a loaded machine. */
const LIVE_WITHIN_MS = 2 * GOP_MS + 2000;
const MAY_LOSE_US = (FLUSH_AFTER_MS + 2 * GOP_MS) * 1000 + 2e6;
/** The wall clock is read in milliseconds, once for each stream. */
const EXACT_US = 5000;

t.setTimeout(FILE_TIMEOUT_MS + 2 * OUTAGE_MS);
const random = seeded(t);
const house = await House.open(t);
const source = await makeFootage(house.folder);
const camera = await WatchedCamera.add(t, house, 'camera', {
  source,
  audio: 'none',
  segment: { durationMs: GOP_MS },
  spool: { maxBytes: MAX_BYTES, flushAfterMs: FLUSH_AFTER_MS },
  uplink: {
    window: WINDOW,
    maxKbps: (LINE_FACTOR * FOOTAGE_BYTES_PER_S * 8) / 1000,
    drainTimeoutMs: 500,
  },
});
/** The segments on flash at the time of each end of the agent. */
const spooled: { readonly when: string; readonly segments: readonly Listed[] }[] = [];
let cutAtUs = 0;
let mendedAtUs = 0;
let evidence: Evidence;

interface Listed {
  readonly kind: string;
  /** `stream/sequence` of a segment. */
  readonly piece: string;
  readonly startAtUs: number;
  readonly durationUs: number;
}

/** What `lenscap-agent spool list` says of the spool of an agent that has ended. */
async function listSegments(): Promise<readonly Listed[]> {
  const verb = ['spool', 'list', '--config', camera.configFile, '--json'];
  const { code, out, err } = await finished(node(AGENT, ...verb));
  if (code !== 0) throw new Error(`spool list: ${code} ${err}`);
  const { records }: { records: readonly Listed[] } = JSON.parse(out);
  return records.filter(({ kind }) => kind === 'segment');
}

async function restart(signal: NodeJS.Signals): Promise<void> {
  await camera.stop(signal);
  spooled.push({ when: signal, segments: await listSegments() });
  camera.start();
}

const fullGaps = (): Gap[] => evidence.gaps.filter(({ reason }) => reason === 'spool_full');

/** What waited for too long to be live when the line was mended. */
const caughtUp = (): Segment[] =>
  inOrder(evidence.segments).filter(
    (one) => receivedUs(one) > mendedAtUs && endUs(one) < mendedAtUs - FLUSH_AFTER_MS * 1000,
  );

function receivedUs({ receivedAt }: Segment): number {
  return Date.parse(receivedAt) * 1000;
}

t.test(`an outage of ${OUTAGE_MS / 1000} s with a kill and a stop in it`, async (t) => {
  await camera.grant('video');
  camera.start();
  await camera.recordsOn();
  const watch = new FolderWatch(camera.spoolFolder);
  const watching = watch.run();
  cutAtUs = nowUs();
  camera.cut();
  await sleep(OUTAGE_MS * (0.25 + 0.15 * random()));
  await restart('SIGKILL');
  await sleep(OUTAGE_MS * (0.25 + 0.1 * random()));
  await restart('SIGTERM');
  await sleep(Math.max(0, OUTAGE_MS - (nowUs() - cutAtUs) / 1000));
  mendedAtUs = nowUs();
  camera.mend();
  await eventually('it has caught up', () => camera.segmentsOnFlash() === 0, OUTAGE_MS + 60_000);
  await camera.recordsOn();
  watch.stop();
  await watching;
  t.equal(await camera.stop('SIGTERM'), 0);
  t.ok(watch.mostBytes <= MAX_BYTES, `${watch.mostBytes} of ${MAX_BYTES} bytes at most`);
  t.ok(watch.mostBytes > MAX_BYTES * 0.8, 'and it was full');
  t.comment(`looked ${watch.looks} times`);
});

t.test(
  'acknowledged is stored, once, with consent, and every second is accounted for',
  async (t) => {
    evidence = await camera.evidence(MAY_LOSE_US);
    t.strictSame(faultsOf(evidence), []);
    printTable(t, [{ ...figuresOf(evidence), 'caught up': caughtUp().length }]);
    printTable(t, [totalsOf(evidence.account)]);
  },
);

t.test('the oldest went first, and their Gap is exact to the GOP', (t) => {
  // One that was stored while its acknowledgement was cut off is covered as well.
  const before = inOrder(evidence.segments).findLast(
    (one) => receivedUs(one) <= cutAtUs && evidence.acknowledged.has(idOf(one)),
  );
  const [firstKept] = caughtUp();
  if (before === undefined || firstKept === undefined) throw new Error('nothing was caught up');
  const gaps = inOrder(fullGaps());
  const last = gaps.at(-1);
  t.ok(gaps[0] && last, `${gaps.length} Gaps`);
  near(t, gaps[0]?.startAtUs, endUs(before), 'from the last one stored before');
  // What was kept may begin right after the agent was started anew: then the Gap of its absence is next.
  const next = inOrder(evidence.gaps).find(
    (gap) => last && gap.startAtUs >= endUs(last) - EXACT_US,
  );
  const wanted = Math.min(firstKept.startAtUs, next?.startAtUs ?? firstKept.startAtUs);
  near(t, last && endUs(last), wanted, 'to the first one that was kept');
  const inside = evidence.gaps.filter((gap) => endUs(gap) <= firstKept.startAtUs + EXACT_US);
  const missingUs = firstKept.startAtUs - endUs(before);
  near(t, unionUs(inside, endUs(before), firstKept.startAtUs), missingUs, 'without a hole');
  t.end();
});

t.test('what was on flash at a kill or a stop is stored, or given up for room with a Gap', (t) => {
  const stored = new Set(evidence.segments.map(idOf));
  const isCovered = (one: Listed) =>
    unionUs(fullGaps(), one.startAtUs, endUs(one)) >= one.durationUs - EXACT_US;
  for (const { when, segments } of spooled) {
    const kept = segments.filter(({ piece }) => stored.has(piece));
    const missing = segments.filter((one) => !stored.has(one.piece) && !isCovered(one));
    t.strictSame(missing, [], `${segments.length} on flash at ${when}, ${kept.length} kept`);
    t.ok(segments.length > 0);
  }
  t.end();
});

t.test('what waited came in order, behind what happened', (t) => {
  const backlog = caughtUp();
  const late = backlog.filter((one, i) => {
    const later = backlog[i + WINDOW];
    return later !== undefined && receivedUs(one) > receivedUs(later);
  });
  t.strictSame(late.map(idOf), [], `${backlog.length} in order`);
  const caughtUpUs = Math.max(...backlog.map(receivedUs));
  const meanwhile = evidence.segments.filter(
    (one) => one.startAtUs > mendedAtUs && endUs(one) < caughtUpUs,
  );
  const delaysMs = meanwhile.map((one) => (receivedUs(one) - endUs(one)) / 1000);
  const worstMs = Math.max(0, ...delaysMs);
  t.ok(worstMs <= LIVE_WITHIN_MS, `${meanwhile.length} meanwhile, within ${worstMs.toFixed()} ms`);
  t.comment(`caught up in ${((caughtUpUs - mendedAtUs) / 1e6).toFixed(1)} s`);
  t.end();
});

t.test('what is stored is whole, and decodes', async (t) => {
  t.match(await house.verify(), { code: 0, faults: { length: 0 } });
  t.equal(await decodingFaults(house, camera.id, false), '');
});

function near(t: Test, found: number | undefined, wanted: number, what: string): void {
  t.ok(found !== undefined && Math.abs(found - wanted) <= EXACT_US, `${what}: ${found} ${wanted}`);
}
