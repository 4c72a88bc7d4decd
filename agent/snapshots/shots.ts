// Pictures that are asked for while nothing is captured: they wait here until the camera has time for them.
// INVARIANTS: each is answered once, also when nobody takes it any more; the source is opened for one only
// under a permit for stills, after the light was set, and is closed again when it is answered.
import { LenscapError } from '../../proto/errors.ts';
import type { Capture, Still } from '../capture/capture.ts';
import type { Gate } from '../consent/gate.ts';

export interface ShotsDeps {
  readonly gate: Pick<Gate, 'stillPermit'>;
  readonly capture: Pick<Capture, 'shot'>;
  /** Awaited before the source is opened; where it rejects, it stays closed. */
  readonly opening: (signal: AbortSignal) => Promise<void>;
  /** Called when isTaking has changed. */
  readonly onChange: () => void;
}

interface Shot {
  /** Aborted when it is wanted no more. */
  readonly signal: AbortSignal;
  readonly give: (still: Still) => void;
  readonly refuse: (error: unknown) => void;
}

export class Shots {
  readonly #deps: ShotsDeps;
  #waiting: readonly Shot[] = [];
  #asked = new AbortController();
  #isTaking = false;
  #closed = new AbortController();
  #isOver = false;

  constructor(deps: ShotsDeps) {
    this.#deps = deps;
  }

  /** Aborted as soon as one waits. */
  get asked(): AbortSignal {
    return this.#asked.signal;
  }

  /** The source is open for one, or about to be. */
  get isTaking(): boolean {
    return this.#isTaking;
  }

  /** Resolves with the picture. @throws what it was refused by, or the reason of `signal`. */
  ask(signal: AbortSignal): Promise<Still> {
    if (this.#isOver) return Promise.reject(busy());
    const { promise, resolve: give, reject: refuse } = Promise.withResolvers<Still>();
    const onAbort = () => refuse(signal.reason);
    signal.addEventListener('abort', onAbort, { once: true });
    if (signal.aborted) onAbort();
    else this.#waiting = [...this.#waiting, { signal, give, refuse }];
    this.#asked.abort();
    return promise.finally(() => signal.removeEventListener('abort', onAbort));
  }

  /** Takes those that wait, one after the other, while nothing else uses the source, until aborted. */
  async take(until: AbortSignal): Promise<void> {
    for (let shot = this.#next(); shot !== undefined; shot = this.#next())
      if (until.aborted) shot.refuse(busy());
      else await this.#take(shot, until);
  }

  /** None of those that wait is taken. */
  refuse(): void {
    for (let shot = this.#next(); shot !== undefined; shot = this.#next()) shot.refuse(busy());
  }

  /** None is taken any more: neither those that wait nor those that are asked for later. */
  end(): void {
    this.#isOver = true;
    this.refuse();
  }

  /** Closes the source under way. */
  close(): void {
    this.#closed.abort(busy());
  }

  #next(): Shot | undefined {
    const [first, ...others] = this.#waiting.filter(({ signal }) => !signal.aborted);
    this.#waiting = others;
    if (first === undefined) this.#asked = new AbortController();
    return first;
  }

  async #take({ signal, give, refuse }: Shot, until: AbortSignal): Promise<void> {
    const { gate, capture, opening, onChange } = this.#deps;
    const permit = gate.stillPermit();
    if (permit === null)
      return refuse(new LenscapError('CONSENT_MISSING', 'no still picture may be taken'));
    this.#closed = new AbortController();
    const end = AbortSignal.any([signal, until, permit.revoked, this.#closed.signal]);
    this.#isTaking = true;
    try {
      await opening(end);
      if (end.aborted) throw busy();
      give(await capture.shot(end, permit));
    } catch (error) {
      refuse(error);
    } finally {
      this.#isTaking = false;
      onChange();
    }
  }
}

function busy(): LenscapError {
  return new LenscapError('CAPTURE_ENDED', 'the camera is doing something else now');
}
