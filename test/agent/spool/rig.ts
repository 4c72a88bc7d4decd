// A spool on a folder of the test's own, with a clock that stands until it is told to go.
import { mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { pino } from 'pino';
import type { Test } from 'tap';
import { Flash } from '../../../agent/spool/flash.ts';
import { eraseSpool, spoolFolder } from '../../../agent/spool/folder.ts';
import type { Safe } from '../../../agent/spool/holdings.ts';
import { SpoolQueue, type SpoolQueueDeps } from '../../../agent/spool/queue.ts';
import type { SpoolItem } from '../../../agent/spool/spool.ts';
import type { AgentConfig } from '../../../proto/agent-config.ts';
import { decodeSegment } from '../../../proto/segment.ts';
import { BOOT, header, media, SECOND_US, stream } from './captured.ts';

const DEVICE = 'cam-aaaaaaaaaaaaaaaa';
const silent = pino({ level: 'silent' });
const CONFIG = {
  maxBytes: 64 << 20,
  maxAgeS: 604_800,
  memoryBytes: 1 << 20,
  flushAfterMs: 10_000,
  minFreeMemoryBytes: 0,
  durability: 'sparing',
} as const;

type Config = AgentConfig['spool'];
type Over = Partial<Omit<SpoolQueueDeps, 'config'>>;

export class Rig {
  readonly stateDir: string;
  readonly safe: Safe[] = [];
  readonly log: string[] = [];
  nowUs = 1000 * SECOND_US;
  queue: SpoolQueue;
  flash: Flash;
  readonly #config: Config;
  #end: AbortController | undefined;
  #over: Promise<void> = Promise.resolve();

  constructor(t: Test, config: Partial<Config> = {}, over: Over = {}) {
    this.stateDir = join(t.testdir(), 'state');
    mkdirSync(this.stateDir, { recursive: true });
    this.#config = { ...CONFIG, ...config };
    const { flash } = Flash.open(spoolFolder(this.stateDir), DEVICE, silent);
    this.flash = flash;
    this.queue = this.open(over);
    t.teardown(() => this.stop());
  }

  /** Another run of the agent on the same folder; the one before is left as it is. */
  open(over: Over = {}): SpoolQueue {
    const write = (line: string) => this.log.push(line);
    const log = pino({ level: 'debug' }, { write });
    const opened = Flash.open(spoolFolder(this.stateDir), DEVICE, log);
    this.flash = opened.flash;
    this.queue = new SpoolQueue({
      config: this.#config,
      flash: opened.flash,
      opened,
      clock: { monoUs: () => this.nowUs, wallUs: () => this.nowUs + 1_800_000_000 * SECOND_US },
      bootId: BOOT,
      floorUs: () => 0,
      usualUs: SECOND_US,
      mark: null,
      eraseUnread: () => eraseSpool(this.stateDir),
      onSafe: (safe) => this.safe.push(safe),
      log,
      ...over,
    });
    return this.queue;
  }

  /** Moves what is due to flash, as time stands, or everything. */
  async settle(isAll = false): Promise<void> {
    await this.queue.flush(isAll);
  }

  /** Lets the spool work by itself until stop(). */
  start(): void {
    this.#end = new AbortController();
    this.#over = this.queue.run(new AbortController().signal, this.#end.signal);
  }

  async stop(): Promise<void> {
    this.#end?.abort();
    await this.#over;
  }

  /** Names of what lies on flash, the key left out. */
  onFlash(): string[] {
    return readdirSync(spoolFolder(this.stateDir))
      .filter((name) => name !== 'key')
      .sort()
      .map((name) => name.replace(/^0+/, ''));
  }

  /** The sets of scopes for which there is a key. */
  keys(): string[] {
    const file: { keys: object } = JSON.parse(
      readFileSync(join(spoolFolder(this.stateDir), 'key'), 'utf8'),
    );
    return Object.keys(file.keys);
  }

  /** Captures segments of a stream, the stream first if it is 'a' and new. */
  capture(from: number, to: number, bytes = 1000): void {
    if (from === 0) this.queue.stream(stream('a'));
    for (let sequence = from; sequence < to; sequence += 1)
      this.queue.segment(header('a', sequence), media(bytes));
  }
}

export function told(item: SpoolItem | undefined): string {
  if (item === undefined) return 'nothing';
  if (item.kind === 'segment') return `segment ${item.header.sequence}`;
  if (item.kind === 'stream') return 'stream';
  if (item.kind === 'event')
    return `event ${item.event.kind} ${item.event.lasts ? 'begins' : 'over'} ${item.event.eventId}`;
  const startS = (item.gap.startMonoUs - SECOND_US) / SECOND_US;
  return `gap ${item.gap.reason} ${startS}+${item.gap.durationUs / SECOND_US}`;
}

/** Takes and acknowledges everything, live or not; segments are opened. */
export async function drain(queue: SpoolQueue): Promise<string[]> {
  const seen: string[] = [];
  for (;;) {
    const item = queue.next('backlog') ?? queue.next('live');
    if (item === undefined) return seen;
    if (item.kind === 'segment') {
      const payload = await item.payload();
      // Could not be read: a Gap is there instead.
      if (payload === undefined) continue;
      if (decodeSegment(payload).sequence !== item.header.sequence) throw new Error('another one');
    }
    seen.push(told(item));
    queue.free(item.id);
  }
}
