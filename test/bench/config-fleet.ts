// How long it takes until every device of a fleet has a change: a rollout in one stage at a real server,
// devices as in `connections`, each of which takes the document, checks its signature and says so.
import { setTimeout as sleep } from 'node:timers/promises';
import { readServerConfig } from '../../broker/installation.ts';
import { withInstallation } from '../../broker/operator.ts';
import { PROCESSES } from './connections.ts';
import { absolute, type Bench, type Figure } from './figures.ts';
import { fleetSpec, makeFleet } from './fleet.ts';
import { configPath, dataPath, readBundle, Server } from './lenscap.ts';
import { Fleet } from './load/fleet-load.ts';

const DEVICES = 1000;
const CONNECT_TIMEOUT_MS = 180_000;
const CHANGE_TIMEOUT_MS = 120_000;
const BAR_S = 30;

export async function configFleetFigures(bench: Bench): Promise<Figure[]> {
  const data = await makeFleet(bench);
  const devices = data.idle.slice(0, DEVICES);
  const { consentKey } = readBundle(data.folder, 0);
  const server = await Server.start(data.folder);
  const epochs = new Map<string, number>();
  for (const { deviceId } of devices)
    epochs.set(deviceId, await server.grant(deviceId, ['device_info']));
  const behaving = devices.map(
    ({ deviceId }) => [deviceId, { behaviour: 'apply', epoch: epochs.get(deviceId) ?? 0 }] as const,
  );
  const configured = { devices: Object.fromEntries(behaving), consentKey, victim: '' };
  const fleet = new Fleet({ ...fleetSpec(data, devices), configured }, PROCESSES);
  try {
    await fleet.whole(0, CONNECT_TIMEOUT_MS);
    const startMs = Date.now();
    const config = await readServerConfig(dataPath(data.folder), configPath(data.folder));
    await withInstallation(dataPath(data.folder), config, ({ rollouts }) =>
      rollouts.start({
        ...{ patch: { video: { bitrateKbps: 900 } }, labels: [], stages: '100%' },
        ...{ stopPercent: 100, waitS: 600, settleS: 0, actor: 'bench' },
      }),
    );
    const lastMs = await lastAnswer(fleet, devices.length);
    bench.print(`  ${fleet.answers.length} devices have the change`);
    return [
      absolute(`${devices.length} devices get a change`, 's', (lastMs - startMs) / 1000, BAR_S),
    ];
  } finally {
    await fleet.end();
    await server.stop();
  }
}

/** When the last device had it. */
async function lastAnswer(fleet: Fleet, count: number): Promise<number> {
  const endMs = performance.now() + CHANGE_TIMEOUT_MS;
  while (fleet.answers.length < count) {
    if (performance.now() > endMs)
      throw new Error(`${fleet.answers.length} of ${count} devices have the change`);
    await sleep(50);
  }
  return Math.max(...fleet.answers.map(({ atMs }) => atMs));
}
