// What it costs to look for motion: an agent that records to a real server and looks, against one that
// records the same and does not.
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { absolute, type Bench, type Figure, median, spread } from './figures.ts';
import { needTool } from './native.ts';
import { cpuSeconds, run, stop } from './processes.ts';
import { Scene } from './scene.ts';

const SETTLE_MS = 4000;
const VIDEO = { width: 1280, height: 720, frameRate: 30 };
const FRAMES = 600;

/** Percent of a core of the agent and all its children, in rounds that alternate. */
interface Costs {
  readonly looking: readonly number[];
  readonly not: readonly number[];
}

export async function motionFigures(bench: Bench): Promise<Figure[]> {
  const raw = await costsOf(bench, 'motion-raw', async () => ({ type: 'test' }));
  const recording = async (folder: string) => ({
    type: 'file',
    path: await clip(folder),
    loop: true,
  });
  const passed = await costsOf(bench, 'motion-passed', recording);
  return [
    ...figuresOf(bench, 'looking for motion, 720p30', raw, 6),
    ...figuresOf(bench, 'looking for motion, 720p30 of H.264 that is passed on', passed, 6),
  ];
}

async function costsOf(
  bench: Bench,
  name: string,
  sourceIn: (folder: string) => Promise<object>,
): Promise<Costs> {
  const rounds = bench.isQuick ? 1 : 5;
  const scene = await Scene.open(bench, name);
  try {
    const source = await sourceIn(scene.folder);
    const [looking, not]: [number[], number[]] = [[], []];
    for (let round = 0; round < rounds; round += 1)
      for (const on of [true, false])
        (on ? looking : not).push(await costOf(bench, scene, { source, motion: { on } }));
    return { looking, not };
  } finally {
    await scene.close();
  }
}

async function costOf(bench: Bench, scene: Scene, parts: object): Promise<number> {
  const agent = await scene.record({ video: VIDEO, ...parts });
  await sleep(SETTLE_MS);
  const [startMs, before] = [performance.now(), cpuSeconds(agent.pid)];
  await sleep(bench.isQuick ? 5000 : 12_000);
  const cpu = cpuSeconds(agent.pid) - before;
  const tookS = (performance.now() - startMs) / 1000;
  await stop(agent);
  return (100 * cpu) / tookS;
}

function figuresOf(bench: Bench, what: string, { looking, not }: Costs, limit: number): Figure[] {
  bench.print(`${what}, % of a core: looking ${spread(looking)} | not ${spread(not)}`);
  // Round by round, so that what else the machine does meanwhile falls out of it.
  const more = median(looking.map((one, round) => one - (not[round] ?? Number.NaN)));
  const ratio = median(looking) / median(not);
  return [
    absolute(what, '% of a core', more, limit),
    absolute(`${what}, against recording alone`, 'times', ratio),
  ];
}

/** Twenty seconds of a ball that flies, as a camera that encodes by itself would send it. */
async function clip(folder: string): Promise<string> {
  const path = join(folder, 'ball.mp4');
  const source = ['videotestsrc', 'pattern=ball', `num-buffers=${FRAMES}`];
  const picture = 'video/x-raw,format=I420,width=1280,height=720,framerate=30/1';
  const encoder = ['x264enc', 'bitrate=2000', 'speed-preset=veryfast', 'key-int-max=60'];
  const gops = ['bframes=0', '!', 'video/x-h264,profile=main'];
  const file = ['h264parse', '!', 'mp4mux', '!', 'filesink', `location=${path}`];
  const words = [...source, '!', picture, '!', ...encoder, ...gops, '!', ...file];
  await run(needTool('gst-launch-1.0', 'gstreamer1.0-tools'), ['-q', ...words]);
  return path;
}
