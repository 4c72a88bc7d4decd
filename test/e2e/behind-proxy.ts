// A real camera whose way to the real server leads through a bad line, and what has to be true of it at
// the end: all that it captured is stored once, or named by a Gap.
import { readFileSync, writeFileSync } from 'node:fs';
import type { Test } from 'tap';
import { idOf } from '../torture/audit.ts';
import { saidIn } from '../torture/said.ts';
import { type AgentOptions, startAgent } from './agent.ts';
import { FaultProxy } from './fault-proxy.ts';
import type { Added, Gap, House, Segment } from './house.ts';
import { eventually, type Running } from './processes.ts';

/** Two neighbours may differ by so much: times are rounded once for each. */
const TOLERANCE_US = 2000;
/** Longest wait for the first segment, which may be long itself. */
const START_MS = 180_000;

export class BehindProxy {
  readonly device: Added;
  readonly proxy: FaultProxy;
  readonly agent: Running;
  readonly #house: House;

  private constructor(house: House, device: Added, proxy: FaultProxy, agent: Running) {
    this.#house = house;
    this.device = device;
    this.proxy = proxy;
    this.agent = agent;
  }

  /** Starts a camera that may record; the line is perfect, and something was stored over it. */
  static async start(
    t: Test,
    house: House,
    device: Added,
    options: AgentOptions,
  ): Promise<BehindProxy> {
    const proxy = new FaultProxy(() => house.mqttPort);
    const port = await proxy.listen();
    t.teardown(() => proxy.close());
    const bundle = JSON.parse(readFileSync(device.file, 'utf8'));
    bundle.server.port = port;
    writeFileSync(device.file, JSON.stringify(bundle), { mode: 0o600 });
    await house.grant(device.id, 'video');
    const agent = startAgent(t, device, { audio: 'none', ...options });
    const camera = new BehindProxy(house, device, proxy, agent);
    await eventually('it records', async () => (await camera.#count()) > 0, START_MS);
    return camera;
  }

  async #count(): Promise<number> {
    return (await this.#house.device(this.device.id)).segments;
  }

  /** Waits until so many more segments are stored. */
  async stores(more: number, deadlineMs: number): Promise<void> {
    const wanted = (await this.#count()) + more;
    await eventually(
      `${more} more segments`,
      async () => (await this.#count()) >= wanted,
      deadlineMs,
      () => this.agent.tail(),
    );
  }

  /** Ends the camera, over a perfect line; returns what is stored, and what is wrong with it. */
  async end(t: Test): Promise<Segment[]> {
    this.proxy.speak();
    this.proxy.set({});
    t.equal(await this.agent.kill('SIGTERM'), 0, 'it ends in order');
    t.notMatch(this.agent.err, /stopped before everything was sent/);
    const { segments, gaps } = await this.#house.stored(this.device.id);
    const { acknowledged, refused } = saidIn(this.agent.err);
    t.same([...refused], [], 'nothing was refused');
    t.same(segments.map(idOf).toSorted(), [...acknowledged].toSorted(), 'acknowledged = stored');
    t.same(faultsOf(segments, gaps), []);
    return segments;
  }
}

/** What is stored twice, overlaps, or is missing without a Gap. */
export function faultsOf(segments: readonly Segment[], gaps: readonly Gap[]): string[] {
  const ids = segments.map(idOf);
  const twice = ids.filter((id, at) => ids.indexOf(id) !== at).map((id) => `twice: ${id}`);
  return [...twice, ...holesIn(segments, gaps)];
}

function holesIn(segments: readonly Segment[], gaps: readonly Gap[]): string[] {
  const faults: string[] = [];
  const inOrder = segments.toSorted((one, other) => one.startAtUs - other.startAtUs);
  const first = new Set<string>();
  for (const [at, segment] of inOrder.entries()) {
    const before = inOrder[at - 1];
    if (!first.has(segment.streamId) && segment.sequence !== 0 && before === undefined)
      faults.push(`begins with ${idOf(segment)}`);
    first.add(segment.streamId);
    if (before === undefined) continue;
    const fromUs = before.startAtUs + before.durationUs;
    const name = `${idOf(before)} and ${idOf(segment)}`;
    if (segment.startAtUs < fromUs - TOLERANCE_US) faults.push(`overlap of ${name}`);
    const isNext = before.streamId !== segment.streamId || segment.sequence === before.sequence + 1;
    const isWhole = isNext && segment.startAtUs <= fromUs + TOLERANCE_US;
    if (!isWhole && !isCovered(fromUs, segment.startAtUs, gaps))
      faults.push(`hole between ${name}`);
  }
  return faults;
}

function isCovered(fromUs: number, toUs: number, gaps: readonly Gap[]): boolean {
  let atUs = fromUs;
  for (const { startAtUs, durationUs } of gaps.toSorted((a, b) => a.startAtUs - b.startAtUs))
    if (startAtUs <= atUs + TOLERANCE_US) atUs = Math.max(atUs, startAtUs + durationUs);
  return atUs >= toUs - TOLERANCE_US;
}

/** How long after its end each segment was stored, of those that began at that moment or later. */
export function latenessMs(
  segments: readonly Segment[],
  fromMs: number,
): { readonly lateMs: number; readonly bytes: number }[] {
  return segments
    .filter(({ startAtUs }) => startAtUs / 1000 >= fromMs)
    .map(({ startAtUs, durationUs, receivedAt, bytes }) => ({
      lateMs: Date.parse(receivedAt) - (startAtUs + durationUs) / 1000,
      bytes,
    }));
}
