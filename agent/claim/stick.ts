// Setup codes in lenscap-claim.txt on a USB stick or the boot partition.
// INVARIANT: a file is erased only after its code has claimed the board; each version of a file is
// offered for good at most once, and complained of once.
import type { Dirent } from 'node:fs';
import { opendir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import { type ClaimFile, eraseClaimFile, readClaimFile } from './claim-file.ts';
import { answerTo, type CodeSource, type Offer } from './source.ts';

const FILE = 'lenscap-claim.txt';
/** Of a folder so many entries are looked at. */
const MAX_ENTRIES = 64;
const POLL_MS = 2000;
const RETRY_MS = 10_000;

export interface StickDeps {
  /** Looked for in these, and in the folders in them. */
  readonly folders: readonly string[];
  readonly log: Logger;
}

/** A file as of the last look. */
interface Known {
  readonly file: ClaimFile;
  /** Monotonic time from which its code is offered; never, when it was refused or there is none. */
  readonly dueAtMs: number;
}

export class Stick implements CodeSource {
  readonly name = 'stick';
  readonly #deps: StickDeps;
  #known = new Map<string, Known>();

  constructor(deps: StickDeps) {
    this.#deps = deps;
  }

  async run(offer: Offer, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      if (await this.#look(offer, signal)) return;
      await sleep(POLL_MS, undefined, { signal }).catch(() => undefined);
    }
  }

  /** Whether a file has claimed the board. Files that are gone are forgotten. */
  async #look(offer: Offer, signal: AbortSignal): Promise<boolean> {
    const before = this.#known;
    const now = new Map<string, Known>();
    for (const path of await this.#paths()) {
      const known = before.get(path);
      const file = await readClaimFile(path, known?.file);
      if (file === null || signal.aborted) continue;
      const next = file === known?.file ? known : this.#meet(file);
      const after = await this.#offer(next, offer, signal);
      if (after === 'claimed') return true;
      now.set(path, after);
    }
    this.#known = now;
    return false;
  }

  /** A version that is new. */
  #meet(file: ClaimFile): Known {
    const { path, code, fault } = file;
    if (code !== null) return { file, dueAtMs: performance.now() };
    this.#deps.log.warn({ path }, `the file for claiming this board holds no setup code: ${fault}`);
    return { file, dueAtMs: Number.POSITIVE_INFINITY };
  }

  async #offer(known: Known, offer: Offer, signal: AbortSignal): Promise<Known | 'claimed'> {
    const { file, dueAtMs } = known;
    if (file.code === null || dueAtMs > performance.now() || signal.aborted) return known;
    const { log } = this.#deps;
    log.info({ path: file.path }, 'a file holds a setup code');
    const answer = await answerTo(offer(file.code, this.name), signal);
    if (answer === 'claimed') {
      await this.#erase(file);
      return 'claimed';
    }
    if (answer === 'stopped') return known;
    const waitMs = answer === 'refused' ? Number.POSITIVE_INFINITY : RETRY_MS;
    return { file, dueAtMs: performance.now() + waitMs };
  }

  async #erase(file: ClaimFile): Promise<void> {
    const { log } = this.#deps;
    const fault = await eraseClaimFile(file);
    if (fault === null) log.info({ path: file.path }, 'the file was used and is erased');
    else
      log.warn(
        { path: file.path },
        `the file was used and could not be erased, remove it yourself: ${fault}`,
      );
  }

  async #paths(): Promise<readonly string[]> {
    const paths: string[] = [];
    for (const folder of this.#deps.folders) {
      paths.push(join(folder, FILE));
      for (const entry of await firstEntries(folder))
        if (entry.isDirectory()) paths.push(join(folder, entry.name, FILE));
    }
    return paths;
  }
}

async function firstEntries(folder: string): Promise<readonly Dirent[]> {
  const entries: Dirent[] = [];
  try {
    for await (const entry of await opendir(folder)) {
      entries.push(entry);
      if (entries.length === MAX_ENTRIES) break;
    }
  } catch {
    // Not there, or a stick that was pulled out: what was seen of it is looked at.
  }
  return entries;
}
