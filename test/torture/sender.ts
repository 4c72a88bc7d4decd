// A device of the tests' own that sends small segments of random size, connection after connection, and
// knows what was acknowledged. INVARIANT: what was not acknowledged is sent again, unchanged.
import { setTimeout as sleep } from 'node:timers/promises';
import { Run, TestDevice } from '../e2e/device.ts';
import type { Added, House } from '../e2e/house.ts';
import { eventually } from '../e2e/processes.ts';
import { idOf } from './audit.ts';
import { persistently } from './camera.ts';

const LARGEST_BYTES = 60_000;
const TOGETHER = 3;
const PAUSE_MS = 20;

type Piece = ReturnType<Run['next']>;

export class Sender {
  readonly camera: Added;
  readonly acked = new Map<string, string>();
  resent = 0;
  readonly #house: House;
  readonly #random: () => number;
  #isStopped = false;

  constructor(house: House, camera: Added, random: () => number) {
    this.camera = camera;
    this.#house = house;
    this.#random = random;
  }

  /** Ends after stop(). */
  async run(): Promise<void> {
    let run: Run | undefined;
    let waiting: Piece[] = [];
    while (!this.#isStopped) {
      const device = await TestDevice.connect(this.camera.bundle).catch(() => undefined);
      if (device === undefined) {
        await sleep(PAUSE_MS);
        continue;
      }
      await eventually('the grant', () => device.epoch > 0 || device.isClosed || this.#isStopped);
      if (device.epoch === 0) continue;
      run ??= new Run(device.epoch);
      if (!device.isClosed) await device.publish('stream', run.streamPayload);
      this.resent += waiting.length;
      while (!this.#isStopped && !device.isClosed) {
        while (waiting.length < TOGETHER)
          waiting.push(run.next(1000 + Math.floor(this.#random() * LARGEST_BYTES)));
        waiting = await this.#send(device, waiting);
        await sleep(PAUSE_MS);
      }
      await device.close();
    }
  }

  /** Waits until one more is acknowledged. */
  async sendsOn(): Promise<void> {
    const { size } = this.acked;
    await eventually('the device sends on', () => this.acked.size > size);
  }

  stop(): void {
    this.#isStopped = true;
  }

  /** What is acknowledged but not stored, or stored otherwise; and what is stored twice. */
  async faults(): Promise<string[]> {
    const acked = new Map(this.acked);
    const { segments } = await persistently(() => this.#house.stored(this.camera.id));
    const stored = new Map(segments.map((one) => [idOf(one), one.sha256]));
    const faults = [...acked]
      .filter(([id, sha256]) => stored.get(id) !== sha256)
      .map(([id]) => `acknowledged, lost: ${id}`);
    if (stored.size !== segments.length) faults.push('an id is stored twice');
    if (new Set(segments.map(({ sha256 }) => sha256)).size !== segments.length)
      faults.push('media are stored twice');
    return faults;
  }

  /** Sends all together; returns those that were not acknowledged. */
  async #send(device: TestDevice, batch: readonly Piece[]): Promise<Piece[]> {
    const answers = await Promise.all(
      batch.map(({ payload }) => device.publish('segment', payload)),
    );
    return batch.filter(({ header }, i) => {
      if (answers[i]?.outcome !== 'acked') return true;
      if (answers[i].codes.length > 0) throw new Error(`refused: ${answers[i].codes}`);
      this.acked.set(idOf(header), Buffer.from(header.sha256).toString('hex'));
      return false;
    });
  }
}
