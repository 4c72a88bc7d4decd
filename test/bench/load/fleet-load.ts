// The bench's handle on simulated devices, spread over processes.
import { setTimeout as sleep } from 'node:timers/promises';
import { type Started, start, stop } from '../processes.ts';
import type {
  Acked,
  ConfigAnswer,
  FleetSpec,
  FromFleet,
  Refusal,
  Status,
  ToFleet,
} from './fleet-messages.ts';

const NONE: Status = {
  ...{ connected: 0, losses: 0, lastUpAtMs: 0 },
  ...{ refusals: [], acked: [], answers: [] },
};
const POLL_MS = 20;

interface Part {
  readonly started: Started;
  status: Status;
  failure: string | undefined;
}

export class Fleet {
  readonly refusals: Refusal[] = [];
  readonly acked: Acked[] = [];
  readonly answers: ConfigAnswer[] = [];
  readonly size: number;
  readonly #parts: readonly Part[];

  constructor(spec: FleetSpec, processes: number) {
    this.size = spec.devices.length;
    const share = Math.ceil(this.size / processes);
    this.#parts = Array.from({ length: processes }, (_, i) => {
      const devices = spec.devices.slice(i * share, (i + 1) * share);
      return this.#start({ ...spec, devices });
    });
  }

  get connected(): number {
    return this.#sum(({ connected }) => connected);
  }

  get losses(): number {
    return this.#sum(({ losses }) => losses);
  }

  /** When the last connection came to stand. */
  get lastUpAtMs(): number {
    return Math.max(...this.#parts.map(({ status }) => status.lastUpAtMs));
  }

  /** Until all are connected and this many connections were lost before. @throws when it takes longer. */
  async whole(losses: number, timeoutMs: number): Promise<void> {
    const endMs = performance.now() + timeoutMs;
    while (this.connected < this.size || this.losses < losses) {
      const failure = this.#parts.find((part) => part.failure !== undefined)?.failure;
      if (failure !== undefined) throw new Error(`the simulated devices failed: ${failure}`);
      if (performance.now() > endMs)
        throw new Error(
          `${this.connected} of ${this.size} connected after ${timeoutMs} ms: ${this.reasons(0)}`,
        );
      await sleep(POLL_MS);
    }
  }

  /** Why devices were refused from then on, with how often. */
  reasons(fromMs: number): string {
    const counts: Record<string, number> = {};
    for (const { why } of this.refusals.filter(({ atMs }) => atMs >= fromMs))
      counts[why] = (counts[why] ?? 0) + 1;
    return JSON.stringify(counts);
  }

  settle(): void {
    this.#say({ kind: 'settle' });
  }

  cut(): void {
    this.#say({ kind: 'cut' });
  }

  async end(): Promise<void> {
    await Promise.all(this.#parts.map(({ started }) => stop(started)));
  }

  #start(spec: FleetSpec): Part {
    const path = new URL('./fleet.ts', import.meta.url).pathname;
    const started = start(process.execPath, [path], { stdio: ['ignore', 'pipe', 'pipe', 'ipc'] });
    const part: Part = { started, status: NONE, failure: undefined };
    started.child.on('message', (message: FromFleet) => {
      if (message.kind === 'failed') part.failure = message.why;
      else {
        part.status = message.status;
        this.refusals.push(...message.status.refusals);
        this.acked.push(...message.status.acked);
        this.answers.push(...message.status.answers);
      }
    });
    started.child.once('exit', () => {
      part.failure ??= started.stderr.slice(-5).join('\n');
    });
    this.#sayTo(part, { kind: 'start', spec });
    return part;
  }

  #say(message: ToFleet): void {
    for (const part of this.#parts) this.#sayTo(part, message);
  }

  #sayTo({ started }: Part, message: ToFleet): void {
    started.child.send(message);
  }

  #sum(of: (status: Status) => number): number {
    return this.#parts.reduce((sum, { status }) => sum + of(status), 0);
  }
}
