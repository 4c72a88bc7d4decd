// Small files by which the kernel and the image tell what this board is and how it is. INVARIANTS: what
// is not there, cannot be read or does not answer in time is not known, and nothing here throws; one file
// is read at a time, so that a driver that hangs keeps one thread and no more.
import { constants } from 'node:fs';
import { type FileHandle, open, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { within } from './within.ts';

const PATIENCE_MS = 2000;
const MAX_BYTES = 64 << 10;
/** More files than any board has of a kind. */
const MAX_FILES = 64;

export class BoardFiles {
  readonly #root: string;
  readonly #patienceMs: number;
  #turn: Promise<unknown> = Promise.resolve();
  /** A read has taken too long, and goes on: nobody waits for another one. */
  #isStuck = false;

  /** @param root where the files of the system lie; `/` but in tests. */
  constructor(root: string, patienceMs = PATIENCE_MS) {
    this.#root = root;
    this.#patienceMs = patienceMs;
  }

  /** The text of a file, without what ends it; null when there is none. */
  async text(path: string): Promise<string | null> {
    const text = await this.#inTurn(() => readSmall(join(this.#root, path)));
    const plain = text?.replaceAll('\0', '').trim() ?? '';
    return plain === '' ? null : plain;
  }

  /** The texts of all files whose paths match; `*` stands for a part of a name, once in each. */
  async texts(pattern: string): Promise<string[]> {
    const paths = (await this.#inTurn(() => matching(this.#root, pattern))) ?? [];
    const texts = await Promise.all(paths.map((path) => this.text(path)));
    return texts.filter((text) => text !== null);
  }

  async #inTurn<T>(work: () => Promise<T>): Promise<T | null> {
    if (this.#isStuck) return null;
    let isOver = false;
    const done = this.#turn
      .then(work)
      .catch(() => null)
      .finally(() => {
        isOver = true;
        this.#isStuck = false;
      });
    this.#turn = done;
    const answer = await within(this.#patienceMs, done);
    if (!isOver) this.#isStuck = true;
    return answer;
  }
}

/** @throws what the system says; what is no plain file is not read. */
async function readSmall(path: string): Promise<string | null> {
  // Of a pipe in its place nobody waits for the other end.
  const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
  try {
    return (await file.stat()).isFile() ? await beginOf(file) : null;
  } finally {
    await file.close();
  }
}

/** Files of the kernel say that they are empty; so it is read until nothing comes. */
async function beginOf(file: FileHandle): Promise<string> {
  const buffer = Buffer.alloc(MAX_BYTES);
  let length = 0;
  for (let read = -1; read !== 0 && length < MAX_BYTES; length += read)
    read = (await file.read(buffer, length)).bytesRead;
  return buffer.toString('utf8', 0, length);
}

/** The paths below `root`, in order. Folders may be links: those of the kernel's classes all are. */
async function matching(root: string, pattern: string): Promise<string[]> {
  let paths = [''];
  for (const part of pattern.split('/')) {
    if (!part.includes('*')) {
      paths = paths.map((path) => join(path, part));
      continue;
    }
    const found = await Promise.all(paths.map((path) => namesIn(join(root, path), part)));
    paths = paths.flatMap((path, at) => (found[at] ?? []).map((name) => join(path, name)));
    paths = paths.slice(0, MAX_FILES);
  }
  return paths;
}

async function namesIn(folder: string, part: string): Promise<string[]> {
  const names = await readdir(folder).catch(() => []);
  const [begin = '', end = ''] = part.split('*');
  return names.filter((name) => name.startsWith(begin) && name.endsWith(end)).sort();
}
