// Setup codes held before the lens of a board that has no owner yet.
// INVARIANTS: pictures stay in the capture child; no text of a QR code is logged, whosever it is;
// when run() has resolved there is no child, and the camera is free; the light shines while it is open.
import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import { LenscapError, toLenscapError } from '../../proto/errors.ts';
import { codeInQr, decodeSetupCode } from '../../proto/setup-code.ts';
import type { Light } from '../board/light.ts';
import { backoffMs } from '../capture/backoff.ts';
import { Scan, type ScanConfig, type ScanEnd } from '../capture/scan.ts';
import { ShownCodes } from './shown-codes.ts';
import { answerTo, type CodeSource, type Offer } from './source.ts';

export interface LensDeps {
  readonly config: ScanConfig;
  readonly log: Logger;
  /** Shown before the camera is opened; where it cannot be set, the camera stays closed. */
  readonly light: Pick<Light, 'show'>;
  /** Environment of the child beyond the least it needs, e.g. GST_PLUGIN_PATH. */
  readonly childEnv?: Readonly<Record<string, string>>;
}

/** Of so many different codes of something else is told, so that a passing film does not fill the log. */
const MAX_TOLD = 20;

export class Lens implements CodeSource {
  readonly name = 'lens';
  readonly #deps: LensDeps;
  readonly #shown = new ShownCodes();
  /** Hashes of the texts that the log has told of. */
  readonly #told = new Set<string>();
  #news = Promise.withResolvers<void>();
  #failures = 0;
  #lastFailure = '';
  /** Ends the scan under way. */
  #dark = new AbortController();

  constructor(deps: LensDeps) {
    this.#deps = deps;
  }

  async run(offer: Offer, signal: AbortSignal): Promise<void> {
    const claimed = new AbortController();
    const end = AbortSignal.any([signal, claimed.signal]);
    await Promise.all([this.#look(end), this.#offer(offer, end).finally(() => claimed.abort())]);
  }

  /** The light has failed: an open camera is closed, and the next scan sets the light first. */
  closeInTheDark(): void {
    this.#dark.abort();
  }

  /** Scan after scan, with back-off. */
  async #look(signal: AbortSignal): Promise<void> {
    const { config, log } = this.#deps;
    log.info({ source: config.source.type }, 'looking for a setup code before the lens');
    while (!signal.aborted) {
      const end = await this.#scan(signal);
      if (end.kind === 'played') {
        log.info('the source came to its end');
        return;
      }
      if (end.kind === 'failed') await this.#rest(end.error, signal);
    }
  }

  /** One scan, under the light. */
  async #scan(signal: AbortSignal): Promise<ScanEnd> {
    const { config, log, light, childEnv = {} } = this.#deps;
    const dark = new AbortController();
    this.#dark = dark;
    try {
      await light.show('breathing');
    } catch (error) {
      return { kind: 'failed', error: toLenscapError(error, 'LIGHT_FAILED') };
    }
    if (signal.aborted) return { kind: 'stopped' };
    const scan = new Scan({
      config,
      log,
      childEnv,
      onText: (text) => this.#read(text),
      onPictures: () => this.#pictures(),
    });
    const end = await scan.run(AbortSignal.any([signal, dark.signal]));
    await light.show('off').catch(() => undefined);
    if (signal.aborted || !dark.signal.aborted) return end;
    return { kind: 'failed', error: new LenscapError('LIGHT_FAILED', 'the camera was closed') };
  }

  /** Offers one code at a time, until one has claimed the board. */
  async #offer(offer: Offer, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const next = this.#shown.next(performance.now());
      if ('waitMs' in next) {
        await this.#wait(next.waitMs, signal);
        continue;
      }
      const answer = await answerTo(offer(next.code, this.name), signal);
      if (answer === 'claimed' || answer === 'stopped') return;
      this.#shown.answered(next.code, answer, performance.now());
    }
  }

  /** Until a code is seen, or `waitMs` is over. */
  async #wait(waitMs: number | null, signal: AbortSignal): Promise<void> {
    const over = new AbortController();
    const either = AbortSignal.any([signal, over.signal]);
    // The longest a timer can wait stands for one that is not set.
    const timer = sleep(waitMs ?? 2 ** 31 - 1, undefined, { signal: either });
    await Promise.race([this.#news.promise, timer.catch(() => undefined)]);
    over.abort();
    this.#news = Promise.withResolvers<void>();
  }

  #read(text: string): void {
    const { log } = this.#deps;
    const code = codeInQr(text);
    if (code === undefined) {
      this.#tellOnce(text, (more) =>
        log.info(`a QR code of something else is before the lens${more}`),
      );
      return;
    }
    try {
      decodeSetupCode(code);
    } catch (error) {
      const { code: fault, message } = toLenscapError(error);
      this.#tellOnce(text, (more) =>
        log.warn(
          { code: fault },
          `${message}: hold it closer and steadier, or get a new one${more}`,
        ),
      );
      return;
    }
    this.#tellOnce(text, (more) => log.info(`a setup code was held before the lens${more}`));
    this.#shown.saw(code, performance.now());
    this.#news.resolve();
  }

  #tellOnce(text: string, tell: (more: string) => void): void {
    const hash = createHash('sha256').update(text).digest('base64');
    if (this.#told.has(hash) || this.#told.size >= MAX_TOLD) return;
    this.#told.add(hash);
    tell(this.#told.size === MAX_TOLD ? '; of further ones nothing is said' : '');
  }

  #pictures(): void {
    if (this.#lastFailure !== '') this.#deps.log.info('the camera gives pictures again');
    this.#failures = 0;
    this.#lastFailure = '';
  }

  /** Says once what is wrong with the camera, and waits. */
  async #rest({ code, message }: { code: string; message: string }, signal: AbortSignal) {
    const { config, log } = this.#deps;
    this.#failures += 1;
    const { backoffMinMs: minMs, backoffMaxMs: maxMs } = config.capture;
    const waitMs = backoffMs(this.#failures, { minMs, maxMs }, Math.random());
    const level = this.#lastFailure === code ? 'debug' : 'warn';
    this.#lastFailure = code;
    log[level]({ code, waitMs }, `no setup code can be held before the lens: ${message}`);
    await sleep(waitMs, undefined, { signal }).catch(() => undefined);
  }
}
