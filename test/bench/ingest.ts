// Durable ingest against Mosquitto with a subscriber that stores, and against the floor. Rounds
// alternate, so that what else the machine does falls on all of them alike.
import { cpSync, existsSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { absolute, type Bench, compared, type Figure, median, spread } from './figures.ts';
import { floorRound } from './floor.ts';
import { addDevices, makeData, readBundle, Server, verify } from './lenscap.ts';
import { Load } from './load/load.ts';
import type { LoadResult } from './load/messages.ts';
import { type BaselineRound, mosquittoRound } from './mosquitto.ts';
import { buildNative } from './native.ts';
import { cpuSeconds, peakRssMb } from './processes.ts';

export interface IngestSize {
  readonly connections: number;
  readonly window: number;
  readonly segmentBytes: number;
  readonly perDevice: number;
}

export const CONNECTIONS = 10;
const WINDOW = 2;
/** For what follows the last acknowledgement, such as a checkpoint of the index. */
const AFTERMATH_MS = 1000;
const GB = 1e9;

interface OurRound {
  readonly cpuSPerGb: number;
  readonly lost: number;
  readonly peakRssMb: number;
  readonly loopDelayP99Ms: number;
  readonly load: LoadResult;
}

/** A data folder with ten devices, to be copied for each round. */
export async function makeTemplate(bench: Bench): Promise<string> {
  const folder = join(bench.folder, 'template');
  if (existsSync(folder)) return folder;
  mkdirSync(folder, { recursive: true });
  await makeData(folder);
  // The load connects to the port of its round, whatever the bundle says.
  await addDevices(folder, CONNECTIONS, 8883);
  return folder;
}

function sizeOf(segmentBytes: number, bytes: number): IngestSize {
  const perDevice = Math.ceil(bytes / segmentBytes / CONNECTIONS);
  return { connections: CONNECTIONS, window: WINDOW, segmentBytes, perDevice };
}

export async function ingestFigures(bench: Bench): Promise<Figure[]> {
  const native = await buildNative();
  const template = await makeTemplate(bench);
  const take = async (segmentBytes: number, bytes: number, rounds: number) => {
    const size = sizeOf(segmentBytes, bytes);
    const ours: OurRound[] = [];
    const baseline: BaselineRound[] = [];
    const floor: number[] = [];
    for (let round = 0; round < rounds; round++) {
      ours.push(await ourRound(bench, template, size, round === rounds - 1));
      baseline.push(await mosquittoRound(native, bench.folder, size));
      floor.push(await floorRound(native, bench.folder, size));
      describe(bench, size, ours.at(-1), baseline.at(-1), floor.at(-1));
    }
    return { ours, baseline, floor };
  };
  const large = await take(512 << 10, bench.isQuick ? 0.5 * GB : 1.6 * GB, bench.isQuick ? 1 : 3);
  const small = await take(64 << 10, bench.isQuick ? 0.2 * GB : 0.5 * GB, bench.isQuick ? 1 : 2);
  return [...largeFigures(bench, large), ...smallFigures(bench, small)];
}

interface Taken {
  readonly ours: readonly OurRound[];
  readonly baseline: readonly BaselineRound[];
  readonly floor: readonly number[];
}

function costFigures(bench: Bench, name: string, taken: Taken, limit?: number): Figure[] {
  const { ours, baseline, floor } = taken;
  const [our, their] = [ours, baseline].map((rounds) => rounds.map(({ cpuSPerGb }) => cpuSPerGb));
  bench.print(
    `${name}: ours ${spread(our ?? [])} | baseline ${spread(their ?? [])} | floor ${spread(floor)} CPU s/GB`,
  );
  const ack = (share: 'p50Ms' | 'p99Ms'): [number, number] => [
    median(ours.map(({ load }) => load[share])),
    median(baseline.map(({ load }) => load[share])),
  ];
  return [
    compared(`durable ingest ${name}`, 'CPU s/GB', median(our ?? []), median(their ?? []), limit),
    compared(
      `durable ingest ${name}, against the floor`,
      'CPU s/GB',
      median(our ?? []),
      median(floor),
    ),
    compared(`PUBACK p50 ${name}`, 'ms', ...ack('p50Ms')),
    compared(`PUBACK p99 ${name}`, 'ms', ...ack('p99Ms')),
  ];
}

function largeFigures(bench: Bench, taken: Taken): Figure[] {
  const { ours, baseline } = taken;
  const most = (values: readonly number[]): number => Math.max(...values);
  const lost = ours.reduce((sum, round) => sum + round.lost, 0);
  const theirs = baseline.reduce((sum, round) => sum + round.lost, 0);
  return [
    ...costFigures(bench, '512 KiB', taken, 0.8),
    { ...absolute('segments acknowledged and not stored', '', lost, 0), baseline: theirs },
    absolute(
      'peak memory of the server',
      'MB',
      most(ours.map((round) => round.peakRssMb)),
      250,
      most(baseline.map((round) => round.peakRssMb)),
    ),
    absolute('event-loop delay p99', 'ms', median(ours.map((round) => round.loopDelayP99Ms)), 25),
  ];
}

function smallFigures(bench: Bench, taken: Taken): Figure[] {
  return costFigures(bench, '64 KiB', taken);
}

async function ourRound(
  bench: Bench,
  template: string,
  size: IngestSize,
  isVerified: boolean,
): Promise<OurRound> {
  const folder = join(bench.folder, 'ours');
  cpSync(template, folder, { recursive: true });
  const bundles = Array.from({ length: CONNECTIONS }, (_, i) => readBundle(folder, i));
  const server = await Server.start(folder);
  let load: Load | undefined;
  try {
    const epochs: number[] = [];
    for (const { deviceId } of bundles) epochs.push(await server.grant(deviceId));
    load = new Load({
      port: server.mqttPort,
      ca: bundles[0]?.ca ?? '',
      servername: 'localhost',
      devices: bundles,
      segmentBytes: size.segmentBytes,
      window: size.window,
      perDevice: size.perDevice,
      epochs,
    });
    await load.ready();
    const before = cpuSeconds(server.started.pid);
    const result = await load.done();
    await sleep(AFTERMATH_MS);
    const cpu = cpuSeconds(server.started.pid) - before;
    const peak = peakRssMb(server.started.pid);
    const stored = await countStored(
      server,
      bundles.map(({ deviceId }) => deviceId),
    );
    const loopDelayP99Ms = await server.stop();
    const verified = isVerified ? await verify(folder) : stored;
    return {
      cpuSPerGb: cpu / (result.bytes / GB),
      lost: result.refused + result.accepted - Math.min(stored, verified),
      peakRssMb: peak,
      loopDelayP99Ms,
      load: result,
    };
  } finally {
    await load?.end();
    await server.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

export async function countStored(server: Server, deviceIds: readonly string[]): Promise<number> {
  let stored = 0;
  for (const deviceId of deviceIds) stored += (await server.device(deviceId)).segments;
  return stored;
}

function describe(
  bench: Bench,
  { segmentBytes }: IngestSize,
  ours: OurRound | undefined,
  baseline: BaselineRound | undefined,
  floor: number | undefined,
): void {
  if (!ours || !baseline) return;
  const rate = ({ bytes, wallMs }: LoadResult): string =>
    `${(bytes / 1e3 / wallMs).toFixed(0)} MB/s`;
  const ack = ({ p50Ms, p99Ms }: LoadResult): string =>
    `ack ${p50Ms.toFixed(1)}/${p99Ms.toFixed(0)} ms`;
  bench.print(
    `  ${segmentBytes >> 10} KiB ours ${ours.cpuSPerGb.toFixed(2)} s/GB, ${rate(ours.load)}, ${ack(ours.load)}, ` +
      `${ours.peakRssMb.toFixed(0)} MB, loop p99 ${ours.loopDelayP99Ms.toFixed(1)} ms, lost ${ours.lost}, refused ${JSON.stringify(ours.load.codes)}, ${ours.load.cipher}`,
  );
  bench.print(
    `  ${segmentBytes >> 10} KiB Mosquitto ${baseline.brokerCpuSPerGb.toFixed(2)} + subscriber ${(baseline.cpuSPerGb - baseline.brokerCpuSPerGb).toFixed(2)} s/GB, ` +
      `${rate(baseline.load)}, ${ack(baseline.load)}, ${baseline.peakRssMb.toFixed(0)} MB, lost ${baseline.lost}, ${baseline.load.cipher}; floor ${floor?.toFixed(2)} s/GB`,
  );
}
