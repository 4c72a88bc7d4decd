// A fleet that comes back all at once: after an orderly restart of the server, after its sudden death,
// and after a break of the network while the server and its cameras go on. Every device waits by the
// agent's own rule. Nobody with a good certificate may be refused, and recordings go on.
import { setTimeout as sleep } from 'node:timers/promises';
import { PROCESSES } from './connections.ts';
import { absolute, type Bench, compared, type Figure, percentile } from './figures.ts';
import { type FleetData, fleetSpec, makeFleet } from './fleet.ts';
import { Server } from './lenscap.ts';
import { Fleet } from './load/fleet-load.ts';
import type { Acked } from './load/fleet-messages.ts';
import { cpuSeconds } from './processes.ts';

/** Ten cameras, about two megabits a second each. */
const RECORDING = { segmentBytes: 64 << 10, everyMs: 250, window: 2 };
const CONNECT_TIMEOUT_MS = 180_000;
const BACK_LIMIT_S = 60;
/** How long to wait before it is given up. */
const PATIENCE_MS = 180_000;
const CALM_MS = 10_000;
/** For what the cameras have to send afterwards. */
const AFTERMATH_MS = 5_000;

const BREAKS = ['SIGTERM', 'SIGKILL', 'network'] as const;
type Break = (typeof BREAKS)[number];

interface Storm {
  readonly kind: Break;
  readonly startMs: number;
  /** From here on nobody who connects may be refused. */
  readonly serverMs: number;
  readonly backMs: number;
  readonly refused: number;
  /** Attempts that the device gave up, since the server took too long. */
  readonly late: number;
  /** Of the server, from its start or from the break until all are back. */
  readonly cpuS: number;
  readonly before: readonly Acked[];
  readonly during: readonly Acked[];
  readonly longestStallS: number;
}

/** Everything that is connected in one round. */
interface Scene {
  readonly data: FleetData;
  server: Server;
  readonly idle: Fleet;
  readonly cameras: Fleet;
}

/** Times to be back, good devices refused, and how ingest fares meanwhile. */
export async function reconnectFigures(bench: Bench): Promise<Figure[]> {
  const data = await makeFleet(bench);
  const server = await Server.start(data.folder);
  const epochs: number[] = [];
  for (const { deviceId } of data.cameras) epochs.push(await server.grant(deviceId));
  const cameras = new Fleet(fleetSpec(data, data.cameras, { ...RECORDING, epochs }), 1);
  const idle = new Fleet(fleetSpec(data, data.idle), PROCESSES);
  const scene: Scene = { data, server, idle, cameras };
  const storms: Storm[] = [];
  try {
    await cameras.whole(0, CONNECT_TIMEOUT_MS);
    await idle.whole(0, CONNECT_TIMEOUT_MS);
    for (const kind of BREAKS) {
      storms.push(await storm(scene, kind));
      describe(bench, scene, storms.at(-1));
    }
  } finally {
    await Promise.all([idle.end(), cameras.end()]);
    await scene.server.stop();
  }
  const untaken = cameras.acked.filter(({ isRefused }) => isRefused).length;
  return [
    ...storms.flatMap((one) => figuresOf(one, data.idle.length)),
    absolute('segments refused meanwhile', '', untaken, 0),
  ];
}

async function storm(scene: Scene, kind: Break): Promise<Storm> {
  const { idle, cameras } = scene;
  // As if everything had been connected for long.
  for (const fleet of [idle, cameras]) fleet.settle();
  await sleep(CALM_MS);
  const losses = idle.losses + idle.size;
  const cameraLosses = cameras.losses + (kind === 'network' ? 0 : cameras.size);
  const cpuBeforeS = kind === 'network' ? cpuSeconds(scene.server.started.pid) : 0;
  const startMs = Date.now();
  const serverMs = await breakBy(scene, kind);
  await idle.whole(losses, PATIENCE_MS);
  await cameras.whole(cameraLosses, PATIENCE_MS);
  const cpuS = cpuSeconds(scene.server.started.pid) - cpuBeforeS;
  const backMs = Math.max(idle.lastUpAtMs, kind === 'network' ? 0 : cameras.lastUpAtMs);
  await sleep(AFTERMATH_MS);
  const failures = [...idle.refusals, ...cameras.refusals].filter(({ atMs }) => atMs >= serverMs);
  const acked = (fromMs: number, toMs: number): Acked[] =>
    cameras.acked.filter(({ atMs }) => atMs >= fromMs && atMs < toMs);
  return {
    kind,
    startMs,
    serverMs,
    backMs,
    refused: failures.filter(({ isLate }) => !isLate).length,
    late: failures.filter(({ isLate }) => isLate).length,
    cpuS,
    before: acked(startMs - CALM_MS, startMs),
    during: acked(serverMs, backMs),
    longestStallS: longestStallMs(acked(startMs - CALM_MS, backMs + AFTERMATH_MS)) / 1000,
  };
}

/** Returns from when on somebody who connects has to be let in. */
async function breakBy(scene: Scene, kind: Break): Promise<number> {
  const fromMs = Date.now();
  if (kind === 'network') {
    scene.idle.cut();
    return fromMs;
  }
  if (kind === 'SIGTERM') await scene.server.stop();
  else await scene.server.kill();
  const goneMs = Date.now();
  scene.server = await Server.start(scene.data.folder);
  return goneMs;
}

function longestStallMs(acked: readonly Acked[]): number {
  return acked.reduce((longest, { atMs }, i) => {
    const beforeMs = acked[i - 1]?.atMs ?? atMs;
    return Math.max(longest, atMs - beforeMs);
  }, 0);
}

/** Acknowledged segments a second, from the first one on. */
function rateOf(acked: readonly Acked[], endMs: number): number {
  const [first] = acked;
  return first ? ((acked.length - 1) * 1000) / (endMs - first.atMs) : 0;
}

const p99 = (acked: readonly Acked[]): number =>
  percentile(
    acked.map(({ latencyMs }) => latencyMs),
    0.99,
  );

const NAMES: Readonly<Record<Break, string>> = {
  SIGTERM: 'a restart',
  SIGKILL: 'a sudden death',
  network: 'a break of the network',
};

function figuresOf({ kind, ...taken }: Storm, devices: number): Figure[] {
  const { startMs, backMs, refused, late, before, during, longestStallS } = taken;
  const after = `after ${NAMES[kind]}`;
  return [
    absolute(`${devices} devices are back ${after}`, 's', (backMs - startMs) / 1000, BACK_LIMIT_S),
    absolute(`good devices refused ${after}`, '', refused, 0),
    absolute(`attempts that took too long ${after}`, '', late),
    compared(`ingest ${after}`, 'segments/s', rateOf(during, backMs), rateOf(before, startMs)),
    compared(`PUBACK p99 ${after}`, 'ms', p99(during), p99(before)),
    absolute(`longest stall of ingest ${after}`, 's', longestStallS),
  ];
}

function describe(bench: Bench, { idle, cameras }: Scene, storm: Storm | undefined): void {
  if (!storm) return;
  const { kind, startMs, serverMs, backMs, cpuS, during } = storm;
  const seconds = (ms: number): string => (ms / 1000).toFixed(1);
  bench.print(
    `  ${kind}: down after ${seconds(serverMs - startMs)} s, all back after ${seconds(backMs - startMs)} s ` +
      `and ${cpuS.toFixed(1)} CPU s of the server; ` +
      `refused ${idle.reasons(serverMs)} and ${cameras.reasons(serverMs)} of the cameras; ` +
      `${during.length} segments stored meanwhile, the rate since the first ${rateOf(during, backMs).toFixed(0)}/s`,
  );
}
