// What was captured, held back until a later picture has shown that the masks are black.
// INVARIANTS: while masks are in force nothing is handed on that no proof came after; the first proof
// after masks were taken away is a picture taken after that; and after drop() nothing is handed on.
import { GraySplitter } from './gray.ts';
import { MaskGuard } from './mask-guard.ts';

export interface HeldBackDeps {
  readonly monoUs: () => number;
  /** Each small gray picture whose masks are black. */
  readonly onGray: (frame: Uint8Array) => void;
  /** Masks are not black, or nothing can be seen of them: the capture has to end at once. */
  readonly onBroken: (what: string) => void;
}

/** Proofs come five times a second. */
const MAX_SILENCE_US = 5e6;

export class HeldBack {
  readonly guard = new MaskGuard();
  readonly #deps: HeldBackDeps;
  readonly #gray = new GraySplitter((frame) => this.#look(frame));
  #held: (() => void)[] = [];
  #isDropped = false;
  /** Of the last proof, or of the first media. */
  #seenUs: number | undefined;
  #isProven = false;
  /** So many pictures that are still to come may have been taken before masks were taken away. */
  #olderPictures = 0;

  constructor(deps: HeldBackDeps) {
    this.#deps = deps;
  }

  /** Acts now, or once the masks are proven, in order. */
  hand(act: () => void): void {
    if (this.#isDropped) return;
    this.#held.push(act);
    if (!this.guard.isNeeded) this.#release();
  }

  gray(bytes: Buffer): void {
    if (!this.#isDropped) this.#gray.push(bytes);
  }

  /** Media came: proofs have to come as well. */
  media(): void {
    const nowUs = this.#deps.monoUs();
    this.#seenUs ??= nowUs;
    if (!this.guard.isNeeded) this.#seenUs = nowUs;
    else if (nowUs - this.#seenUs > MAX_SILENCE_US)
      this.#break('nothing shows that masks are black');
  }

  /** Masks are about to be taken away: what shows others to be black may show those. */
  doubt(): void {
    this.#olderPictures = Number.POSITIVE_INFINITY;
    this.#isProven = false;
  }

  /** They are gone: all pictures to come were taken after that, but for at most so many. */
  trustAfter(pictures: number): void {
    this.#olderPictures = pictures;
  }

  /** The capture has ended orderly: what is held is handed on if the masks as they are were seen. */
  finish(): void {
    if (this.guard.isNeeded && !this.#isProven) this.drop();
    else this.#release();
  }

  /** Drops what is held, and all that is handed later. */
  drop(): void {
    this.#isDropped = true;
    this.#held = [];
  }

  #look(frame: Uint8Array): void {
    if (this.#isDropped) return;
    if (this.guard.look(frame) === 'open') {
      this.#break('the masks are not black');
      return;
    }
    this.#seenUs = this.#deps.monoUs();
    if (this.#olderPictures > 0) this.#olderPictures -= 1;
    else {
      this.#isProven ||= this.guard.isNeeded;
      this.#release();
    }
    this.#deps.onGray(frame);
  }

  #release(): void {
    for (const act of this.#held.splice(0)) act();
  }

  #break(what: string): void {
    this.drop();
    this.#deps.onBroken(what);
  }
}
