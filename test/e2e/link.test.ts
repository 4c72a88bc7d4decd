// Bad lines between a real camera and a real server: thin, long, silent, breaking. Whatever the line
// does, nothing is lost, nothing is stored twice, and what happens now is stored within its bar while
// what waited follows. TORTURE=1 takes minutes where the short version takes seconds.
import { spawnSync } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { seeded } from '../seeded.ts';
import type { AgentOptions } from './agent.ts';
import { BehindProxy, latenessMs } from './behind-proxy.ts';
import { storm } from './fault-proxy.ts';
import { type Added, House, type Segment } from './house.ts';
import { eventually, FILE_TIMEOUT_MS } from './processes.ts';

const IS_LONG = process.env.TORTURE === '1';
t.setTimeout(IS_LONG ? 3_600_000 : FILE_TIMEOUT_MS);
t.jobs = 5;
const random = seeded(t);
const house = await House.open(t);
// One after another: the operator's verbs lock each other out.
const thin = await house.addDevice('thin');
const far = await house.addDevice('far');
const hole = await house.addDevice('hole');
const stormy = await house.addDevice('stormy');

const SEGMENT_MS = 1000;
/** One machine runs everything: what its processes wait for each other is not the line's. */
const SLACK_MS = 1500;
/** A camera whose pictures fill the rate. */
const LARGE = { width: 1280, height: 720, frameRate: 30 } as const;
const DRAIN = { drainTimeoutMs: 60_000 };

function camera(t: Test, device: Added, options: AgentOptions = {}): Promise<BehindProxy> {
  return BehindProxy.start(t, house, device, {
    ...options,
    spool: { flushAfterMs: 2000, ...options.spool },
    uplink: { ...DRAIN, ...options.uplink },
  });
}

/** Waits until something that began after this moment is stored; returns that something's beginning. */
async function isLiveAgain(on: BehindProxy, deadlineMs: number): Promise<number> {
  const fromMs = Date.now();
  let startMs = 0;
  await eventually(
    'it is live again',
    async () => {
      const { segments } = await house.stored(on.device.id);
      startMs = Math.max(...segments.map(({ startAtUs }) => startAtUs / 1000));
      return startMs > fromMs;
    },
    deadlineMs,
    () => on.agent.tail(),
  );
  return startMs;
}

/** What began after this moment was stored in twice a segment and the time of its own transfer. */
function keepsUp(
  t: Test,
  segments: readonly Segment[],
  fromMs: number,
  { bitsPerS = 0, delayMs = 0 },
): void {
  const live = latenessMs(segments, fromMs);
  t.ok(live.length >= 3, `${live.length} segments`);
  const over = live.map(({ lateMs, bytes }) => {
    const transferMs = delayMs + (bitsPerS === 0 ? 0 : (bytes * 8000) / bitsPerS);
    return Math.round(lateMs - 2 * SEGMENT_MS - transferMs);
  });
  const worst = Math.max(...over);
  t.comment(`live: worst is ${worst} ms over twice a segment and its transfer`);
  t.ok(worst < SLACK_MS, `${worst} ms over: ${over.join(' ')}`);
}

/** How many were stored after something that began later. */
function overtaken(segments: readonly Segment[]): number {
  let newest = Number.NEGATIVE_INFINITY;
  let count = 0;
  for (const { startAtUs } of segments.toSorted((a, b) =>
    a.receivedAt.localeCompare(b.receivedAt),
  )) {
    if (startAtUs < newest) count += 1;
    newest = Math.max(newest, startAtUs);
  }
  return count;
}

t.test('segments that take far longer than they last get through a thin line', async (t) => {
  // Two megabytes take 80 s of such a line, and so does the one behind; short: some seconds.
  const video = { bitrateKbps: IS_LONG ? 1000 : 800, ...(IS_LONG ? LARGE : {}) };
  const segment = { durationMs: IS_LONG ? 45_000 : 2000 };
  const on = await camera(t, thin, { video, segment });
  on.proxy.set({ bitsPerS: 200_000 });
  const connections = on.proxy.connections;
  await on.stores(IS_LONG ? 3 : 2, IS_LONG ? 1_200_000 : 60_000);
  t.equal(on.proxy.connections, connections, 'the connection was not given up');
  const segments = await on.end(t);
  t.comment(`segments of ${segments.map(({ bytes }) => Math.round(bytes / 1000)).join(' ')} kB`);
});

