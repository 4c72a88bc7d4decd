// One life of a child that looks for QR codes before the camera, from fork to its end.
// INVARIANTS: run() resolves only when the process is gone, so that the camera is free; of the
// pictures nothing but the texts of QR codes comes out of the child, and what it writes into the
// pipe for media is thrown away.
import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { AgentConfig, SourceConfig } from '../../proto/agent-config.ts';
import { LenscapError, toLenscapError } from '../../proto/errors.ts';
import { CaptureProcess, type Told } from './capture-process.ts';
import { type Credentials, readCredentials } from './credentials.ts';
import { captureError } from './faults.ts';
import { LastWords } from './last-words.ts';
import { scanPlan } from './scan-plan.ts';
import { stalled } from './session-limits.ts';
import { Watchdog } from './watchdog.ts';

export type ScanConfig = Pick<AgentConfig, 'source' | 'video' | 'capture'>;

export interface ScanDeps {
  readonly config: ScanConfig;
  readonly log: Logger;
  readonly childEnv: Readonly<Record<string, string>>;
  /** Whatever any QR code says, again and again while it can be seen. */
  readonly onText: (text: string) => void;
  /** About once a second while pictures come. */
  readonly onPictures: () => void;
}

export type ScanEnd =
  /** `played`: a recording that is not looped came to its end. */
  | { readonly kind: 'stopped' | 'played' }
  | { readonly kind: 'failed'; readonly error: LenscapError };

/** The sign of life comes once a second. */
const LEAST_STALL_MS = 3000;
/** For the last words of a child that died. */
const REST_MS = 300;

export class Scan {
  readonly #deps: ScanDeps;
  readonly #process: CaptureProcess;
  readonly #watchdog: Watchdog;
  readonly #words: LastWords;
  readonly #end = Promise.withResolvers<ScanEnd>();
  #secrets: readonly string[] = [];

  /** Forks the child; whoever makes a scan runs it. */
  constructor(deps: ScanDeps) {
    this.#deps = deps;
    this.#words = new LastWords({ log: deps.log, secrets: () => this.#secrets });
    const { startTimeoutMs, stallTimeoutMs } = deps.config.capture;
    this.#watchdog = new Watchdog(
      startTimeoutMs,
      Math.max(stallTimeoutMs, LEAST_STALL_MS),
      (silentMs) => this.#fail(stalled(silentMs)),
    );
    this.#process = new CaptureProcess(
      {
        report: (report) => this.#report(report),
        nonsense: () =>
          this.#fail(new LenscapError('CAPTURE_FAILED', 'the child sent what is no report')),
        media: () => undefined,
        stderr: (text) => this.#words.push(text),
      },
      deps.childEnv,
    );
    this.#process.discardMedia();
  }

  /** Looks until `signal` aborts, the source fails or comes to its end. Never rejects. */
  async run(signal: AbortSignal): Promise<ScanEnd> {
    const stop = (): void => this.#end.resolve({ kind: 'stopped' });
    signal.addEventListener('abort', stop);
    if (signal.aborted) stop();
    void this.#start();
    const gone = this.#process.gone.then(
      (how) => new LenscapError('CAPTURE_FAILED', `the child ended by ${how}`),
    );
    void gone.then((error) => this.#fail(error));
    const end = await this.#end.promise;
    this.#watchdog.stop();
    signal.removeEventListener('abort', stop);
    this.#process.kill();
    const died = await gone;
    if (end.kind === 'failed' && end.error === died) {
      await Promise.race([this.#process.drained, delay(REST_MS)]);
      this.#words.tell();
    }
    return end;
  }

  async #start(): Promise<void> {
    const { source, video } = this.#deps.config;
    try {
      const credentials = await this.#credentials(source);
      const isLooped = source.type === 'file' && source.loop;
      this.#process.scan(scanPlan(source, video, credentials), isLooped);
    } catch (error) {
      this.#fail(toLenscapError(error, 'CAPTURE_FAILED'));
    }
  }

  async #credentials(source: SourceConfig): Promise<Credentials | null> {
    if (source.type !== 'rtsp') return null;
    this.#secrets = [source.url];
    if (source.credentialsFile === null) return null;
    const credentials = await readCredentials(source.credentialsFile);
    this.#secrets = [source.url, credentials.password, credentials.user];
    return credentials;
  }

  #report(report: Told): void {
    const { source } = this.#deps.config;
    if (report.kind === 'barcode') this.#deps.onText(report.text);
    else if (report.kind === 'pictures') {
      this.#watchdog.touch();
      this.#deps.onPictures();
    } else if (report.kind === 'fault')
      this.#fail(captureError(report.fault, source, this.#secrets));
    else if (report.kind === 'ended') this.#ended(source);
  }

  #ended(source: SourceConfig): void {
    if (source.type === 'file' && !source.loop) this.#end.resolve({ kind: 'played' });
    else this.#fail(new LenscapError('CAPTURE_ENDED', source.type));
  }

  #fail(error: LenscapError): void {
    this.#end.resolve({ kind: 'failed', error });
  }
}
