// Permits, which the gate gives and takes back. INVARIANTS: a permit once revoked never comes back; what
// ends is revoked before anything is given.
import type { GrantedSince, Scope } from '../../proto/scopes.ts';

/** Leave to capture pictures, and sound when `audio`. Ends when `revoked` is aborted. */
export interface Permit {
  /** Epoch in force when it was given; what is captured bears it. */
  readonly epoch: number;
  readonly audio: boolean;
  /** Aborted synchronously, before anything else is done about a withdrawal. */
  readonly revoked: AbortSignal;
}

/** What permits of one kind rest on; `sound` null: they are for pictures alone. */
export interface Grounds {
  readonly pictures: Scope;
  readonly sound: Scope | null;
}

/** A permit that was given, with what it rests on. */
interface Issued {
  readonly permit: Permit;
  readonly controller: AbortController;
  readonly picturesSince: number;
  readonly soundSince: number | undefined;
}

export class Permits {
  readonly #grounds: Grounds;
  #current: Permit | null = null;
  #issued: readonly Issued[] = [];

  constructor(grounds: Grounds) {
    this.#grounds = grounds;
  }

  /** The one in force; null for none. The same object as long as nothing ended it. */
  get current(): Permit | null {
    return this.#current;
  }

  /** Brings them in line with what is granted now under `epoch`. Returns whether that changed anything. */
  settle(epoch: number, since: GrantedSince): boolean {
    const granted = this.#granted(since);
    const ended = this.#issued.filter((issued) => !isCovered(issued, granted));
    if (ended.length === 0 && isCurrent(this.#current, granted)) return false;
    this.#issued = this.#issued.filter((issued) => isCovered(issued, granted));
    this.#current = null;
    for (const { controller } of ended) controller.abort();
    // A listener of the abort may have asked for the permit already.
    this.#current ??= this.#give(epoch, granted);
    return true;
  }

  #granted(since: GrantedSince): Granted {
    const { pictures, sound } = this.#grounds;
    const soundSince = sound === null ? undefined : since.get(sound);
    return { picturesSince: since.get(pictures), soundSince };
  }

  #give(epoch: number, granted: Granted): Permit | null {
    const issued = issue(epoch, granted);
    if (issued === null) return null;
    this.#issued = [...this.#issued, issued];
    return issued.permit;
  }
}

/** Since which epoch; undefined for what is not granted now. */
interface Granted {
  readonly picturesSince: number | undefined;
  readonly soundSince: number | undefined;
}

/** A permit for what is granted; null when pictures are not. */
function issue(epoch: number, { picturesSince, soundSince }: Granted): Issued | null {
  if (picturesSince === undefined) return null;
  const controller = new AbortController();
  const permit = { epoch, audio: soundSince !== undefined, revoked: controller.signal };
  return { permit, controller, picturesSince, soundSince };
}

/** Whether all that a permit allows is still granted, without interruption. */
function isCovered({ permit, picturesSince, soundSince }: Issued, granted: Granted): boolean {
  if (granted.picturesSince !== picturesSince) return false;
  return !permit.audio || granted.soundSince === soundSince;
}

/** Whether a permit allows just what is granted. */
function isCurrent(permit: Permit | null, { picturesSince, soundSince }: Granted): boolean {
  if (permit === null) return picturesSince === undefined;
  return picturesSince !== undefined && permit.audio === (soundSince !== undefined);
}
