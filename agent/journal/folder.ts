// The files of the journal: NDJSON, named by the number of their first entry, together within a bound,
// the oldest go. INVARIANTS: mode 0600; a line that a crash cut costs that line alone; all of it belongs
// to one device. Calls are synchronous, since the last words before an end have to get there.
import {
  chmodSync,
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { type Entry, readText } from './entry.ts';

const NAME = /^(\d{15})\.ndjson$/;
const EPOCH = /^\{"number":\d+,"epoch":(\d+),/;
const OWNER = 'owner';
/** Files at the bound: so much of it goes at a time. */
const FILES = 8;
const MAX_FILE_BYTES = 1 << 20;

interface File {
  readonly first: number;
  readonly path: string;
  bytes: number;
}

export interface Found {
  /** Highest number of an entry; 0 for none. */
  readonly last: number;
  /** Up to where everything was sent; 0 for nothing. */
  readonly sent: number;
}

export class JournalFolder {
  readonly #folder: string;
  #files: File[] = [];
  /** Whether the last line may lack its end. */
  #isCut = false;

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** Whether it was erased by somebody else since it was opened. */
  get isGone(): boolean {
    return !existsSync(this.#folder);
  }

  /** Makes it where it is missing; what is there of another device is erased. @throws Error of the system. */
  open(deviceId: string): Found {
    const isOurs = this.#owner() === deviceId;
    if (!isOurs) this.erase();
    mkdirSync(this.#folder, { recursive: true, mode: 0o700 });
    if (!isOurs) writeFileSync(join(this.#folder, OWNER), deviceId, { mode: 0o600 });
    this.#files = readdirSync(this.#folder)
      .flatMap((name) => {
        const [, first] = NAME.exec(name) ?? [];
        const path = join(this.#folder, name);
        return first === undefined ? [] : [{ first: Number(first), path, bytes: bytesOf(path) }];
      })
      .sort((one, other) => one.first - other.first);
    this.#isCut = this.#files.length > 0;
    return this.#find();
  }

  /** Erases all of it. @throws Error of the system. */
  erase(): void {
    this.#files = [];
    rmSync(this.#folder, { recursive: true, force: true });
  }

  /**
   * Adds lines, each with its end, of which the first entry has this number.
   * @throws Error of the system; then all or nothing of it may be there.
   */
  append(first: number, text: string, isDurable: boolean, maxBytes: number): void {
    const bytes = Buffer.byteLength(text);
    const limit = Math.min(MAX_FILE_BYTES, Math.floor(maxBytes / FILES));
    let file = this.#files.at(-1);
    if (file === undefined || file.bytes + bytes > limit) {
      const path = join(this.#folder, `${String(first).padStart(15, '0')}.ndjson`);
      file = { first, path, bytes: bytesOf(path) };
      this.#files.push(file);
      this.#isCut = file.bytes > 0;
    }
    const fd = openSync(file.path, 'a', 0o600);
    try {
      const content = Buffer.from(`${this.#isCut ? '\n' : ''}${text}`);
      this.#isCut = true;
      for (let at = 0; at < content.length; ) at += writeSync(fd, content, at);
      if (isDurable) fsyncSync(fd);
      this.#isCut = false;
    } finally {
      closeSync(fd);
      // Also what a write left that failed half-way counts.
      file.bytes = bytesOf(file.path);
    }
  }

  /** Removes the oldest files beyond the bound. Returns what lay in them. @throws Error of the system. */
  rotate(maxBytes: number): Entry[] {
    const lost: Entry[] = [];
    let total = this.#files.reduce((sum, { bytes }) => sum + bytes, 0);
    while (total > maxBytes) {
      const [oldest] = this.#files;
      if (oldest === undefined || this.#files.length === 1) break;
      lost.push(...entriesOf(oldest.path));
      rmSync(oldest.path, { force: true });
      this.#files.shift();
      total -= oldest.bytes;
    }
    return lost;
  }

  /** Removes each file in which an entry of such an epoch lies. @throws Error of the system. */
  remove(isStale: (epoch: number) => boolean): void {
    this.#files = this.#files.filter(({ path }) => {
      if (!epochsOf(path).some(isStale)) return true;
      rmSync(path, { force: true });
      return false;
    });
  }

  /** Entries above a number, in order, up to where it was said what was sent; none when there are no more. */
  after(number: number): Entry[] {
    const from = this.#files.findLastIndex(({ first }) => first <= number + 1);
    for (const { path } of this.#files.slice(Math.max(0, from))) {
      const entries = stretchOf(path, number);
      if (entries.length > 0) return entries;
    }
    return [];
  }

  #owner(): string | undefined {
    try {
      chmodSync(this.#folder, 0o700);
      return readFileSync(join(this.#folder, OWNER), 'utf8');
    } catch {
      return undefined;
    }
  }

  /** From the newest file back, until both are known. */
  #find(): Found {
    let [last, sent] = [0, 0];
    for (const { path } of this.#files.toReversed()) {
      for (const text of linesOf(path)) {
        const read = readText(text);
        if (read === null) continue;
        if ('sent' in read) sent = Math.max(sent, read.sent);
        else last = Math.max(last, read.number);
      }
      if (sent > 0 && last > 0) break;
    }
    return { last, sent };
  }
}

/** All entries. What a write that failed half-way left is there twice; it counts once. */
function entriesOf(path: string): Entry[] {
  return stretchOf(path, 0, () => false);
}

/** Entries above a number up to the next word about what was sent. */
function stretchOf(path: string, number: number, isEnd = isSome): Entry[] {
  const stretch: Entry[] = [];
  for (const text of linesOf(path)) {
    const read = readText(text);
    if (read === null) continue;
    if ('sent' in read) {
      if (isEnd(stretch)) break;
    } else if (read.number > (stretch.at(-1)?.number ?? number)) stretch.push(read);
  }
  return stretch;
}

function isSome(entries: readonly Entry[]): boolean {
  return entries.length > 0;
}

/** Read off without opening the lines. */
function epochsOf(path: string): number[] {
  const epochs = linesOf(path).map((text) => EPOCH.exec(text)?.[1] ?? '0');
  return [...new Set(epochs)].map(Number);
}

/** A file that cannot be read holds nothing. */
function linesOf(path: string): string[] {
  try {
    return readFileSync(path, 'utf8').split('\n');
  } catch {
    return [];
  }
}

function bytesOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}
