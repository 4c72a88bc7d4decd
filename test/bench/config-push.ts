// From the owner's change of a setting that needs no restart to the moment when he reads that the camera
// has applied it.
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { JsonObject } from '../../proto/device-config.ts';
import { absolute, type Bench, type Figure, percentile } from './figures.ts';
import { addDevices, makeData, readBundle, Server, startAgent } from './lenscap.ts';
import { stop } from './processes.ts';

const POLL_MS = 2;
const DEADLINE_MS = 20_000;

/** Of each kind that is set while pictures flow, another value each time. */
function change(at: number): JsonObject {
  const left = 0.1 + (at % 50) / 100;
  const kinds: readonly JsonObject[] = [
    { video: { bitrateKbps: 500 + at } },
    {
      masks: [
        [
          [left, 0.1],
          [left + 0.2, 0.1],
          [left, 0.5],
        ],
      ],
    },
    { overlay: { name: true, clock: true }, label: { name: `camera ${at}` } },
    { audio: { gainDb: (at % 20) - 10 } },
    { log: { linesPerMinute: 100 + at } },
    { light: { brightnessPercent: 5 + (at % 90) } },
    { uplink: { window: 1 + (at % 16) } },
  ];
  return kinds[at % kinds.length] ?? {};
}

export async function configPushFigures(bench: Bench): Promise<Figure[]> {
  const pushes = bench.isQuick ? 20 : 140;
  const folder = join(bench.folder, 'pushing');
  mkdirSync(folder);
  await makeData(folder);
  const server = await Server.start(folder);
  try {
    await addDevices(folder, 1, server.mqttPort);
    const { deviceId } = readBundle(folder, 0);
    await server.grant(deviceId, ['video', 'audio', 'device_info']);
    const video = { width: 640, height: 360, frameRate: 15 };
    const agent = startAgent(folder, 0, { source: { type: 'test' }, video });
    try {
      await until('it records', async () => (await server.device(deviceId)).segments > 0);
      const tookMs: number[] = [];
      for (let at = 0; at < pushes; at += 1) {
        const startMs = performance.now();
        const version = await server.configure(deviceId, change(at));
        await until(`version ${version} is applied`, async () => {
          const reported = await server.reported(deviceId);
          return reported?.version === version && reported.state === 'applied';
        });
        tookMs.push(performance.now() - startMs);
      }
      const [p50, p99] = [percentile(tookMs, 0.5), percentile(tookMs, 0.99)];
      bench.print(
        `${pushes} pushes, ms: p50 ${p50.toFixed(1)}, max ${Math.max(...tookMs).toFixed(1)}`,
      );
      return [absolute(`live change pushed to applied, p99 of ${pushes}`, 'ms', p99, 500)];
    } finally {
      await stop(agent);
    }
  } finally {
    await server.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

async function until(what: string, isSo: () => Promise<boolean>): Promise<void> {
  const end = performance.now() + DEADLINE_MS;
  while (!(await isSo())) {
    if (performance.now() > end) throw new Error(`waited in vain until ${what}`);
    await sleep(POLL_MS);
  }
}
