// One camera and its server for the figures of outages. The server can be ended and started again on
// the same port, as a network that goes and comes back.
import { mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from '../free-port.ts';
import type { Bench } from './figures.ts';
import { addDevices, makeData, readBundle, Server, startAgent } from './lenscap.ts';
import { needTool } from './native.ts';
import { run, type Started, stop } from './processes.ts';

const DEADLINE_MS = 120_000;
const CLIP_KBPS = 2000;
const CLIP_FRAMES = 600;

export class Scene {
  readonly folder: string;
  readonly deviceId: string;
  #server: Server;
  readonly #agents: Started[] = [];

  private constructor(folder: string, deviceId: string, server: Server) {
    this.folder = folder;
    this.deviceId = deviceId;
    this.#server = server;
  }

  /** A camera of which pictures and sound may be recorded. */
  static async open(bench: Bench, name: string): Promise<Scene> {
    const folder = join(bench.folder, name);
    mkdirSync(folder);
    await makeData(folder, { mqtt: { port: await freePort() } });
    const server = await Server.start(folder);
    await addDevices(folder, 1, server.mqttPort);
    const { deviceId } = readBundle(folder, 0);
    await server.grant(deviceId);
    return new Scene(folder, deviceId, server);
  }

  get server(): Server {
    return this.#server;
  }

  /** The state folder of the agent, where none was said. */
  get stateDir(): string {
    return join(this.folder, 'agent-state-0');
  }

  /** Starts the agent; resolves when something of it was stored. */
  async record(parts: object): Promise<Started> {
    const { segments } = await this.#server.device(this.deviceId);
    const agent = startAgent(this.folder, 0, parts);
    this.#agents.push(agent);
    const isStored = async () => (await this.#server.device(this.deviceId)).segments > segments;
    await until('something was stored', isStored, 100);
    return agent;
  }

  /** The server is gone from one moment to the next. */
  cut(): Promise<void> {
    return this.#server.kill();
  }

  async mend(): Promise<void> {
    this.#server = await Server.start(this.folder);
  }

  /** Ends everything; `between` is done when no process is left and the folder is still there. */
  async close(between: () => unknown = () => undefined): Promise<void> {
    for (const agent of this.#agents) await stop(agent);
    await this.#server.stop();
    await between();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** How many segments lie in the spool on flash. */
export function spooled(stateDir: string): number {
  return readdirSync(join(stateDir, 'spool')).filter((name) => name.endsWith('.segment')).length;
}

/** Waits until it is so. @throws Error naming what was waited for. */
export async function until(
  what: string,
  isSo: () => boolean | Promise<boolean>,
  pollMs: number,
): Promise<void> {
  const endMs = performance.now() + DEADLINE_MS;
  while (!(await isSo())) {
    if (performance.now() > endMs) throw new Error(`waited in vain until ${what}`);
    await sleep(pollMs);
  }
}

/** Twenty seconds of 2 Mbit/s, which are passed through: noise, since that takes all it may. */
export async function makeClip(folder: string): Promise<string> {
  const path = join(folder, 'noise.mp4');
  const source = ['videotestsrc', 'pattern=snow', `num-buffers=${CLIP_FRAMES}`];
  const picture = 'video/x-raw,width=640,height=360,framerate=30/1';
  const encoder = ['x264enc', `bitrate=${CLIP_KBPS}`, 'speed-preset=ultrafast'];
  const gops = ['key-int-max=60', 'bframes=0', '!', 'video/x-h264,profile=baseline'];
  const file = ['h264parse', '!', 'mp4mux', '!', 'filesink', `location=${path}`];
  const words = [...source, '!', picture, '!', ...encoder, ...gops, '!', ...file];
  await run(needTool('gst-launch-1.0', 'gstreamer1.0-tools'), ['-q', ...words]);
  return path;
}
