// What the agent costs beyond GStreamer itself: the agent with its capture child on a real server,
// against gst-launch-1.0 with the very same pipeline into a fakesink.
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { capturePlan } from '../../agent/capture/pipeline.ts';
import { knownTracks } from '../../agent/capture/source.ts';
import { checkAgentConfig } from '../../proto/agent-config.ts';
import {
  absolute,
  type Bench,
  compared,
  type Figure,
  median,
  slopePerMinute,
  spread,
} from './figures.ts';
import { addDevices, bundlePath, makeData, readBundle, Server, startAgent } from './lenscap.ts';
import { needTool } from './native.ts';
import { cpuSeconds, type Memory, memoryOf, type Started, start, stop } from './processes.ts';

const SETTLE_MS = 4000;
const SAMPLE_MS = 1000;
const SETTINGS = {
  source: { type: 'test' },
  video: { width: 1280, height: 720, frameRate: 30 },
  audio: { source: 'source', codec: 'aac' },
};

interface Cost {
  readonly cpuShare: number;
  readonly memory: readonly Memory[];
}

/** CPU and memory, in alternating rounds; the last one of the agent is longer, for its slope. */
export async function agentCostFigures(bench: Bench): Promise<Figure[]> {
  const [short, long] = bench.isQuick ? [10, 10] : [20, 60];
  const rounds = bench.isQuick ? [short] : [short, long];
  return await withServer(bench, async (folder, startOurs) => {
    const ours: Cost[] = [];
    const baseline: Cost[] = [];
    for (const seconds of rounds) {
      const { agent, launch } = await startOurs();
      ours.push(await costOf(agent, seconds));
      await stop(agent);
      const gst = startBaseline(launch);
      baseline.push(await costOf(gst, short));
      await stop(gst);
    }
    rmSync(folder, { recursive: true, force: true });
    return figuresOf(bench, ours, baseline);
  });
}

/** Memory of a long run. */
export async function soakFigures(bench: Bench): Promise<Figure[]> {
  const minutes = bench.isQuick ? 1 : 10;
  return await withServer(bench, async (_folder, startOurs) => {
    const { agent } = await startOurs();
    const { memory } = await costOf(agent, minutes * 60);
    await stop(agent);
    const rss = memory.map(({ rssMb }) => rssMb);
    const fifth = Math.floor(rss.length / 5);
    const growth = median(rss.slice(-fifth)) - median(rss.slice(fifth, 2 * fifth));
    bench.print(`RSS each minute: ${spread(rss.filter((_, i) => i % 60 === 0))} MB`);
    return [
      absolute(`growth of the agent's memory in ${minutes} min`, 'MB', growth, 5),
      absolute("slope of the agent's memory", 'MB/min', slopePerMinute(rss)),
    ];
  });
}

type StartOurs = () => Promise<{ agent: Started; launch: string }>;

async function withServer<T>(
  bench: Bench,
  use: (folder: string, startOurs: StartOurs) => Promise<T>,
): Promise<T> {
  const folder = join(bench.folder, 'agent-cost');
  mkdirSync(folder);
  await makeData(folder);
  const server = await Server.start(folder);
  try {
    await addDevices(folder, 1, server.mqttPort);
    const { deviceId } = readBundle(folder, 0);
    await server.grant(deviceId);
    return await use(folder, async () => {
      const { segments } = await server.device(deviceId);
      const agent = startAgent(folder, 0, SETTINGS);
      const launch = await launchOf(folder, agent);
      while ((await server.device(deviceId)).segments === segments) await sleep(100);
      return { agent, launch };
    });
  } finally {
    await server.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** The agent's own pipeline, with the encoders it says it chose. */
async function launchOf(folder: string, agent: Started): Promise<string> {
  const [, line = ''] = await agent.line(/^(.*"msg":"capturing".*)$/, 30_000);
  const name = (field: string): string | null =>
    new RegExp(`"${field}":"([a-z0-9_]+)"`).exec(line)?.[1] ?? null;
  const identity = bundlePath(folder, 0);
  const config = checkAgentConfig({ identity, stateDir: folder, ...SETTINGS }, 'the bench');
  const { launch } = capturePlan({
    ...config,
    credentials: null,
    tracks: knownTracks(config.source, true),
    videoEncoder: name('video'),
    audioEncoder: name('audio'),
  });
  return launch;
}

function startBaseline(launch: string): Started {
  const pipeline = launch.replace(/fdsink fd=\d+/g, 'fakesink');
  // The text is split the way gst-launch-1.0 joins it again.
  const words = pipeline.split(/\s+/).map((word) => word.replaceAll('"', ''));
  return start(needTool('gst-launch-1.0', 'gstreamer1.0-tools'), ['-q', ...words]);
}

async function costOf({ pid, child }: Started, seconds: number): Promise<Cost> {
  await sleep(SETTLE_MS);
  const startMs = performance.now();
  const before = cpuSeconds(pid);
  const memory: Memory[] = [];
  while (performance.now() - startMs < seconds * 1000) {
    memory.push(memoryOf(pid));
    await sleep(SAMPLE_MS);
  }
  if (child.exitCode !== null || child.signalCode !== null)
    throw new Error('it ended while it was measured');
  const cpu = cpuSeconds(pid) - before;
  return { cpuShare: (100 * cpu) / ((performance.now() - startMs) / 1000), memory };
}

function figuresOf(bench: Bench, ours: readonly Cost[], baseline: readonly Cost[]): Figure[] {
  const cpu = (costs: readonly Cost[]): number[] => costs.map(({ cpuShare }) => cpuShare);
  const all = (costs: readonly Cost[], of: keyof Memory): number =>
    median(costs.flatMap(({ memory }) => memory.map((sample) => sample[of])));
  const rss = ours.at(-1)?.memory.map(({ rssMb }) => rssMb) ?? [];
  bench.print(
    `CPU, % of a core: ours ${spread(cpu(ours))} | gst-launch-1.0 ${spread(cpu(baseline))}`,
  );
  bench.print(
    `RSS ours ${all(ours, 'rssMb').toFixed(0)}, gst-launch-1.0 ${all(baseline, 'rssMb').toFixed(0)} MB; PSS ${all(ours, 'pssMb').toFixed(0)}, ${all(baseline, 'pssMb').toFixed(0)} MB`,
  );
  const beyond = (of: keyof Memory): number => all(ours, of) - all(baseline, of);
  return [
    compared(
      'CPU of agent and capture child, 720p30',
      '% of a core',
      median(cpu(ours)),
      median(cpu(baseline)),
      1.15,
    ),
    absolute('memory beyond gst-launch-1.0 (RSS)', 'MB', beyond('rssMb'), 120),
    absolute('memory beyond gst-launch-1.0 (PSS)', 'MB', beyond('pssMb')),
    absolute(`slope of the agent's memory over ${rss.length} s`, 'MB/min', slopePerMinute(rss)),
  ];
}
