// One life of a capture child, from fork to its end. INVARIANTS: run() resolves only when the
// process is gone; from the moment the permit is revoked nothing reaches the callbacks.
import { setTimeout as delay } from 'node:timers/promises';
import { LenscapError, toLenscapError } from '../../proto/errors.ts';
import type { GapReason } from '../../proto/gap.ts';
import type { Stream } from '../../proto/stream.ts';
import { CaptureProcess, type Told } from './capture-process.ts';
import { captureError, redact } from './faults.ts';
import { LastWords } from './last-words.ts';
import { Live } from './live.ts';
import { MaskFile } from './mask-file.ts';
import { Output } from './output.ts';
import { STILL } from './picture.ts';
import { capturePlan } from './pipeline.ts';
import { Preparation } from './preparation.ts';
import { keyframeWaitMs, stalled, stallMs } from './session-limits.ts';
import type { CaptureConfig, Permit, SessionDeps, SessionEnd } from './session-terms.ts';
import { MICROPHONE } from './sound.ts';
import type { Still } from './stills.ts';
import { Watchdog } from './watchdog.ts';

/** Together under the 1.5 s that a stop may take. */
const DRAIN_MS = 900;
const REST_MS = 300;
/** For an answer of the child. */
const COUNT_MS = 1000;
/** Masks are seen within the next of the small gray pictures. */
const MASK_WAIT_MS = 2500;

export class Session {
  readonly #deps: SessionDeps;
  readonly #permit: Permit;
  readonly #output: Output;
  readonly #watchdog: Watchdog;
  readonly #process: CaptureProcess;
  readonly #maskFile = new MaskFile();
  readonly #live: Live;
  readonly #over = new AbortController();
  readonly #preparation: Preparation;
  readonly #words: LastWords;
  readonly #end = Promise.withResolvers<SessionEnd>();
  readonly #lastWord = Promise.withResolvers<void>();
  /** Pictures that the child has repeated since its first one, when it was asked last. */
  #repeated: number | undefined;
  #isPlaying = false;
  /** The next capture begins with what is changed now. */
  #isEnding = false;

