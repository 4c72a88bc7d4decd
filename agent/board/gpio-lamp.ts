// A light on a GPIO line, by gpioset of libgpiod, which holds the line while it runs: Node has no ioctl.
// INVARIANT: at most one gpioset runs, and none once close() has resolved.
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { LightConfig } from '../../proto/agent-config.ts';
import { LenscapError, toLenscapError } from '../../proto/errors.ts';
import { type GpioMajor, majorOf, setArguments } from './gpio-commands.ts';
import type { Lamp } from './lamp.ts';

const run = promisify(execFile);
const ANSWER_MS = 5000;
/** One that may not have the line ends at once; where it cannot be seen, one that runs for so long has it. */
const SURELY_HELD_MS = 1000;
const LOOK_MS = 10;
/** Of util-linux: a gpioset that outlives the agent would leave the light on. */
const SETPRIV = '/usr/bin/setpriv';

export class GpioLamp implements Lamp {
  readonly canDim = false;
  readonly #config: Extract<LightConfig, { type: 'gpio' }>;
  readonly #gpioset: string;
  #major: GpioMajor | undefined;
  #holder: ChildProcess | undefined;
  #isLit: boolean | null = null;
  #isClosed = false;

  constructor(config: Extract<LightConfig, { type: 'gpio' }>, gpioset = 'gpioset') {
    this.#config = config;
    this.#gpioset = gpioset;
  }

  async shine(share: number): Promise<boolean> {
    const isLit = share > 0;
    const isKept = this.#holder === undefined || isRunning(this.#holder);
    if (this.#holder !== undefined && isKept && this.#isLit === isLit) return true;
    try {
      this.#major ??= await this.#askMajor();
      await this.#end();
      this.#holder = await this.#hold(setArguments(this.#config, isLit, this.#major));
      this.#isLit = isLit;
      // It took so long that nobody waits for it any more.
      if (this.#isClosed) await this.#end();
      return isKept;
    } catch (error) {
      const { chip, line } = this.#config;
      const why = toLenscapError(error).detail;
      throw new LenscapError('LIGHT_FAILED', `${chip} line ${line}: ${why}`, { cause: error });
    }
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#end();
  }

  async #askMajor(): Promise<GpioMajor> {
    const { stdout } = await run(this.#gpioset, ['--version'], { timeout: ANSWER_MS });
    const major = majorOf(stdout);
    if (major === undefined) throw new Error(`${this.#gpioset} is of a version that is not known`);
    return major;
  }

  async #hold(args: readonly string[]): Promise<ChildProcess> {
    const command = [this.#gpioset, ...args];
    const guarded = existsSync(SETPRIV) ? [SETPRIV, '--pdeathsig', 'KILL', ...command] : command;
    const [program = '', ...rest] = guarded;
    const child = spawn(program, rest, { stdio: ['ignore', 'ignore', 'pipe'] });
    let said = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      said = (said + text).slice(0, 200);
    });
    const failed = new AbortController();
    child.once('close', () => failed.abort()).once('error', (error) => failed.abort(error));
    const endMs = performance.now() + SURELY_HELD_MS;
    while (performance.now() < endMs && !hasLine(child) && !failed.signal.aborted)
      await sleep(LOOK_MS, undefined, { signal: failed.signal }).catch(() => undefined);
    if (failed.signal.aborted) throw new Error(said.trim() || 'gpioset ended at once');
    return child;
  }

  async #end(): Promise<void> {
    const child = this.#holder;
    this.#holder = undefined;
    if (child === undefined || !isRunning(child)) return;
    const gone = once(child, 'exit');
    child.kill('SIGTERM');
    const patience = setTimeout(() => child.kill('SIGKILL'), ANSWER_MS);
    await gone;
    clearTimeout(patience);
  }
}

/** A process that was killed has no exit status. */
const isRunning = ({ exitCode, signalCode }: ChildProcess): boolean =>
  exitCode === null && signalCode === null;

/** Whether the kernel has given a line to the process: seen in the files that it has open. */
function hasLine({ pid }: ChildProcess): boolean {
  const folder = `/proc/${pid}/fd`;
  try {
    return readdirSync(folder).some((fd) => readlinkSync(join(folder, fd)).includes('gpio-line'));
  } catch {
    // It is only starting, or has ended.
    return false;
  }
}
