// A button on a GPIO line, by the tools of libgpiod: Node has no ioctl.
// INVARIANT: when watch() has resolved its gpiomon is gone, and the line is free again.
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { promisify } from 'node:util';
import { type Button, reasonOf } from './button.ts';
import {
  edgeOf,
  type GpioConfig,
  type GpioMajor,
  levelArguments,
  majorOf,
  monitorArguments,
} from './gpio-commands.ts';
import type { ButtonEvent } from './hold.ts';

const run = promisify(execFile);
const ANSWER_MS = 5000;
const MAX_SAID = 200;
/** Of util-linux: a gpiomon that outlives the agent would keep the line from the next one. */
const SETPRIV = '/usr/bin/setpriv';

/** Names or paths of the tools. */
export interface GpioTools {
  readonly gpiomon: string;
  readonly gpioget: string;
}

export const GPIO_TOOLS: GpioTools = { gpiomon: 'gpiomon', gpioget: 'gpioget' };

export class GpioButton implements Button {
  readonly #config: GpioConfig;
  readonly #tools: GpioTools;

  constructor(config: GpioConfig, tools: GpioTools) {
    this.#config = config;
    this.#tools = tools;
  }

  async watch(onEvent: (event: ButtonEvent) => void, signal: AbortSignal): Promise<string> {
    try {
      const major = await this.#major(signal);
      if (major === undefined) return `${this.#tools.gpiomon} is of a version that is not known`;
      // Before the monitor has the line; an edge in between is found out by the last look.
      onEvent((await this.#level(major, signal)) ? 'down' : 'released');
      return await this.#monitor(major, onEvent, signal);
    } catch (error) {
      return signal.aborted ? '' : advice(error);
    }
  }

  async isDown(signal: AbortSignal): Promise<boolean> {
    const major = await this.#major(signal).catch(() => undefined);
    return major !== undefined && (await this.#level(major, signal).catch(() => false));
  }

  async #major(signal: AbortSignal): Promise<GpioMajor | undefined> {
    const { stdout } = await run(this.#tools.gpiomon, ['--version'], {
      signal,
      timeout: ANSWER_MS,
    });
    return majorOf(stdout);
  }

  async #level(major: GpioMajor, signal: AbortSignal): Promise<boolean> {
    const wanted = levelArguments(this.#config, major);
    const { stdout } = await run(this.#tools.gpioget, wanted, { signal, timeout: ANSWER_MS });
    return stdout.trim() === '1';
  }

  async #monitor(
    major: GpioMajor,
    onEvent: (event: ButtonEvent) => void,
    signal: AbortSignal,
  ): Promise<string> {
    const child = this.#spawn(monitorArguments(this.#config, major));
    const gone = end(child);
    const kill = (): void => void child.kill('SIGKILL');
    signal.addEventListener('abort', kill);
    if (signal.aborted) kill();
    const said = firstWords(child.stderr);
    createInterface(child.stdout).on('line', (line) => {
      const event = edgeOf(line);
      if (event !== undefined && !signal.aborted) onEvent(event);
    });
    const how = await gone;
    signal.removeEventListener('abort', kill);
    return signal.aborted ? '' : said() || `${this.#tools.gpiomon} ended by ${how}`;
  }

  #spawn(wanted: string[]) {
    const { gpiomon } = this.#tools;
    return existsSync(SETPRIV)
      ? spawn(SETPRIV, ['--pdeathsig', 'KILL', gpiomon, ...wanted], {
          stdio: ['ignore', 'pipe', 'pipe'],
        })
      : spawn(gpiomon, wanted, { stdio: ['ignore', 'pipe', 'pipe'] });
  }
}

/** Resolves when the process is gone and all it wrote was read. */
async function end(child: ChildProcess): Promise<string> {
  const [code, signal] = await once(child, 'close');
  return String(signal ?? `status ${code}`);
}

/** Collects the begin of what is said, and lets the rest pass. */
function firstWords(stream: Readable): () => string {
  let said = '';
  stream.setEncoding('utf8').on('data', (text: string) => {
    said = (said + text).slice(0, MAX_SAID);
  });
  return () => said.trim();
}

function advice(error: unknown): string {
  if (error instanceof Error && 'code' in error && error.code === 'ENOENT')
    return 'gpiomon and gpioget are missing: install the package gpiod';
  if (error instanceof Error && 'stderr' in error && typeof error.stderr === 'string')
    return error.stderr.trim().slice(0, MAX_SAID) || reasonOf(error).slice(0, MAX_SAID);
  return reasonOf(error).slice(0, MAX_SAID);
}
