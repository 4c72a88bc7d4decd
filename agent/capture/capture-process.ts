// The child process as its parent sees it: asked over IPC, read through a pipe, ended by SIGKILL.
// INVARIANT: `gone` resolves only when the process has been reaped; kill() acts before it returns.
import { type ChildProcess, fork } from 'node:child_process';
import { existsSync } from 'node:fs';
import { getCompileCacheDir } from 'node:module';
import { homedir } from 'node:os';
import { dirname } from 'node:path';
import { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { GRAY_FD, STILL_FD } from './picture.ts';
import {
  type Caps,
  type Command,
  type Fault,
  type PipelinePlan,
  type Property,
  type Report,
  reportOf,
} from './protocol.ts';

const CHILD = fileURLToPath(new URL('./child.ts', import.meta.url));
/** Of util-linux: lets the kernel kill the child when its parent dies, even a child that hangs. */
const SETPRIV = '/usr/bin/setpriv';
const MEDIA_FD = 4;

/** Reports that answer no question. */
export type Told = Exclude<Report, { kind: 'inspected' | 'refused' | 'set' | 'repeated' }>;
type Answer = Inspection | { readonly isSet: true } | { readonly repeated: number };

export type Inspection =
  | { readonly caps: Readonly<Record<string, Caps>> }
  | { readonly fault: Fault };

export interface CaptureProcessEvents {
  /** Reports other than answers. */
  report(report: Told): void;
  /** It said what is no report; it has been killed. */
  nonsense(): void;
  media(bytes: Buffer): void;
  /** Bytes of small gray pictures, and of stills. */
  gray?(bytes: Buffer): void;
  still?(bytes: Buffer): void;
  stderr(text: string): void;
}

export class CaptureProcess {
  readonly pid: number | undefined;
  /** Resolves when the process is gone, with its signal or exit status. */
  readonly gone: Promise<string>;
  /** Resolves when the process is gone and all it had written has been delivered. */
  readonly drained: Promise<void>;
  readonly #child: ChildProcess;
  readonly #answers = new Map<number, (answer: Answer) => void>();
  #nextId = 1;

  /** `maskFd`: of the file with the image of the masks, which the child may read. */
  constructor(
    events: CaptureProcessEvents,
    env: Readonly<Record<string, string>>,
    maskFd: number | null = null,
  ) {
    const child = forkChild(env, maskFd);
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
      else if (report.kind === 'set') this.#answer(report.id, { isSet: true });
      else if (report.kind === 'repeated') this.#answer(report.id, { repeated: report.count });
      else events.report(report);
    });
    const nothing = (): void => undefined;
    this.#read(MEDIA_FD, events.media);
    this.#read(GRAY_FD, (bytes) => (events.gray ?? nothing)(bytes));
    this.#read(STILL_FD, (bytes) => (events.still ?? nothing)(bytes));
    child.stderr?.setEncoding('utf8').on('data', events.stderr);
  }

  /** Caps of the first buffers of a pipeline. Never settles when the process dies: race with `gone`. */
  inspect(
    plan: PipelinePlan,
    sinks: readonly string[],
    limits: { readonly timeoutMs: number; readonly graceMs: number },
  ): Promise<Inspection> {
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      this.#answers.set(id, (answer) => {
        if ('caps' in answer || 'fault' in answer) resolve(answer);
        else reject(new Error('that is no answer to a look'));
      });
      this.#send({ kind: 'inspect', id, plan, sinks, ...limits });
    });
  }

  /** Sets properties of the running pipeline; the fault, or null. Never settles as inspect(). */
  set(properties: readonly Property[]): Promise<Fault | null> {
    const id = this.#nextId++;
    return new Promise((resolve) => {
      this.#answers.set(id, (answer) => resolve('fault' in answer ? answer.fault : null));
      this.#send({ kind: 'set', id, properties });
    });
  }

  /** How often the running pipeline has repeated a picture for want of the next. Never settles as inspect(). */
  repeated(): Promise<number> {
    const id = this.#nextId++;
    return new Promise((resolve) => {
      this.#answers.set(id, (answer) => resolve('repeated' in answer ? answer.repeated : 0));
      this.#send({ kind: 'repeated', id });
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
    for (const fd of [MEDIA_FD, GRAY_FD, STILL_FD]) {
      const pipe = this.#child.stdio[fd];
      if (pipe instanceof Readable) pipe.removeAllListeners('data').destroy();
    }
  }

  #read(fd: number, take: (bytes: Buffer) => void): void {
    const pipe = this.#child.stdio[fd];
    if (pipe instanceof Readable) pipe.on('data', take).on('error', () => this.kill());
  }

  #send(command: Command): void {
    // A failed send means that the process is gone, which `gone` tells.
    if (this.#child.connected) this.#child.send(command, () => undefined);
  }

  #answer(id: number, answer: Answer): void {
    this.#answers.get(id)?.(answer);
    this.#answers.delete(id);
  }
}

/** The cache of compiled code that this process runs with, if it does. */
function compileCache(): Readonly<Record<string, string>> {
  const folder = getCompileCacheDir();
  return folder === undefined ? {} : { NODE_COMPILE_CACHE: dirname(folder) };
}

function forkChild(env: Readonly<Record<string, string>>, maskFd: number | null): ChildProcess {
  const node = ['--max-semi-space-size=1', '--max-old-space-size=64'];
  const isGuarded = existsSync(SETPRIV);
  return fork(CHILD, [], {
    execPath: isGuarded ? SETPRIV : process.execPath,
    execArgv: isGuarded ? ['--pdeathsig', 'KILL', process.execPath, ...node] : node,
    // From 3 on: IPC, media, small gray pictures, stills, the image of the masks.
    stdio: ['ignore', 'ignore', 'pipe', 'ipc', 'pipe', 'pipe', 'pipe', maskFd ?? 'ignore'],
    // Untranslated messages, since faults are told apart by them. HOME holds the plugin registry.
    env: { HOME: homedir(), LC_ALL: 'C', UV_THREADPOOL_SIZE: '16', ...compileCache(), ...env },
  });
}
