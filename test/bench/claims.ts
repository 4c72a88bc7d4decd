// Boards claimed by setup codes on one server: one after another, twenty at a time, and all at once,
// which is more than the quarantine has room for. Each proves its id afterwards, and the owner's list
// has to tell every camera by the name of its code.
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { absolute, type Bench, type Figure, percentile } from './figures.ts';
import { makeData, Server } from './lenscap.ts';
import type { Code, FromBoards, Result, ToBoards } from './load/claim-messages.ts';
import { cpuSeconds, type Started, start, stop } from './processes.ts';

const FULL = 500;
const QUICK = 40;
const TOGETHER = 20;
const P99_MS = 2000;
/** All codes of a round are open at the same time. */
const LIMITS = { claims: { maxOpen: 1000 } };

interface Round {
  readonly name: string;
  readonly atATime: number;
  readonly results: readonly Result[];
  readonly wallS: number;
  readonly cpuMs: number;
}

/** How long claims take, what they cost, and that none is mixed up. */
export async function claimFigures(bench: Bench): Promise<Figure[]> {
  const folder = join(bench.folder, 'claims');
  mkdirSync(folder, { recursive: true });
  await makeData(folder, LIMITS);
  const server = await Server.start(folder);
  const count = bench.isQuick ? QUICK : FULL;
  const rounds: Round[] = [];
  try {
    for (const [name, atATime] of [
      ['one after another', 1],
      [`${TOGETHER} at a time`, TOGETHER],
      ['all at once', count],
    ] as const) {
      rounds.push(await round(server, name, atATime, count));
      describe(bench, rounds.at(-1));
    }
    const mixedUp = await countMixedUp(
      server,
      rounds.flatMap(({ results }) => results),
    );
    return [...rounds.flatMap(figuresOf), absolute('identities mixed up', '', mixedUp, 0)];
  } finally {
    await server.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

async function round(server: Server, name: string, atATime: number, count: number): Promise<Round> {
  const codes: Code[] = [];
  for (let i = 0; i < count; i++) {
    const camera = `${name}, camera ${i}`;
    codes.push({ name: camera, code: await server.makeClaim(camera) });
  }
  const boards = await Boards.make(count);
  try {
    const cpuBefore = cpuSeconds(server.started.pid);
    const startMs = performance.now();
    const results = await boards.claim({ codes, atATime });
    const wallS = (performance.now() - startMs) / 1000;
    const cpuMs = ((cpuSeconds(server.started.pid) - cpuBefore) * 1000) / count;
    return { name, atATime, results, wallS, cpuMs };
  } finally {
    await boards.end();
  }
}

/** A process of boards, their keys made. */
class Boards {
  readonly #started: Started;
  readonly #ready = Promise.withResolvers<void>();
  readonly #done = Promise.withResolvers<readonly Result[]>();

  private constructor(count: number) {
    const path = new URL('./load/boards.ts', import.meta.url).pathname;
    const stdio = ['ignore', 'pipe', 'pipe', 'ipc'] as const;
    this.#started = start(process.execPath, [path, String(count)], { stdio: [...stdio] });
    for (const { promise } of [this.#ready, this.#done]) promise.catch(() => undefined);
    this.#started.child.on('message', (message: FromBoards) => {
      if (message.kind === 'ready') this.#ready.resolve();
      else this.#done.resolve(message.results);
    });
    this.#started.child.once('exit', () => {
      const error = new Error(`the boards ended: ${this.#started.stderr.slice(-5).join('\n')}`);
      this.#ready.reject(error);
      this.#done.reject(error);
    });
  }

  static async make(count: number): Promise<Boards> {
    const boards = new Boards(count);
    await boards.#ready.promise;
    return boards;
  }

  async claim(task: ToBoards): Promise<readonly Result[]> {
    this.#started.child.send(task);
    return await this.#done.promise;
  }

  async end(): Promise<void> {
    await stop(this.#started);
  }
}

/** Ids that are not unique, or that the owner sees under the name of another code. */
async function countMixedUp(server: Server, results: readonly Result[]): Promise<number> {
  const names = new Map((await server.devices()).map(({ id, name }) => [id, name]));
  const seen = new Set<string>();
  let mixedUp = 0;
  for (const result of results) {
    if (!result.isClaimed) continue;
    if (seen.has(result.deviceId) || names.get(result.deviceId) !== result.name) mixedUp += 1;
    seen.add(result.deviceId);
  }
  return mixedUp + Math.abs(names.size - seen.size);
}

const claimedOf = ({ results }: Round) => results.filter((result) => result.isClaimed);

function figuresOf(round: Round): Figure[] {
  const { name, atATime, results, cpuMs } = round;
  const times = claimedOf(round).map(({ connectedMs }) => connectedMs);
  const limit = atATime === TOGETHER ? P99_MS : undefined;
  return [
    absolute(`boards not claimed, ${results.length} ${name}`, '', results.length - times.length, 0),
    absolute(`claim p50, ${name}`, 'ms', percentile(times, 0.5)),
    absolute(`claim p99, ${name}`, 'ms', percentile(times, 0.99), limit),
    absolute(`a claim and its first connection, ${name}`, 'CPU ms', cpuMs),
  ];
}

function describe(bench: Bench, round: Round | undefined): void {
  if (!round) return;
  const claimed = claimedOf(round);
  const issued = claimed.map(({ issuedMs }) => issuedMs);
  const failures = countOf(claimed.flatMap((one) => one.failures));
  const faults = countOf(round.results.flatMap((result) => (result.isClaimed ? [] : result.why)));
  bench.print(
    `  ${round.name}: ${claimed.length} of ${round.results.length} in ${round.wallS.toFixed(1)} s; ` +
      `issued p50 ${percentile(issued, 0.5).toFixed(0)}, p99 ${percentile(issued, 0.99).toFixed(0)} ms; ` +
      `tried again after ${failures}; failed: ${faults}`,
  );
}

/** Each text with how often it comes. */
function countOf(texts: readonly string[]): string {
  const counts: Record<string, number> = {};
  for (const text of texts) counts[text] = (counts[text] ?? 0) + 1;
  return JSON.stringify(counts);
}
