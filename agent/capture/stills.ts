// Single pictures on request. INVARIANT: what nobody waits for is thrown away, and a wait ends with
// the picture, with its signal or with the capture.
import { once } from 'node:events';
import { LenscapError } from '../../proto/errors.ts';
import { MAX_SNAPSHOT_BYTES } from '../../proto/snapshot.ts';
import { type Jpeg, JpegSplitter } from './jpeg-splitter.ts';

export interface Still extends Jpeg {
  /** When it came, microseconds on the monotonic clock. */
  readonly monoUs: number;
}

export interface StillsDeps {
  readonly monoUs: () => number;
  /** Hands a picture on, now or when it may be. */
  readonly hand: (act: () => void) => void;
  /** Lets pictures through, or none. */
  readonly open: (isOpen: boolean) => void;
}

export class Stills {
  readonly #deps: StillsDeps;
  readonly #waiting = new Set<(still: Still) => void>();
  readonly #splitter: JpegSplitter;

  constructor(deps: StillsDeps) {
    this.#deps = deps;
    this.#splitter = new JpegSplitter(MAX_SNAPSHOT_BYTES, (picture) => this.#picture(picture));
  }

  /** @throws CAPTURE_FAILED for what is no JPEG. */
  push(bytes: Buffer): void {
    this.#splitter.push(bytes);
  }

  /** The next picture. @throws CAPTURE_STALLED when `signal` aborts before it comes. */
  async next(signal: AbortSignal): Promise<Still> {
    const { promise, resolve } = Promise.withResolvers<Still>();
    const ended = new AbortController();
    const aborted = signal.aborted
      ? Promise.resolve()
      : once(signal, 'abort', { signal: ended.signal }).catch(() => undefined);
    this.#waiting.add(resolve);
    this.#deps.open(true);
    try {
      const still = await Promise.race([promise, aborted.then(() => null)]);
      if (still === null) throw new LenscapError('CAPTURE_STALLED', 'no still picture came');
      return still;
    } finally {
      ended.abort();
      this.#waiting.delete(resolve);
      if (this.#waiting.size === 0) this.#deps.open(false);
    }
  }

  #picture(picture: Jpeg): void {
    const still = { ...picture, monoUs: this.#deps.monoUs() };
    this.#deps.hand(() => {
      for (const resolve of this.#waiting) resolve(still);
    });
  }
}
