// A bad line between agent and server: a TCP relay that delays, throttles, goes silent, breaks and lies
// about it, changeable while it runs. What it passes, it passes unchanged and in order.
import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

/** How the line is; the same in both directions. */
export interface Line {
  /** Each way, milliseconds. */
  readonly delayMs: number;
  /** Bits per second; 0: no limit. */
  readonly bitsPerS: number;
}

const PERFECT: Line = { delayMs: 0, bitsPerS: 0 };
/** The pieces of a limited line. */
const SLICE_MS = 20;
const FULL_SLICE = 64 * 1024;
/** Under way at a time in one direction; beyond it is not read. */
const MAX_UNDER_WAY = 8 << 20;

export class FaultProxy {
  readonly #target: () => number;
  readonly #server: Server;
  readonly #pairs = new Set<Pair>();
  #line = PERFECT;
  #silent = Promise.withResolvers<void>();
  #isSilent = false;
  #cutAt = Number.POSITIVE_INFINITY;
  /** Connections so far. */
  connections = 0;
  /** Bytes passed on to the server so far. */
  upBytes = 0;
  /** Times that a connection was broken by it. */
  broken = 0;

  /** @param target port of the server, asked for each connection. */
  constructor(target: () => number) {
    this.#target = target;
    this.#server = createServer({ allowHalfOpen: false, noDelay: true }, (near) =>
      this.#join(near),
    );
  }

  /** Returns the port. */
  async listen(): Promise<number> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    return this.port;
  }

  get port(): number {
    const address = this.#server.address();
    return typeof address === 'object' && address !== null ? address.port : 0;
  }

  get line(): Line {
    return this.#line;
  }

  /** From now on the line is like this; what is not named is perfect. */
  set(line: Partial<Line>): void {
    this.#line = { ...PERFECT, ...line };
  }

  /** Connections are accepted, and nothing passes in any direction, until `speak`. */
  silence(): void {
    this.#isSilent = true;
  }

  speak(): void {
    this.#isSilent = false;
    this.#silent.resolve();
    this.#silent = Promise.withResolvers();
  }

  /** A black hole of this length. */
  async blackHole(ms: number): Promise<void> {
    this.silence();
    await sleep(ms);
    this.speak();
  }

  /** The server loses every connection; the agent is not told. */
  halfOpen(): void {
    for (const pair of this.#pairs) pair.loseFarSide();
    this.broken += 1;
  }

  /** Every connection is reset, on both sides. */
  reset(): void {
    for (const pair of this.#pairs) pair.reset();
    this.broken += 1;
  }

  /** The connection that passes so many more bytes to the server is reset at exactly that byte. */
  cutAfter(bytes: number): void {
    this.#cutAt = this.upBytes + bytes;
  }

  async close(): Promise<void> {
    this.speak();
    for (const pair of this.#pairs) pair.reset();
    this.set({});
    this.#server.close();
    await once(this.#server, 'close');
  }

  #join(near: Socket): void {
    const far = connect({ port: this.#target(), host: '127.0.0.1', noDelay: true });
    this.connections += 1;
    const pair = new Pair(near, far);
    this.#pairs.add(pair);
    for (const end of [near, far])
      end.once('close', () => near.destroyed && far.destroyed && this.#pairs.delete(pair));
    const conditions = {
      line: () => this.#line,
      spoken: () => this.#spoken(),
      isHalf: () => pair.isHalf,
    };
    const up = new Way(near, far, { ...conditions, admit: (bytes) => this.#admit(pair, bytes) });
    const down = new Way(far, near, { ...conditions, admit: (bytes) => bytes });
    for (const way of [up, down]) void way.run();
  }

  async #spoken(): Promise<void> {
    while (this.#isSilent) await this.#silent.promise;
  }

  /** How many of these bytes reach the server. */
  #admit(pair: Pair, bytes: number): number {
    const room = this.#cutAt - this.upBytes;
    this.upBytes += Math.min(room, bytes);
    if (bytes < room) return bytes;
    this.#cutAt = Number.POSITIVE_INFINITY;
    this.broken += 1;
    // After what was admitted has gone.
    setImmediate(() => pair.reset());
    return room;
  }
}

/** The two ends of one connection. */
class Pair {
  readonly #near: Socket;
  readonly #far: Socket;
  /** The side of the agent is left alone. */
  isHalf = false;

  constructor(near: Socket, far: Socket) {
    this.#near = near;
    this.#far = far;
    for (const socket of [near, far]) socket.on('error', () => undefined);
    // An orderly end travels behind the bytes before it.
    near.once('close', (hadError) => hadError && far.resetAndDestroy());
    far.once('close', (hadError) => hadError && !this.isHalf && near.resetAndDestroy());
  }

  loseFarSide(): void {
    this.isHalf = true;
    this.#far.resetAndDestroy();
  }

  reset(): void {
    this.#near.resetAndDestroy();
    this.#far.resetAndDestroy();
  }
}

interface Conditions {
  readonly line: () => Line;
  /** Resolves while the line is not silent. */
  readonly spoken: () => Promise<void>;
  readonly isHalf: () => boolean;
  /** How many of so many bytes may pass. */
  readonly admit: (bytes: number) => number;
}

/** One direction of a connection. */
class Way {
  readonly #from: Socket;
  readonly #to: Socket;
  readonly #conditions: Conditions;
  #underWay = 0;
  #last: Promise<void> = Promise.resolve();

  constructor(from: Socket, to: Socket, conditions: Conditions) {
    this.#from = from;
    this.#to = to;
    this.#conditions = conditions;
  }

  async run(): Promise<void> {
    let dueMs = 0;
    for (;;) {
      await this.#conditions.spoken();
      const { bitsPerS, delayMs } = this.#conditions.line();
      const bytes = await this.#read(bitsPerS);
      if (bytes === null) break;
      const nowMs = performance.now();
      if (bitsPerS > 0) dueMs = Math.max(dueMs, nowMs) + (bytes.length * 8000) / bitsPerS;
      this.#underWay += bytes.length;
      // In order, even when the delay becomes shorter meanwhile.
      this.#last = Promise.all([this.#last, sleep(delayMs)]).then(() => this.#arrive(bytes));
      if (dueMs > nowMs) await sleep(dueMs - nowMs);
      if (this.#underWay > MAX_UNDER_WAY) await this.#last;
    }
    await this.#last;
    if (!this.#conditions.isHalf()) this.#to.end();
  }

  /** The next bytes; null at the end. */
  async #read(bitsPerS: number): Promise<Buffer | null> {
    const most = bitsPerS === 0 ? FULL_SLICE : Math.ceil((bitsPerS * SLICE_MS) / 8000);
    // What has nowhere to go is not read: a sender on a dead line gets no sign of life either.
    while (!this.#from.destroyed && !this.#from.readableEnded && !this.#to.destroyed) {
      const size = Math.min(most, this.#from.readableLength);
      const bytes: Buffer | null = this.#from.read(size > 0 ? size : undefined);
      if (bytes !== null) return bytes;
      await this.#news();
    }
    return null;
  }

  #news(): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        for (const event of NEWS) this.#from.removeListener(event, done);
        resolve();
      };
      for (const event of NEWS) this.#from.once(event, done);
    });
  }

  async #arrive(bytes: Buffer): Promise<void> {
    await this.#conditions.spoken();
    this.#underWay -= bytes.length;
    const admitted = this.#conditions.admit(bytes.length);
    if (this.#to.destroyed || this.#to.writableEnded) return;
    if (!this.#to.write(bytes.subarray(0, admitted))) await drained(this.#to);
  }
}

const NEWS = ['readable', 'end', 'close'] as const;

function drained(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    if (socket.destroyed) return resolve();
    const done = () => {
      socket.removeListener('drain', done);
      socket.removeListener('close', done);
      resolve();
    };
    socket.once('drain', done);
    socket.once('close', done);
  });
}

/** Ways to break a line at random, in mid-segment more often than not. */
export type Mischief = 'reset' | 'cut' | 'half_open' | 'black_hole';

export interface StormOptions {
  readonly kinds: readonly Mischief[];
  /** Mean time between two of them, milliseconds. */
  readonly everyMs: number;
  readonly blackHoleMs: number;
  /** Within so many bytes a cut falls. */
  readonly withinBytes: number;
}

/** Breaks the line at random until the signal is aborted; returns what it did, in order. */
export async function storm(
  proxy: FaultProxy,
  random: () => number,
  options: StormOptions,
  signal: AbortSignal,
): Promise<Mischief[]> {
  const done: Mischief[] = [];
  // One of each before the first comes again.
  const first = Math.floor(random() * options.kinds.length);
  while (!signal.aborted) {
    await sleep(2 * random() * options.everyMs, undefined, { signal }).catch(() => undefined);
    const kind = options.kinds[(first + done.length) % options.kinds.length];
    if (signal.aborted || kind === undefined) break;
    done.push(kind);
    if (kind === 'reset') proxy.reset();
    else if (kind === 'cut') proxy.cutAfter(1 + Math.floor(random() * options.withinBytes));
    else if (kind === 'half_open') proxy.halfOpen();
    else await proxy.blackHole(random() * options.blackHoleMs);
  }
  return done;
}
