// Pictures that are asked for while nothing is captured: they wait here until the camera takes them.
// INVARIANT: each is answered once, also when nobody takes it any more.
import { LenscapError } from '../../proto/errors.ts';
import type { Still } from '../capture/capture.ts';

export interface Shot {
  /** Aborted when it is wanted no more. */
  readonly signal: AbortSignal;
  readonly give: (still: Still) => void;
  readonly refuse: (error: unknown) => void;
}

export class Shots {
  #waiting: readonly Shot[] = [];
  #asked = new AbortController();

  /** Aborted as soon as one waits. */
  get asked(): AbortSignal {
    return this.#asked.signal;
  }

  /** Resolves with the picture. @throws what it was refused by, or the reason of `signal`. */
  ask(signal: AbortSignal): Promise<Still> {
    const { promise, resolve: give, reject: refuse } = Promise.withResolvers<Still>();
    const onAbort = () => refuse(signal.reason);
    signal.addEventListener('abort', onAbort, { once: true });
    if (signal.aborted) onAbort();
    else this.#waiting = [...this.#waiting, { signal, give, refuse }];
    this.#asked.abort();
    return promise.finally(() => signal.removeEventListener('abort', onAbort));
  }

  /** The one that waits longest, which is the taker's now. */
  next(): Shot | undefined {
    const [first, ...others] = this.#waiting.filter(({ signal }) => !signal.aborted);
    this.#waiting = others;
    if (others.length === 0) this.#asked = new AbortController();
    return first;
  }

  /** None of those that wait is taken. */
  refuseAll(): void {
    for (let shot = this.next(); shot !== undefined; shot = this.next())
      shot.refuse(new LenscapError('CAPTURE_ENDED', 'the camera is doing something else now'));
  }
}
