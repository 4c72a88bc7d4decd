// The child process as its parent sees it: asked over IPC, read through a pipe, ended by SIGKILL.
// INVARIANT: `gone` resolves only when the process has been reaped; kill() acts before it returns.
import { type ChildProcess, fork } from 'node:child_process';
import { existsSync } from 'node:fs';
import { getCompileCacheDir } from 'node:module';
import { homedir } from 'node:os';
import { dirname } from 'node:path';
import { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import {
  type Caps,
  type Command,
  type Fault,
  type PipelinePlan,
  type Report,
  reportOf,
} from './protocol.ts';

const CHILD = fileURLToPath(new URL('./child.ts', import.meta.url));
/** Of util-linux: lets the kernel kill the child when its parent dies, even a child that hangs. */
const SETPRIV = '/usr/bin/setpriv';
const MEDIA_FD = 4;

export type Inspection =
  | { readonly caps: Readonly<Record<string, Caps>> }
  | { readonly fault: Fault };

export interface CaptureProcessEvents {
  /** Reports other than answers. */
  report(report: Exclude<Report, { kind: 'inspected' | 'refused' }>): void;
  /** It said what is no report; it has been killed. */
  nonsense(): void;
  media(bytes: Buffer): void;
  stderr(text: string): void;
}

export class CaptureProcess {
  readonly pid: number | undefined;
  /** Resolves when the process is gone, with its signal or exit status. */
  readonly gone: Promise<string>;
  /** Resolves when the process is gone and all it had written has been delivered. */
  readonly drained: Promise<void>;
  readonly #child: ChildProcess;
  readonly #answers = new Map<number, (answer: Inspection) => void>();
  #nextId = 1;

  constructor(events: CaptureProcessEvents, env: Readonly<Record<string, string>>) {
    const child = forkChild(env);
    this.#child = child;
    this.pid = child.pid;
    this.gone = new Promise((resolve) => {
      child.once('exit', (code, signal) => resolve(signal ?? `status ${code}`));
      child.once('error', (error) => resolve(error.message));
    });
    this.drained = new Promise((resolve) => {
      child.once('close', () => resolve());
      child.once('error', () => resolve());
    });
    child.on('message', (message: unknown) => {
      const report = reportOf(message);
      if (report === undefined) {
        this.kill();
        events.nonsense();
      } else if (report.kind === 'inspected') this.#answer(report.id, { caps: report.caps });
      else if (report.kind === 'refused') this.#answer(report.id, { fault: report.fault });
      else events.report(report);
    });
    const media = child.stdio[MEDIA_FD];
    if (media instanceof Readable) media.on('data', events.media).on('error', () => this.kill());
    child.stderr?.setEncoding('utf8').on('data', events.stderr);
  }

  /** Caps of the first buffers of a pipeline. Never settles when the process dies: race with `gone`. */
  inspect(
    plan: PipelinePlan,
    sinks: readonly string[],
    limits: { readonly timeoutMs: number; readonly graceMs: number },
  ): Promise<Inspection> {
    const id = this.#nextId++;
    return new Promise((resolve) => {
      this.#answers.set(id, resolve);
      this.#send({ kind: 'inspect', id, plan, sinks, ...limits });
    });
  }

  play(plan: PipelinePlan, loop: boolean): void {
    this.#send({ kind: 'play', plan, loop });
  }

  scan(plan: PipelinePlan, loop: boolean): void {
    this.#send({ kind: 'scan', plan, loop });
  }

  stop(drain: boolean): void {
    this.#send({ kind: 'stop', drain });
  }

  /** SIGKILL, now. */
  kill(): void {
    this.#child.kill('SIGKILL');
  }

  /** After this no byte is delivered any more. */
  discardMedia(): void {
    const media = this.#child.stdio[MEDIA_FD];
    if (media instanceof Readable) media.removeAllListeners('data').destroy();
  }

  #send(command: Command): void {
    // A failed send means that the process is gone, which `gone` tells.
    if (this.#child.connected) this.#child.send(command, () => undefined);
  }

  #answer(id: number, answer: Inspection): void {
    this.#answers.get(id)?.(answer);
    this.#answers.delete(id);
  }
}

/** The cache of compiled code that this process runs with, if it does. */
function compileCache(): Readonly<Record<string, string>> {
  const folder = getCompileCacheDir();
  return folder === undefined ? {} : { NODE_COMPILE_CACHE: dirname(folder) };
}

function forkChild(env: Readonly<Record<string, string>>): ChildProcess {
  const node = ['--max-semi-space-size=1', '--max-old-space-size=64'];
  const isGuarded = existsSync(SETPRIV);
  return fork(CHILD, [], {
    execPath: isGuarded ? SETPRIV : process.execPath,
    execArgv: isGuarded ? ['--pdeathsig', 'KILL', process.execPath, ...node] : node,
    stdio: ['ignore', 'ignore', 'pipe', 'ipc', 'pipe'],
    // Untranslated messages, since faults are told apart by them. HOME holds the plugin registry.
    env: { HOME: homedir(), LC_ALL: 'C', UV_THREADPOOL_SIZE: '16', ...compileCache(), ...env },
  });
}
