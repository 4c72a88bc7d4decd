// What a connected, idle device costs the server, beside Mosquitto with the same devices: memory that
// a connection keeps, CPU to set it up. Both: TLS 1.3, client certificates, full handshakes.
import { setTimeout as sleep } from 'node:timers/promises';
import { makeCertificates } from './certificates.ts';
import { type Bench, compared, type Figure } from './figures.ts';
import { type FleetData, fleetSpec, makeFleet } from './fleet.ts';
import { Server } from './lenscap.ts';
import { Fleet } from './load/fleet-load.ts';
import type { FleetSpec } from './load/fleet-messages.ts';
import { startMosquitto } from './mosquitto.ts';
import { cpuSeconds, type Memory, memoryOf, stop } from './processes.ts';

/** The load has two processes, so that it is not what is measured. */
export const PROCESSES = 2;
const CONNECT_TIMEOUT_MS = 180_000;
/** Memory counts as settled when it fell by less than this share for so long. */
const SETTLED_SHARE = 0.01;
const SETTLED_MS = 10_000;
const SETTLE_LIMIT_MS = 60_000;

interface Cost {
  readonly pssKb: number;
  readonly rssKb: number;
  readonly cpuMs: number;
}

/** Memory for each connection and CPU for each connect. */
export async function connectionFigures(bench: Bench): Promise<Figure[]> {
  const data = await makeFleet(bench);
  const ours = await ourCost(bench, data);
  const theirs = await theirCost(bench, data);
  const count = data.idle.length;
  return [
    compared(
      `memory of an idle connection, ${count} connected`,
      'KB PSS',
      ours.pssKb,
      theirs.pssKb,
    ),
    compared('memory of an idle connection, resident', 'KB RSS', ours.rssKb, theirs.rssKb),
    compared('a connect of a device', 'CPU ms', ours.cpuMs, theirs.cpuMs),
  ];
}

async function ourCost(bench: Bench, data: FleetData): Promise<Cost> {
  const server = await Server.start(data.folder);
  try {
    return await costOf(bench, 'ours', server.started.pid, fleetSpec(data, data.idle));
  } finally {
    await server.stop();
  }
}

async function theirCost(bench: Bench, { idle }: FleetData): Promise<Cost> {
  const certificates = await makeCertificates(idle.map(({ deviceId }) => deviceId));
  const { broker, tlsPort } = await startMosquitto(bench.folder, certificates);
  const spec = fleetSpec({ port: tlsPort, ca: certificates.ca }, certificates.devices);
  try {
    return await costOf(bench, 'Mosquitto', broker.pid, spec);
  } finally {
    await stop(broker);
  }
}

async function costOf(bench: Bench, name: string, pid: number, spec: FleetSpec): Promise<Cost> {
  const before = await settled(pid);
  const cpuBefore = cpuSeconds(pid);
  const startMs = performance.now();
  const fleet = new Fleet(spec, PROCESSES);
  try {
    await fleet.whole(0, CONNECT_TIMEOUT_MS);
    const wallS = (performance.now() - startMs) / 1000;
    const cpuMs = ((cpuSeconds(pid) - cpuBefore) * 1000) / fleet.size;
    const peak = memoryOf(pid);
    const after = await settled(pid);
    if (fleet.connected < fleet.size) throw new Error(`${name}: not all stayed connected`);
    const each = (of: (memory: Memory) => number): number =>
      ((of(after) - of(before)) * 1024) / fleet.size;
    bench.print(
      `  ${name}: ${fleet.size} connected in ${wallS.toFixed(1)} s, refused ${fleet.reasons(0)}; ` +
        `PSS ${before.pssMb.toFixed(0)} -> ${after.pssMb.toFixed(0)} MB (${peak.pssMb.toFixed(0)} MB when the last came)`,
    );
    return { pssKb: each(({ pssMb }) => pssMb), rssKb: each(({ rssMb }) => rssMb), cpuMs };
  } finally {
    await fleet.end();
  }
}

/** The memory of a process once it gives nothing back any more. */
async function settled(pid: number): Promise<Memory> {
  const endMs = performance.now() + SETTLE_LIMIT_MS;
  let least = memoryOf(pid);
  let leastMs = performance.now();
  while (performance.now() < endMs && performance.now() - leastMs < SETTLED_MS) {
    await sleep(500);
    const now = memoryOf(pid);
    if (now.pssMb >= least.pssMb * (1 - SETTLED_SHARE)) continue;
    least = now;
    leastMs = performance.now();
  }
  return memoryOf(pid);
}
