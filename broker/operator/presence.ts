// Which devices are connected, told by the running server to the operator's verbs, which are processes
// of their own: a file in `run/`, written when it changes. It is believed only while the server that
// wrote it runs.
import { readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';

const LOOK_MS = 1000;

export interface PresenceDeps {
  /** The data folder. */
  readonly folder: string;
  readonly connected: () => readonly string[];
  readonly log: Logger;
}

interface Written {
  readonly pid: number;
  readonly connected: readonly string[];
}

const pathIn = (folder: string): string => join(folder, 'run', 'connected.json');

export class Presence {
  readonly #deps: PresenceDeps;
  #written = '';

  constructor(deps: PresenceDeps) {
    this.#deps = deps;
  }

  /** Best effort: a full disk costs the operator this, and nobody anything else. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.#write().catch((err: unknown) =>
        this.#deps.log.warn({ err }, 'who is connected could not be written'),
      );
      await sleep(LOOK_MS, undefined, { signal }).catch(() => undefined);
    }
    await rm(pathIn(this.#deps.folder), { force: true });
  }

  async #write(): Promise<void> {
    const { folder, connected } = this.#deps;
    const now: Written = { pid: process.pid, connected: [...connected()].sort() };
    const text = JSON.stringify(now);
    if (text === this.#written) return;
    const path = pathIn(folder);
    await writeFile(`${path}.part`, text, { mode: 0o600 });
    await rename(`${path}.part`, path);
    this.#written = text;
  }
}

/** Undefined when no server runs on the data folder. At most a second old. */
export async function connectedDevices(folder: string): Promise<ReadonlySet<string> | undefined> {
  const text = await readFile(pathIn(folder), 'utf8').catch(() => undefined);
  if (text === undefined) return undefined;
  const { pid, connected }: Written = JSON.parse(text);
  return isRunning(pid) ? new Set(connected) : undefined;
}

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
