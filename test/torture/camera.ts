// A camera of a long run: its agent through all its lives, what that said, kept on disk where no kill
// reaches it, and what was done to it and pressed for it, with the time. INVARIANT: one agent at a time.
import { appendFileSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Test } from 'tap';
import { type AgentOptions, startAgent, stateOf } from '../e2e/agent.ts';
import { FaultProxy } from '../e2e/fault-proxy.ts';
import type { Added, House } from '../e2e/house.ts';
import { captures, eventually, type Running } from '../e2e/processes.ts';
import { type Disturbance, type Evidence, endUs, type Press, type Stretch } from './audit.ts';
import { type Said, saidIn } from './said.ts';

/** A server that was killed is back by then, on a loaded machine too. */
const SERVER_BACK_MS = 60_000;
/** Between two questions to the server, which has other work. */
const LOOK_MS = 100;
/** Of the spool on flash. */
const KEY_FILE = 'key';

export class WatchedCamera {
  readonly presses: Press[] = [];
  readonly disturbances: Disturbance[] = [];
  readonly #t: Test;
  readonly #house: House;
  readonly #added: Added;
  readonly #line: FaultProxy;
  readonly #options: AgentOptions;
  /** Since when something may wait, as far as it was not withdrawn. */
  #lostAtUs: number | undefined;
  #agent: Running | undefined;
  /** Capture processes whose agent was killed. */
  readonly orphans: number[] = [];

  private constructor(
    t: Test,
    house: House,
    added: Added,
    line: FaultProxy,
    options: AgentOptions,
  ) {
    this.#t = t;
    this.#house = house;
    this.#added = added;
    this.#line = line;
    this.#options = options;
  }

  /** Adds a camera to the house, which reaches it over a line of its own. */
  static async add(
    t: Test,
    house: House,
    name: string,
    options: AgentOptions,
  ): Promise<WatchedCamera> {
    const { id, bundle, file } = await house.addDevice(name);
    const line = new FaultProxy(() => house.mqttPort);
    const port = await line.listen();
    t.teardown(() => line.close());
    const rerouted = { ...bundle, server: { ...bundle.server, port } };
    writeFileSync(file, JSON.stringify(rerouted), { mode: 0o600 });
    return new WatchedCamera(t, house, { id, bundle: rerouted, file }, line, options);
  }

  get id(): string {
    return this.#added.id;
  }

