// Withdrawals under full load: once the owner has the answer, not one byte more becomes visible.
import { cpSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { absolute, type Bench, type Figure, percentile } from './figures.ts';
import { CONNECTIONS, makeTemplate } from './ingest.ts';
import { readBundle, Server } from './lenscap.ts';
import { Load } from './load/load.ts';

const SEGMENT_BYTES = 512 << 10;
const WINDOW = 2;
/** Longer than what is in flight takes; the load goes on all the while. */
const DRAIN_MS = 150;
const LOADED_MS = 10_000;

export async function withdrawCommitFigures(bench: Bench): Promise<Figure[]> {
  const withdrawals = bench.isQuick ? 20 : 200;
  const folder = join(bench.folder, 'withdrawals');
  cpSync(await makeTemplate(bench), folder, { recursive: true });
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
      segmentBytes: SEGMENT_BYTES,
      window: WINDOW,
      perDevice: 0,
      epochs,
    });
    await load.ready();
    let lateBytes = 0;
    const answersMs: number[] = [];
    const readsMs: number[] = [];
    for (let i = 0; i < withdrawals; i++) {
      const index = i % CONNECTIONS;
      const deviceId = bundles[index]?.deviceId ?? '';
      await untilGrown(server, deviceId);
      const askedMs = performance.now();
      await server.withdraw(deviceId);
      const answeredMs = performance.now();
      const atOnce = await server.device(deviceId);
      readsMs.push(performance.now() - answeredMs);
      answersMs.push(answeredMs - askedMs);
      await sleep(DRAIN_MS + bench.random() * DRAIN_MS);
      const later = await server.device(deviceId);
      lateBytes += later.bytes - atOnce.bytes;
      load.newEpoch(index, await server.grant(deviceId));
    }
    const { accepted, refused, codes } = await load.stop();
    const last = await Promise.all(bundles.map(({ deviceId }) => server.device(deviceId)));
    const stored = last.reduce((sum, { segments }) => sum + segments, 0);
    bench.print(
      `${withdrawals} withdrawals: ${accepted} segments accepted, ${stored} stored, ${refused} refused ${JSON.stringify(codes)}; ` +
        `first look ${percentile(readsMs, 0.5).toFixed(1)} ms (p99 ${percentile(readsMs, 0.99).toFixed(1)}) after the answer`,
    );
    return [
      absolute(
        `bytes committed after a withdrawal was answered (${withdrawals})`,
        'bytes',
        lateBytes,
        0,
      ),
      absolute(
        'segments acknowledged and not stored, meanwhile',
        '',
        Math.abs(accepted - stored),
        0,
      ),
      absolute('withdrawal: request to answer, p50, full load', 'ms', percentile(answersMs, 0.5)),
      absolute('withdrawal: request to answer, p99, full load', 'ms', percentile(answersMs, 0.99)),
    ];
  } finally {
    await load?.kill();
    await server.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** A withdrawal says something only while segments of that camera are being stored. */
async function untilGrown(server: Server, deviceId: string): Promise<void> {
  const { segments } = await server.device(deviceId);
  const end = performance.now() + LOADED_MS;
  while ((await server.device(deviceId)).segments < segments + 2) {
    if (performance.now() > end) throw new Error(`${deviceId}: nothing is stored under load`);
    await sleep(5);
  }
}