  /** Forks the child; whoever makes a session runs it. */
  constructor(deps: SessionDeps, permit: Permit) {
    this.#deps = deps;
    this.#permit = permit;
    const { config } = deps;
    this.#words = new LastWords({ log: deps.log, secrets: () => this.#secrets() });
    this.#process = this.#fork();
    this.#output = this.#makeOutput();
    this.#watchdog = new Watchdog(config.capture.startTimeoutMs, stallMs(config), (silentMs) =>
      this.#fail(stalled(silentMs), 'source_stalled'),
    );
    this.#live = new Live({
      process: this.#process,
      maskFile: this.#maskFile,
      held: this.#output.held,
      config,
      maskWaitMs: MASK_WAIT_MS,
    });
    this.#preparation = new Preparation({
      config,
      mayRecordAudio: permit.audio,
      encoders: deps.encoders,
      process: this.#process,
      broken: this.#broken(),
    });
  }

  /** Captures until `signal` aborts, the permit is revoked or the source fails. Never rejects. */
  async run(signal: AbortSignal): Promise<SessionEnd> {
    const revoke = (): void => this.#revoke();
    const stop = (): void => this.#end.resolve({ kind: 'stopped' });
    this.#permit.revoked.addEventListener('abort', revoke);
    signal.addEventListener('abort', stop);
    if (signal.aborted) stop();
    if (this.#permit.revoked.aborted) revoke();
    void this.#start();
    void this.#process.gone.then((how) => this.#gone(how));
    const end = await this.#end.promise;
    this.#isEnding = true;
    this.#watchdog.stop();
    signal.removeEventListener('abort', stop);
    if (end.kind === 'stopped' && this.#isPlaying) await this.#drain();
    this.#process.kill();
    await Promise.race([this.#process.drained, delay(REST_MS)]);
    this.#over.abort();
    if (!this.#permit.revoked.aborted) this.#output.finish();
    this.#process.discardMedia();
    await this.#process.gone;
    this.#maskFile.close();
    this.#permit.revoked.removeEventListener('abort', revoke);
    if (this.#permit.revoked.aborted) return { kind: 'revoked' };
    if (end.kind === 'failed' && end.reason === 'capture_crashed') this.#words.tell();
    return end;
  }

  /**
   * Makes pictures and sound as these settings say, without a break. `restart`: only another session
   * can. @throws CAPTURE_FAILED, CAPTURE_ENDED when they could not be set; then this one fails.
   */
  async adjust(config: CaptureConfig): Promise<'set' | 'restart'> {
    if (!this.#isPlaying) return 'restart';
    if (this.#isEnding) return 'set';
    try {
      const set = this.#live.adjust(config, this.#over.signal);
      const outcome = await Promise.race([set, this.#process.gone.then(() => 'gone' as const)]);
      if (outcome !== 'gone') return outcome;
      throw new LenscapError('CAPTURE_ENDED', 'before the settings were set');
    } catch (error) {
      // What was captured until then is as it has to be.
      if (this.#isEnding) return 'set';
      const failure = toLenscapError(error, 'CAPTURE_FAILED');
      this.#unmasked(failure.message);
      throw failure;
    }
  }

  /** The next picture. @throws CAPTURE_STALLED when none came in time, CAPTURE_ENDED. */
  async still(signal: AbortSignal): Promise<Still> {
    if (!this.#isPlaying) throw new LenscapError('CAPTURE_ENDED', 'nothing is captured now');
    const limit = AbortSignal.timeout(keyframeWaitMs(this.#deps.config));
    return this.#output.nextStill(AbortSignal.any([signal, this.#over.signal, limit]));
  }

  /** Counts what is missing up to now. Resolves soon, also where the child does not answer. */
  async count(): Promise<void> {
    if (!this.#isPlaying || this.#isEnding) return;
    const timer = new AbortController();
    const late = delay(COUNT_MS, null, { signal: timer.signal }).catch(() => null);
    const repeated = await Promise.race([this.#process.repeated(), this.#process.gone, late]);
    timer.abort();
    if (typeof repeated !== 'number') return;
    this.#deps.onMissing(Math.max(0, repeated - (this.#repeated ?? repeated)));
    this.#repeated = repeated;
  }

  #fork(): CaptureProcess {
    const { config, childEnv } = this.#deps;
    const events = {
      report: (report: Told) => this.#report(report),
      nonsense: () => this.#fail(nonsense(), 'capture_crashed'),
      media: (bytes: Buffer) => this.#output.media(bytes),
      gray: (bytes: Buffer) => this.#output.gray(bytes),
      still: (bytes: Buffer) => this.#output.still(bytes),
      stderr: (text: string) => this.#words.push(text),
    };
    // Of the clock in the picture.
    const env = { TZ: config.clock.timeZone, ...childEnv };
    try {
      return new CaptureProcess(events, env, this.#maskFile.fd);
    } catch (error) {
      this.#maskFile.close();
      throw error;
    }
  }

  #makeOutput(): Output {
    return new Output(this.#deps, this.#permit, {
      stream: (stream) => this.#stream(stream),
      pictures: (count, missing) => {
        this.#watchdog.touch();
        this.#deps.onPictures(count);
        this.#deps.onMissing(missing);
        // What was repeated before the first one is no loss.
        if (this.#repeated === undefined) void this.count();
      },
      gray: (frame) => this.#gray(frame),
      openStill: (isOpen) =>
        void this.#process.set([{ element: STILL, name: 'drop', value: !isOpen }]),
      damaged: (error) => this.#fail(error, 'source_lost'),
      unmasked: (what) => this.#unmasked(what),
    });
  }

  async #start(): Promise<void> {
    try {
      const input = await this.#preparation.plan();
      const { launch, properties } = capturePlan(input);
      const plan = { launch, properties: [...properties, ...this.#live.begin(input)] };
      const { source } = this.#deps.config;
      this.#isPlaying = true;
      this.#process.play(plan, source.type === 'file' && source.loop);
    } catch (error) {
      this.#fail(toLenscapError(error, 'CAPTURE_FAILED'), 'source_lost');
    }
  }

  /** A live source is told to end and what is in the muxer comes out; a recording just stops. */
  async #drain(): Promise<void> {
    this.#process.stop(this.#deps.config.source.type !== 'file');
    const timer = new AbortController();
    await Promise.race([
      this.#lastWord.promise,
      this.#process.gone,
      delay(DRAIN_MS, undefined, { signal: timer.signal }).catch(() => undefined),
    ]);
    timer.abort();
  }

  #revoke(): void {
    this.#output.drop();
    this.#over.abort();
    this.#process.kill();
    this.#process.discardMedia();
    this.#end.resolve({ kind: 'revoked' });
    this.#lastWord.resolve();
  }

  /** What was to be done to the pictures was not: nothing more of them is kept. */
  #unmasked(what: string): void {
    this.#output.drop();
    this.#process.kill();
    this.#fail(new LenscapError('CAPTURE_FAILED', what), 'source_lost');
  }

  #gray(frame: Uint8Array): void {
    if (this.#live.looksForMotion) this.#deps.eyes?.gray(frame, this.#deps.clock.monoUs());
  }

  #fail(error: LenscapError, reason: GapReason, isMicrophone = false): void {
    this.#end.resolve({ kind: 'failed', error, reason, isMicrophone });
  }

  /** Resolves when this capture fails by itself; never when it is ended from outside. */
  #broken(): Promise<'broken'> {
    const { promise, resolve } = Promise.withResolvers<'broken'>();
    void this.#end.promise.then(({ kind }) => kind === 'failed' && resolve('broken'));
    return promise;
  }

  #gone(how: string): void {
    const error = new LenscapError('CAPTURE_FAILED', `the capture process ended by ${how}`);
    this.#fail(error, 'capture_crashed');
  }

  #report(report: Told): void {
    const { config, log } = this.#deps;
    if (report.kind === 'fault') {
      const { element, debug } = report.fault;
      log.debug({ element, debug: redact(debug, this.#secrets()).slice(0, 500) }, 'pipeline error');
      const error = captureError(report.fault, config.source, this.#secrets());
      this.#fail(error, 'source_lost', element === MICROPHONE);
      this.#lastWord.resolve();
    } else if (report.kind === 'ended') {
      if (config.source.type === 'file' && !config.source.loop)
        this.#end.resolve({ kind: 'played' });
      else this.#fail(new LenscapError('CAPTURE_ENDED', `${config.source.type}`), 'source_lost');
      this.#lastWord.resolve();
    } else if (report.kind === 'sound') {
      this.#deps.eyes?.sound(report.db, this.#deps.clock.monoUs());
    } else if (report.kind === 'unloopable') {
      log.warn('this kind of file cannot be looped without a gap');
    }
  }

  #stream(stream: Stream): void {
    const [video, audio] = stream.tracks;
    this.#deps.log.info(
      {
        source: this.#deps.config.source.type,
        video: this.#preparation.videoEncoder ?? 'passthrough',
        audio: audio === undefined ? 'none' : (this.#preparation.audioEncoder ?? 'passthrough'),
        codecs: stream.tracks.map(({ codec }) => codec),
        size: `${video?.width}x${video?.height}`,
        streamId: stream.streamId,
      },
      'capturing',
    );
    this.#deps.onStream(stream);
  }

  #secrets(): readonly string[] {
    return this.#preparation.secrets;
  }
}

function nonsense(): LenscapError {
  return new LenscapError('CAPTURE_FAILED', 'the capture process sent what is no report');
}