  get agent(): Running {
    if (this.#agent === undefined) throw new Error('no agent was started');
    return this.#agent;
  }

  get stateFolder(): string {
    return stateOf(this.#added);
  }

  get spoolFolder(): string {
    return join(this.stateFolder, 'spool');
  }

  get configFile(): string {
    return `${this.#added.file}.agent.json`;
  }

  get said(): Said {
    return saidIn(readFileSync(this.#logFile, 'utf8'));
  }

  get #logFile(): string {
    return `${this.#added.file}.log`;
  }

  start(): void {
    const agent = startAgent(this.#t, this.#added, this.#options);
    const keep = (text: string): void => appendFileSync(this.#logFile, text);
    agent.child.stdout?.on('data', keep);
    agent.child.stderr?.on('data', keep);
    this.#agent = agent;
  }

  /** Ends the agent and starts the next one. */
  async restart(signal: NodeJS.Signals): Promise<void> {
    await this.stop(signal);
    this.start();
  }

  async stop(signal: NodeJS.Signals): Promise<number | string> {
    this.orphans.push(...captures(this.agent.pid));
    this.disturb(`agent ${signal}`);
    return this.agent.kill(signal);
  }

  /** Kills the capture process, when there is one. */
  killCapture(): boolean {
    const [pid] = captures(this.agent.pid);
    if (pid === undefined) return false;
    this.disturb('capture SIGKILL');
    process.kill(pid, 'SIGKILL');
    this.orphans.push(pid);
    return true;
  }

  disturb(what: string): void {
    const atUs = nowUs();
    this.disturbances.push({ what, atUs, untilUs: atUs });
  }

  async grant(...scopes: readonly string[]): Promise<number> {
    const before = this.presses.at(-1)?.scopes ?? [];
    const after = [...new Set([...before, ...scopes])];
    return this.#press(after, () => this.#house.grant(this.id, ...scopes));
  }

  /** These scopes, or all. */
  async withdraw(...scopes: readonly string[]): Promise<number> {
    if (this.#lostAtUs !== undefined)
      this.disturbances.push({
        what: 'withdrawn while it waited',
        atUs: this.#lostAtUs,
        untilUs: nowUs(),
      });
    this.#lostAtUs = undefined;
    const before = this.presses.at(-1)?.scopes ?? [];
    const after = scopes.length === 0 ? [] : before.filter((scope) => !scopes.includes(scope));
    return this.#press(after, () => this.#house.withdraw(this.id, ...scopes));
  }

  /** A press whose answer was lost is repeated; it makes another record of the same content. */
  async #press(scopes: readonly string[], ask: () => Promise<number>): Promise<number> {
    const askedAtUs = nowUs();
    const epoch = await persistently(ask);
    const answeredAtUs = nowUs();
    this.presses.push({ epoch, scopes, askedAtUs, answeredAtUs });
    this.disturbances.push({ what: 'a press', atUs: askedAtUs, untilUs: answeredAtUs });
    return epoch;
  }

  /** What is captured from now on waits; what is lost of it, a withdrawal alone may explain. */
  serverLost(): void {
    this.#lostAtUs ??= nowUs();
  }

  /** Breaks the line to the server; nothing passes until it is mended. */
  cut(): void {
    this.serverLost();
    this.#line.silence();
    this.#line.reset();
  }

  mend(): void {
    // What was pressed meanwhile is heard of now.
    this.disturb('the line mended');
    this.#line.speak();
  }

  /** Waits until something is stored that was captured from now on. */
  async recordsOn(): Promise<void> {
    const count = async () => (await persistently(() => this.#house.device(this.id))).segments;
    const before = await count();
    await this.#lives('it records on', async () => (await count()) > before + 1);
  }

  /** Waits until the camera has confirmed that it obeys this epoch. */
  async obeys(epoch: number): Promise<void> {
    await this.#lives(
      `epoch ${epoch} is obeyed`,
      async () => (await persistently(() => this.#house.device(this.id))).appliedEpoch >= epoch,
    );
  }

  /** Waits for it, unless the agent ends first. */
  async #lives(what: string, holds: () => Promise<boolean>): Promise<void> {
    const { agent } = this;
    const tail = () => agent.tail();
    const look = async () => agent.hasEnded || (await holds()) || sleep(LOOK_MS, false);
    await eventually(what, look, undefined, tail);
    if (agent.hasEnded) throw new Error(`the agent ended before ${what}: ${agent.tail()}`);
  }

  /** Names of the records on flash, whole or begun; none where there is no folder. */
  records(): string[] {
    try {
      return readdirSync(this.spoolFolder).filter((name) => name !== KEY_FILE);
    } catch {
      return [];
    }
  }

  /** Segments on flash. */
  segmentsOnFlash(): number {
    return this.records().filter((name) => name.endsWith('.segment')).length;
  }

  /** Sets of scopes with this one, of which there still is a key; the file may be there without one. */
  keysWith(scope: string): string[] {
    try {
      const text = readFileSync(join(this.spoolFolder, KEY_FILE), 'utf8');
      const { keys }: { keys: Record<string, string> } = JSON.parse(text);
      return Object.keys(keys).filter((scopes) => scopes.split(',').includes(scope));
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return [];
      throw error;
    }
  }

  /** Everything that the audit needs; from the first picture to the last one that is stored. */
  async evidence(mayLoseUs: number): Promise<Evidence> {
    const { segments, gaps } = await this.#house.stored(this.id);
    if (segments.length === 0) throw new Error(`nothing is stored of ${this.id}`);
    // The address takes whole milliseconds.
    const fromUs =
      Math.floor(Math.min(...segments.map(({ startAtUs }) => startAtUs)) / 1000) * 1000;
    const toUs = Math.ceil(Math.max(...segments.map(endUs)) / 1000) * 1000;
    return {
      segments,
      gaps,
      acknowledged: this.said.acknowledged,
      presses: this.presses,
      disturbances: this.disturbances.toSorted((one, other) => one.atUs - other.atUs),
      account: await this.#account(fromUs, toUs),
      fromUs,
      toUs,
      mayLoseUs,
    };
  }

  async #account(fromUs: number, toUs: number): Promise<readonly Stretch[]> {
    const span = `from=${isoTime(fromUs)}&to=${isoTime(toUs)}`;
    const path = `/api/devices/${this.id}/timeline?${span}`;
    return (await this.#house.ask<{ stretches: Stretch[] }>('GET', path)).stretches;
  }
}

/** Asks again for as long as the server is not there. @throws what it answers when it is. */
export async function persistently<T>(ask: () => Promise<T>): Promise<T> {
  let answer: { readonly value: T } | undefined;
  await eventually(
    'the server is back',
    async () => {
      try {
        answer = { value: await ask() };
      } catch (error) {
        // fetch() throws a TypeError when there is no connection, or a broken one.
        if (!(error instanceof TypeError)) throw error;
        await sleep(LOOK_MS);
      }
      return answer !== undefined;
    },
    SERVER_BACK_MS,
  );
  if (answer === undefined) throw new Error('the server did not come back');
  return answer.value;
}

export function nowUs(): number {
  return Date.now() * 1000;
}

function isoTime(us: number): string {
  return new Date(us / 1000).toISOString();
}
