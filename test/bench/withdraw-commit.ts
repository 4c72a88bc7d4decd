// Withdrawals under full load: once the owner has the answer, not one byte more becomes visible.
import { cpSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { absolute, type Bench, type Figure, percentile } from './figures.ts';
import { IndexView } from './index-view.ts';
import { CONNECTIONS, countStored, makeTemplate } from './ingest.ts';
import { readBundle, Server } from './lenscap.ts';
import { Load } from './load/load.ts';

const SEGMENT_BYTES = 512 << 10;
const WINDOW = 2;
/** Devices whose consent is withdrawn at the same time; the others keep the load up. */
const LANES = 3;
/** Longer than what is in flight takes; the load goes on all the while. */
const DRAIN_MS = 150;
const LOADED_MS = 10_000;

interface Withdrawal {
  readonly lateSegments: number;
  readonly answerMs: number;
  readonly lookMs: number;
}

export async function withdrawCommitFigures(bench: Bench): Promise<Figure[]> {
  const count = bench.isQuick ? 20 : 200;
  const folder = join(bench.folder, 'withdrawals');
  cpSync(await makeTemplate(bench), folder, { recursive: true });
  const bundles = Array.from({ length: CONNECTIONS }, (_, i) => readBundle(folder, i));
  const server = await Server.start(folder);
  const view = new IndexView(folder);
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
    const taken: Withdrawal[] = [];
    const running = load;
    const lane = async (number: number): Promise<void> => {
      // A lane keeps to devices of its own, so that no two meet on one.
      const own = [...bundles.keys()].filter((index) => index % LANES === number);
      for (let i = 0; taken.length < count; i++) {
        const index = own[i % own.length] ?? 0;
        const deviceId = bundles[index]?.deviceId ?? '';
        taken.push(await withdrawOnce(bench, server, view, deviceId));
        running.newEpoch(index, await server.grant(deviceId));
      }
    };
    await Promise.all(Array.from({ length: LANES }, (_, number) => lane(number)));
    const { accepted, refused, codes } = await load.stop();
    const stored = await countStored(
      server,
      bundles.map(({ deviceId }) => deviceId),
    );
    const looks = taken.map(({ lookMs }) => lookMs);
    bench.print(
      `${taken.length} withdrawals: ${accepted} segments accepted, ${stored} stored, ${refused} refused ${JSON.stringify(codes)}; ` +
        `first look p50 ${percentile(looks, 0.5).toFixed(1)}, p99 ${percentile(looks, 0.99).toFixed(1)} ms after the answer`,
    );
    return figuresOf(taken, accepted - stored);
  } finally {
    view.close();
    await load?.end();
    await server.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

async function withdrawOnce(
  bench: Bench,
  server: Server,
  view: IndexView,
  deviceId: string,
): Promise<Withdrawal> {
  // A withdrawal says something only while segments of that camera are being stored.
  const before = view.segments(deviceId);
  const deadline = performance.now() + LOADED_MS;
  while (view.segments(deviceId) < before + 2) {
    if (performance.now() > deadline) throw new Error(`${deviceId}: nothing is stored under load`);
    await sleep(10);
  }
  await sleep(bench.random() * 20);
  const askedMs = performance.now();
  await server.withdraw(deviceId);
  const answeredMs = performance.now();
  const atOnce = view.segments(deviceId);
  const lookMs = performance.now() - answeredMs;
  await sleep(DRAIN_MS + bench.random() * DRAIN_MS);
  const { segments } = await server.device(deviceId);
  return { lateSegments: segments - atOnce, answerMs: answeredMs - askedMs, lookMs };
}

function figuresOf(taken: readonly Withdrawal[], missing: number): Figure[] {
  const late = taken.reduce((sum, { lateSegments }) => sum + Math.abs(lateSegments), 0);
  const answers = taken.map(({ answerMs }) => answerMs);
  const name = `bytes committed after a withdrawal was answered, ${taken.length} withdrawals`;
  return [
    absolute(name, 'bytes', late * SEGMENT_BYTES, 0),
    absolute('segments accepted against stored, meanwhile', '', Math.abs(missing), 0),
    absolute('withdrawal asked for to answered, full load, p50', 'ms', percentile(answers, 0.5)),
    absolute('withdrawal asked for to answered, full load, p99', 'ms', percentile(answers, 0.99)),
  ];
}
