// A device that sends as an agent does: a window of segments at a time, over as many connections as it
// takes, each until it is acknowledged. It writes down what was.
import { setTimeout as sleep } from 'node:timers/promises';
import { Run, TestDevice } from './device.ts';
import type { Added, House } from './house.ts';
import { eventually } from './processes.ts';

const WINDOW = 4;
const RECONNECT_MS = 50;
/** Refusals after which the same is sent again. */
const FOR_NOW = ['STORE_FULL', 'STORE_FAILED', 'STORE_LOCKED'];

type Sent = ReturnType<Run['next']>;

export class Sender {
  readonly camera: Added;
  /** SHA-256 by segment. */
  readonly acked = new Map<string, string>();
  /** Codes of refusals for now. */
  readonly refusals: string[] = [];
  connections = 0;
  readonly #bytes: number;
  readonly #waiting: Sent[] = [];
  #run: Run | undefined;
  #device: TestDevice | undefined;

  constructor(camera: Added, bytes = 20_000) {
    this.camera = camera;
    this.#bytes = bytes;
  }

  /** Sends so many more and waits until all are acknowledged. */
  async send(count: number): Promise<void> {
    for (let left = count; left > 0 || this.#waiting.length > 0; ) {
      const device = await this.#connected();
      for (; left > 0 && this.#waiting.length < WINDOW; left--)
        if (this.#run) this.#waiting.push(this.#run.next(this.#bytes));
      await this.#sendWindow(device);
    }
  }

  /** Sends what waits, or one more, on one connection. Returns whether all was acknowledged. */
  async tryOne(): Promise<boolean> {
    if (!this.#device || this.#device.isClosed) this.#device = await this.#connect();
    if (!this.#device) return false;
    if (this.#run && this.#waiting.length === 0) this.#waiting.push(this.#run.next(this.#bytes));
    await this.#sendWindow(this.#device);
    return this.#waiting.length === 0;
  }

  /** What is acknowledged but not stored, or otherwise; what is stored twice, or was never sent. */
  async faults(house: House): Promise<string[]> {
    const acked = new Map(this.acked);
    const { segments } = await house.stored(this.camera.id);
    const stored = new Map(segments.map((one) => [`${one.streamId}/${one.sequence}`, one.sha256]));
    const sent = new Set([...this.acked.values(), ...this.#waiting.map(shaOf)]);
    return [
      ...[...acked].filter(([id, sha]) => stored.get(id) !== sha).map(([id]) => `lost ${id}`),
      ...[...stored].filter(([, sha]) => !sent.has(sha)).map(([id]) => `strange ${id}`),
      ...(stored.size === segments.length ? [] : ['an id is stored twice']),
    ];
  }

  /** Forgets acknowledged segments that the owner deleted. */
  forget(ids: readonly string[]): void {
    for (const id of ids) this.acked.delete(id);
  }

  async close(): Promise<void> {
    await this.#device?.close();
  }

  async #sendWindow(device: TestDevice): Promise<void> {
    const batch = [...this.#waiting];
    const answers = await Promise.all(
      batch.map(({ payload }) => device.publish('segment', payload)),
    );
    for (const [position, { outcome, codes }] of answers.entries()) {
      const sent = batch[position];
      const bad = codes.filter((code) => !FOR_NOW.includes(code));
      if (bad.length > 0) throw new Error(`refused: ${bad}`);
      this.refusals.push(...codes);
      if (outcome !== 'acked' || codes.length > 0 || !sent) continue;
      this.#waiting.splice(this.#waiting.indexOf(sent), 1);
      this.acked.set(`${sent.header.streamId}/${sent.header.sequence}`, shaOf(sent));
    }
  }

  async #connected(): Promise<TestDevice> {
    while (this.#device === undefined || this.#device.isClosed) {
      this.#device = await this.#connect();
      if (!this.#device) await sleep(RECONNECT_MS);
    }
    return this.#device;
  }

  async #connect(): Promise<TestDevice | undefined> {
    const device = await TestDevice.connect(this.camera.bundle).catch(() => undefined);
    if (!device) return undefined;
    await eventually('the grant', () => device.epoch > 0 || device.isClosed);
    if (device.isClosed) return undefined;
    this.#run ??= new Run(device.epoch);
    const { outcome, codes } = await device.publish('stream', this.#run.streamPayload);
    this.connections += 1;
    this.refusals.push(...codes);
    return outcome === 'acked' && codes.length === 0 ? device : undefined;
  }
}

const shaOf = ({ header }: Sent): string => Buffer.from(header.sha256).toString('hex');