t.test('a way of two seconds there and back holds nothing up', async (t) => {
  const on = await camera(t, far);
  await on.proxy.blackHole(IS_LONG ? 30_000 : 3000);
  const line = { delayMs: 1000 };
  on.proxy.set(line);
  const fromMs = await isLiveAgain(on, 60_000);
  await sleep(IS_LONG ? 120_000 : 8000);
  const untilMs = Date.now();
  const segments = await on.end(t);
  keepsUp(t, before(segments, untilMs - 4000), fromMs, line);
});

t.test('black holes delay, and what happens now goes first after them', async (t) => {
  const limits = IS_LONG ? {} : { ackTimeoutMs: 1000, keepaliveS: 5 };
  // Most of what a hole holds up is backlog after it.
  const on = await camera(t, hole, { uplink: limits, spool: { flushAfterMs: 1000 } });
  const line = { bitsPerS: 800_000 };
  on.proxy.set(line);
  let fromMs = 0;
  for (let round = 0; round < (IS_LONG ? 5 : 2); round += 1) {
    await on.proxy.blackHole(IS_LONG ? 30_000 : 4500);
    fromMs = await isLiveAgain(on, 90_000);
    await sleep(IS_LONG ? 30_000 : 4000);
  }
  const untilMs = Date.now();
  const segments = await on.end(t);
  keepsUp(t, before(segments, untilMs), fromMs, line);
  const count = overtaken(segments);
  t.comment(`${count} were overtaken by newer ones`);
  // A short hole leaves next to nothing to overtake.
  if (IS_LONG) t.ok(count > 0);
});

t.test('resets, cuts and half-open connections at random lose nothing', async (t) => {
  const on = await camera(t, stormy, { uplink: { ackTimeoutMs: 1000 } });
  on.proxy.set({ bitsPerS: 1_000_000 });
  const end = AbortSignal.timeout(IS_LONG ? 600_000 : 9000);
  const options = { everyMs: 900, blackHoleMs: 1500, withinBytes: 60_000 };
  const kinds = ['reset', 'cut', 'cut', 'half_open', 'black_hole'] as const;
  const done = await storm(on.proxy, random, { ...options, kinds }, end);
  t.comment(`${done.join(' ')}: ${on.proxy.broken} times broken`);
  t.ok(on.proxy.connections > 2, `${on.proxy.connections} connections`);
  await on.end(t);
});

/** By what packets can be lost here, in a network of the test's own; undefined where by nothing. */
function lossMeans(): string | undefined {
  if (process.getuid?.() !== 0) return undefined;
  const works = (command: string) =>
    spawnSync('unshare', ['-n', 'sh', '-c', command], { stdio: 'ignore' }).status === 0;
  const match = '-m statistic --mode random --probability 0.5';
  if (works(`iptables -A INPUT ${match} -j DROP`)) return 'iptables';
  return works('tc qdisc add dev lo root tbf rate 1mbit burst 16kbit latency 20ms')
    ? 'tc'
    : undefined;
}

const means = lossMeans();
if (means === undefined)
  t.comment('packets cannot be lost here: the cuts at random above stand in for that');
else
  t.spawn(
    'unshare',
    [
      ...['-n', 'sh', '-c', 'ip link set lo up && exec "$@"', 'sh'],
      ...[process.execPath, new URL('lossy-line.ts', import.meta.url).pathname, means],
    ],
    {},
    `a line that loses packets, by ${means}`,
  ).catch((error: unknown) => t.fail(String(error)));

function before(segments: readonly Segment[], untilMs: number): Segment[] {
  return segments.filter(({ startAtUs, durationUs }) => (startAtUs + durationUs) / 1000 < untilMs);
}
