// A light on a GPIO line, by gpioset of libgpiod, which holds the line while it runs: Node has no ioctl.
// INVARIANT: at most one gpioset runs, and none once close() has resolved.
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { LightConfig } from '../../proto/agent-config.ts';
import { LenscapError, toLenscapError } from '../../proto/errors.ts';
import { majorOf, setArguments } from './gpio-commands.ts';
import type { Lamp } from './lamp.ts';

const run = promisify(execFile);
const ANSWER_MS = 5000;
/** A gpioset that may not have the line ends at once; one that runs for so long has it. */
const HELD_AFTER_MS = 100;
/** Of util-linux: a gpioset that outlives the agent would leave the light on. */
const SETPRIV = '/usr/bin/setpriv';

export class GpioLamp implements Lamp {
  readonly canDim = false;
  readonly #config: Extract<LightConfig, { type: 'gpio' }>;
  readonly #gpioset: string;
  #holder: ChildProcess | undefined;
  #share = Number.NaN;

  constructor(config: Extract<LightConfig, { type: 'gpio' }>, gpioset = 'gpioset') {
    this.#config = config;
    this.#gpioset = gpioset;
  }

  async shine(share: number): Promise<void> {
    const isLit = share > 0;
    if (this.#holder?.exitCode === null && this.#share === Number(isLit)) return;
    try {
      const { stdout } = await run(this.#gpioset, ['--version'], { timeout: ANSWER_MS });
      const major = majorOf(stdout);
      if (major === undefined)
        throw new Error(`${this.#gpioset} is of a version that is not known`);
      await this.#end();
      this.#holder = await this.#hold(setArguments(this.#config, isLit, major));
      this.#share = Number(isLit);
    } catch (error) {
      const { chip, line } = this.#config;
      const why = toLenscapError(error).detail;
      throw new LenscapError('LIGHT_FAILED', `${chip} line ${line}: ${why}`, { cause: error });
    }
  }

  async close(): Promise<void> {
    await this.shine(0).catch(() => undefined);
    await this.#end();
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
    const waiting = new AbortController();
    const ended = once(child, 'close', { signal: waiting.signal });
    const held = sleep(HELD_AFTER_MS, 'held' as const, { signal: waiting.signal });
    const first = await Promise.race([ended, held]);
    waiting.abort();
    await Promise.allSettled([ended, held]);
    if (first !== 'held') throw new Error(said.trim() || 'gpioset ended at once');
    return child;
  }

  async #end(): Promise<void> {
    const child = this.#holder;
    this.#holder = undefined;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, 'exit');
    child.kill('SIGTERM');
    const patience = setTimeout(() => child.kill('SIGKILL'), ANSWER_MS);
    await gone;
    clearTimeout(patience);
  }
}
