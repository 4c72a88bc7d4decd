// One life of a child that looks for QR codes before the camera, from fork to its end.
// INVARIANTS: run() resolves only when the process is gone, so that the camera is free; of the
// pictures nothing but the texts of QR codes comes out of the child, and what it writes into the
// pipe for media is thrown away.
import type { Logger } from 'pino';
import type { AgentConfig, SourceConfig } from '../../proto/agent-config.ts';
import { LenscapError, toLenscapError } from '../../proto/errors.ts';
import { CaptureProcess, type Told } from './capture-process.ts';
import { readCredentials } from './credentials.ts';
import { captureError, redact } from './faults.ts';
import type { Credentials } from './pipeline.ts';
import { scanPlan } from './scan-plan.ts';
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
const MAX_LINES = 20;

export class Scan {
  readonly #deps: ScanDeps;
  readonly #process: CaptureProcess;
  readonly #watchdog: Watchdog;
  readonly #end = Promise.withResolvers<ScanEnd>();
  #secrets: readonly string[] = [];
  #lines = 0;

  /** Forks the child; whoever makes a scan runs it. */
  constructor(deps: ScanDeps) {
    this.#deps = deps;
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
        stderr: (text) => this.#stderr(text),
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
    void this.#process.gone.then((how) =>
      this.#fail(new LenscapError('CAPTURE_FAILED', `the child ended by ${how}`)),
    );
    const end = await this.#end.promise;
    this.#watchdog.stop();
    signal.removeEventListener('abort', stop);
    this.#process.kill();
    await this.#process.gone;
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

  #stderr(text: string): void {
    for (const line of text.split('\n').filter((one) => one.trim() !== '')) {
      this.#lines += 1;
      if (this.#lines > MAX_LINES) return;
      this.#deps.log.debug({ line: redact(line, this.#secrets).slice(0, 200) }, 'capture child');
    }
  }

  #fail(error: LenscapError): void {
    this.#end.resolve({ kind: 'failed', error });
  }
}

function stalled(silentMs: number): LenscapError {
  return new LenscapError(
    'CAPTURE_STALLED',
    `no picture for ${(silentMs / 1000).toFixed(1)} s: check the camera and its connection`,
  );
}
