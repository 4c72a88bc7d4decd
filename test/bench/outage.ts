// A long outage of the server under a camera that goes on recording: what it costs the agent in CPU and
// memory, and how fast what waited is caught up while recording goes on.
import { setTimeout as sleep } from 'node:timers/promises';
import { checkAgentConfig } from '../../proto/agent-config.ts';
import {
  absolute,
  atLeast,
  type Bench,
  compared,
  type Figure,
  median,
  slopePerMinute,
} from './figures.ts';
import type { StoredSegment } from './lenscap.ts';
import { cpuSeconds, type Memory, memoryOf, type Started } from './processes.ts';
import { makeClip, Scene, spooled, until } from './scene.ts';

const SAMPLE_MS = 1000;
/** Until compiled code and buffers of a fresh agent have their size. */
const SETTLE_MS = 30_000;
/** Beyond the silence after which what waits moves to flash. */
const FLUSHED_MS = 15_000;
const MEMORY_BEYOND_MB = 30;
const GROWTH_MB = 5;
const TIMES_REAL_TIME = 20;
const OFFLINE_RATIO = 1.25;

interface Cost {
  readonly cpuShare: number;
  readonly memory: readonly Memory[];
}

export async function outageFigures(bench: Bench): Promise<Figure[]> {
  const [onlineS, outageS] = bench.isQuick ? [30, 180] : [120, 600];
  const scene = await Scene.open(bench, 'outage');
  try {
    const path = await makeClip(scene.folder);
    const settings = { source: { type: 'file', path, loop: true }, audio: { source: 'none' } };
    const agent = await scene.record(settings);
    await sleep(SETTLE_MS);
    const before = await costOf(agent, onlineS);
    await scene.cut();
    await sleep(FLUSHED_MS);
    const offline = await costOf(agent, outageS - FLUSHED_MS / 1000);
    const returned = await catchUp(scene, agent);
    const after = await costOf(agent, onlineS);
    const segments = await scene.server.segments(scene.deviceId);
    return [
      cpuFigure(bench, offline, [before, after]),
      ...catchUpFigures(bench, segments, returned),
      ...memoryFigures(bench, before, offline),
    ];
  } finally {
    await scene.close();
  }
}

async function costOf({ pid }: Started, seconds: number): Promise<Cost> {
  const startMs = performance.now();
  const before = cpuSeconds(pid);
  const memory: Memory[] = [];
  while (performance.now() - startMs < seconds * 1000) {
    memory.push(memoryOf(pid));
    await sleep(SAMPLE_MS);
  }
  const cpu = cpuSeconds(pid) - before;
  return { cpuShare: (100 * cpu) / ((performance.now() - startMs) / 1000), memory };
}

function cpuFigure(bench: Bench, offline: Cost, online: readonly Cost[]): Figure {
  const shares = online.map(({ cpuShare }) => cpuShare);
  bench.print(
    `CPU of agent and capture child, % of a core: online ${shares.map((share) => share.toFixed(2)).join(', ')}, offline ${offline.cpuShare.toFixed(2)}`,
  );
  const mean = shares.reduce((sum, share) => sum + share, 0) / shares.length;
  const name = 'CPU of the agent offline, against online';
  return compared(name, '% of a core', offline.cpuShare, mean, OFFLINE_RATIO);
}

/** Wall times, milliseconds. */
interface Returned {
  readonly connectedMs: number;
  /** Nothing waits on flash any more. */
  readonly drainedMs: number;
}

async function catchUp(scene: Scene, agent: Started): Promise<Returned> {
  const connections = () =>
    agent.stderr.filter((line) => line.includes('"msg":"connected"')).length;
  const seen = connections();
  await scene.mend();
  await until('the agent was connected', () => connections() > seen, 5);
  const connectedMs = Date.now();
  await until('it had caught up', () => spooled(scene.stateDir) === 0, 20);
  return { connectedMs, drainedMs: Date.now() };
}

function catchUpFigures(
  bench: Bench,
  segments: readonly StoredSegment[],
  { connectedMs, drainedMs }: Returned,
): Figure[] {
  const segmentMs = checkAgentConfig(
    { identity: 'x', stateDir: 'x', source: { type: 'test' } },
    'the bench',
  ).segment.durationMs;
  const late = segments.filter((one) => one.endMs < connectedMs && one.receivedMs >= connectedMs);
  const footageS = late.reduce((sum, { startMs, endMs }) => sum + endMs - startMs, 0) / 1000;
  const tookS = (Math.max(...late.map(({ receivedMs }) => receivedMs)) - connectedMs) / 1000;
  const live = segments.filter(
    ({ endMs }) => endMs >= connectedMs && endMs < drainedMs + 2 * segmentMs,
  );
  const delaysS = live.map(({ endMs, receivedMs }) => (receivedMs - endMs) / 1000);
  bench.print(
    `${late.length} segments, ${footageS.toFixed(0)} s of footage caught up in ${tookS.toFixed(2)} s; ${live.length} live ones meanwhile, stored ${delaysS.map((delay) => delay.toFixed(2)).join(' ')} s after their end`,
  );
  return [
    atLeast('footage caught up after an outage', 'x real time', footageS / tookS, TIMES_REAL_TIME),
    absolute(
      'live segments meanwhile: longest time until stored',
      's',
      Math.max(...delaysS),
      (2 * segmentMs) / 1000,
    ),
    absolute('segments missing after the outage', '', holesIn(segments), 0),
  ];
}

/** Numbers that are missing between the first and the last of each stream. */
function holesIn(segments: readonly StoredSegment[]): number {
  const byStream = Map.groupBy(segments, ({ streamId }) => streamId);
  return [...byStream.values()].reduce((sum, stream) => {
    const numbers = stream.map(({ sequence }) => sequence);
    return sum + Math.max(...numbers) - Math.min(...numbers) + 1 - numbers.length;
  }, 0);
}

function memoryFigures(bench: Bench, before: Cost, offline: Cost): Figure[] {
  const minutes = Math.round(offline.memory.length / 60);
  const { memoryBytes } = checkAgentConfig(
    { identity: 'x', stateDir: 'x', source: { type: 'test' } },
    'the bench',
  ).spool;
  const pss = offline.memory.map(({ pssMb }) => pssMb);
  const rss = offline.memory.map(({ rssMb }) => rssMb);
  const start = median(before.memory.map(({ pssMb }) => pssMb));
  const fifth = Math.floor(pss.length / 5);
  const growth = median(pss.slice(-fifth)) - median(pss.slice(fifth, 2 * fifth));
  bench.print(
    `PSS at the start ${start.toFixed(1)} MB, in the outage ${Math.min(...pss).toFixed(1)} to ${Math.max(...pss).toFixed(1)} MB (RSS ${Math.max(...rss).toFixed(1)}), ${slopePerMinute(pss).toFixed(2)} MB/min`,
  );
  return [
    absolute(
      `memory of the agent beyond its start, ${minutes} min of outage (PSS)`,
      'MB',
      Math.max(...pss) - start,
      memoryBytes / 2 ** 20 + MEMORY_BEYOND_MB,
    ),
    absolute(`growth of the agent's memory in the outage (PSS)`, 'MB', growth, GROWTH_MB),
  ];
}
