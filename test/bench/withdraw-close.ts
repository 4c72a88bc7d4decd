// From a withdrawal to the moment when no process of the agent has the source open any more.
import { mkdirSync, readdirSync, readlinkSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { absolute, type Bench, type Figure, percentile } from './figures.ts';
import { addDevices, CLIP, makeData, readBundle, Server, startAgent } from './lenscap.ts';
import { stop, treeOf } from './processes.ts';

const POLL_MS = 1;
const DEADLINE_MS = 20_000;

export async function withdrawCloseFigures(bench: Bench): Promise<Figure[]> {
  const withdrawals = bench.isQuick ? 10 : 60;
  const folder = join(bench.folder, 'closing');
  mkdirSync(folder);
  await makeData(folder);
  const server = await Server.start(folder);
  try {
    await addDevices(folder, 1, server.mqttPort);
    const { deviceId } = readBundle(folder, 0);
    const agent = startAgent(folder, 0, { source: { type: 'file', path: CLIP, loop: true } });
    try {
      const answerMs: number[] = [];
      const requestMs: number[] = [];
      for (let i = 0; i < withdrawals; i++) {
        await server.grant(deviceId);
        await until(() => hasOpen(agent.pid), 'the agent did not open the clip');
        // Anywhere between opening and a running capture.
        await sleep(bench.random() * 1500);
        await until(() => hasOpen(agent.pid), 'the agent did not open the clip');
        const askedMs = performance.now();
        await server.withdraw(deviceId);
        const answeredMs = performance.now();
        await until(() => !hasOpen(agent.pid), 'the agent kept the clip open');
        const closedMs = performance.now();
        answerMs.push(closedMs - answeredMs);
        requestMs.push(closedMs - askedMs);
      }
      bench.print(
        `${withdrawals} withdrawals, ms from the answer to closed: p50 ${percentile(answerMs, 0.5).toFixed(1)}, max ${Math.max(...answerMs).toFixed(1)}`,
      );
      return [
        absolute(
          `withdrawal answered to device closed, p99 of ${withdrawals}`,
          'ms',
          percentile(answerMs, 0.99),
          300,
        ),
        absolute('withdrawal asked for to device closed, p99', 'ms', percentile(requestMs, 0.99)),
      ];
    } finally {
      await stop(agent);
    }
  } finally {
    await server.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

async function until(isSo: () => boolean, otherwise: string): Promise<void> {
  const end = performance.now() + DEADLINE_MS;
  while (!isSo()) {
    if (performance.now() > end) throw new Error(otherwise);
    await sleep(POLL_MS);
  }
}

/** Whether any process of the tree has the clip open. */
function hasOpen(root: number): boolean {
  return treeOf(root).some((pid) => {
    try {
      return readdirSync(`/proc/${pid}/fd`).some((fd) => target(`/proc/${pid}/fd/${fd}`) === CLIP);
    } catch {
      return false;
    }
  });
}

function target(link: string): string {
  try {
    return readlinkSync(link);
  } catch {
    return '';
  }
}
