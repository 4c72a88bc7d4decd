// Boards with pushed configurations, for tests: signed documents, a gate, a camera that obeys the test.
import { pino } from 'pino';
import type { Pictures } from '../../../agent/config/condition.ts';
import { Configuring } from '../../../agent/config/configuring.ts';
import type { DesiredEvent } from '../../../agent/config/desired.ts';
import { Pushed } from '../../../agent/config/pushed.ts';
import { Trials } from '../../../agent/config/trial.ts';
import { type AgentConfig, checkAgentConfig } from '../../../proto/agent-config.ts';
import { decodeReported, type Reported, signDesiredConfig } from '../../../proto/desired-config.ts';
import type { ErrorCode, LenscapError } from '../../../proto/errors.ts';
import { INFO_FIELDS, type InfoField } from '../../../proto/info.ts';
import type { Scope } from '../../../proto/scopes.ts';
import type { Fault } from '../../../proto/validate.ts';
import { consent, DEVICE, SimulatedClock } from '../consent/grants.ts';

export function boardOf(stateDir: string, over: object = {}): AgentConfig {
  const document = {
    identity: '/nowhere/identity',
    stateDir,
    source: { type: 'test' },
    health: { provenAfterMs: 500 },
    capture: { stallTimeoutMs: 500, startTimeoutMs: 500 },
    ...over,
  };
  return checkAgentConfig(document, 'board');
}

export function desired(version: number, document: unknown, key = consent.privateKey): Uint8Array {
  const text = typeof document === 'string' ? document : JSON.stringify(document);
  return signDesiredConfig({ deviceId: DEVICE, version, document: text }, key);
}

const came = (version: number, faults: readonly Fault[] = []): DesiredEvent => {
  const document = { video: { bitrateKbps: 50 + version } };
  return { kind: 'received', version, document, code: 'CONFIG_INVALID', faults };
};

/** What happens to some versions, and what is said of each step: one of each kind that is saved. */
export const LIFE: readonly (readonly [said: string, event: DesiredEvent])[] = [
  ['received 4', came(4)],
  ['proven 4', { kind: 'proven' }],
  ['received 5', came(5)],
  ['reverted 5', { kind: 'failed', code: 'CONFIG_UNHEALTHY', detail: 'no picture came' }],
  ['rejected 6', came(6, [{ path: '/x', message: 'must not be' }])],
  ['received 7', came(7)],
  ['excused 7', { kind: 'found', isExcused: true }],
  ['rested 7', { kind: 'rested' }],
];

/** What the board may tell and take. */
export class TestGate {
  readonly #listeners = new Set<() => void>();
  scopes: readonly Scope[] = ['video', 'device_info'];
  parts: readonly InfoField[] = INFO_FIELDS;
  epoch = 1;

  grantOf(scope: Scope): { epoch: number; since: number } | null {
    return this.scopes.includes(scope) ? { epoch: this.epoch, since: 1 } : null;
  }

  infoFields(): readonly InfoField[] {
    return this.scopes.includes('device_info') ? this.parts : [];
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  set(scopes: readonly Scope[], parts: readonly InfoField[] = INFO_FIELDS): void {
    this.scopes = scopes;
    this.parts = parts;
    this.epoch += 1;
    for (const listener of [...this.#listeners]) listener();
  }
}

/** A camera whose pictures come while the test lets them. */
export class TestPictures implements Pictures {
  readonly #listeners = new Set<(error: LenscapError) => void>();
  readonly done: string[] = [];
  isOpen = true;
  flow = true;
  /** What is set needs another capture. */
  isStiff = false;
  /** What adjust() rejects with; null: it works. */
  fault: Error | null = null;
  /** Null: none came so far. */
  lastUs: number | null = nowUs();

  isWanted(): boolean {
    return this.isOpen;
  }

  lastPictureUs(): number | null {
    if (this.flow && this.isOpen) this.lastUs = nowUs();
    return this.lastUs;
  }

  changeOf(before: AgentConfig, after: AgentConfig): 'none' | 'live' | 'restart' {
    if (before.video.width !== after.video.width) return 'restart';
    return before.video.bitrateKbps === after.video.bitrateKbps ? 'none' : 'live';
  }

  async adjust(): Promise<'set' | 'restart'> {
    this.done.push('adjust');
    if (this.fault !== null) throw this.fault;
    return this.isStiff ? 'restart' : 'set';
  }

  async restart(): Promise<void> {
    this.done.push('restart');
  }

  onFailed(listener: (error: LenscapError) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  fail(error: LenscapError): void {
    for (const listener of [...this.#listeners]) listener(error);
  }
}

export const nowUs = (): number => Math.round(performance.now() * 1000);

/** One run of an agent on its board, until end() or kill(). */
export class Run {
  readonly gate: TestGate;
  readonly pictures: TestPictures;
  readonly pushed: Pushed;
  readonly reports: Reported[] = [];
  readonly reverted: { code: ErrorCode; detail: string }[] = [];
  readonly log: { level: number; msg: string }[] = [];
  readonly #configuring: Configuring;
  readonly #stop = new AbortController();
  readonly #line = new AbortController();
  readonly #trials: Promise<void>;
  readonly #lines: Promise<void>[] = [];

  constructor(board: AgentConfig, gate = new TestGate(), pictures = new TestPictures()) {
    this.gate = gate;
    this.pictures = pictures;
    const log = pino({ level: 'trace' }, { write: (line) => this.log.push(JSON.parse(line)) });
    const clock = new SimulatedClock();
    this.pushed = new Pushed({ board, clock, log });
    const { pushed } = this;
    const identity = { deviceId: DEVICE, consentKey: consent.publicKey };
    this.#configuring = new Configuring({ identity, pushed, gate, log });
    const onReverted = (refusal: { code: ErrorCode; detail: string }) => {
      this.reverted.push(refusal);
    };
    const trials = new Trials({ pushed, pictures, clock: { monoUs: nowUs }, log, onReverted });
    this.#trials = trials.run(this.#stop.signal);
    this.connect();
  }

  /** A new connection. */
  connect(): void {
    const publish = async (_noun: string, payload: Uint8Array) => {
      this.reports.push(decodeReported(payload));
    };
    const line = { publish, reconnect: () => undefined };
    this.#lines.push(this.#configuring.run(line, this.#line.signal));
  }

  receive(payload: Uint8Array): void {
    this.#configuring.receive(payload);
  }

  get states(): string[] {
    return this.reports.map(({ version, state }) => `${version} ${state}`);
  }

  /** An orderly end. */
  async end(): Promise<void> {
    this.#stop.abort();
    this.#line.abort();
    await this.#trials;
    await Promise.all(this.#lines);
  }

  said(): string {
    return this.log.map(({ msg }) => msg).join('\n');
  }
}
