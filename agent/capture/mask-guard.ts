// Whether the masks are black in the pictures that come. Told by the small gray pictures, which are
// taken behind the masks and before the encoder. Decides only.
// INVARIANT: a picture in which a mask that is in force is not black is never overlooked, and the
// masks are in force until others are proven.
import { GRAY_HEIGHT, GRAY_REACH, GRAY_WIDTH } from './gray.ts';
import { isBlackAt, type Raster } from './mask-raster.ts';

/** Black is 0 in them, or 16 where the range is kept; noise of scaling stays below. */
const MAX_BLACK = 24;

export type MaskVerdict = 'open' | 'black';

export class MaskGuard {
  #firm: readonly number[] | null = null;
  #next: { readonly places: readonly number[]; readonly onProven: () => void } | null = null;

  /** Whether anything has to be black. */
  get isNeeded(): boolean {
    return this.#firm !== null;
  }

  /** From now on these are in force: what must be black in every picture. Null: nothing. */
  force(raster: Raster | null): void {
    this.#firm = raster === null ? null : placesOf(raster);
    this.#next = null;
  }

  /** Resolves with the first picture in which these are black; those in force stay so until then. */
  proves(raster: Raster): Promise<void> {
    return new Promise((resolve) => {
      this.#next = { places: placesOf(raster), onProven: resolve };
    });
  }

  /** `open`: a mask in force is not black in it. */
  look(frame: Uint8Array): MaskVerdict {
    if (this.#firm !== null && !isBlack(frame, this.#firm)) return 'open';
    const next = this.#next;
    if (next !== null && isBlack(frame, next.places)) {
      this.#firm = next.places;
      this.#next = null;
      next.onProven();
    }
    return 'black';
  }
}

/** The pixels of a gray picture of which nothing but black may be seen. */
export function placesOf(raster: Raster): readonly number[] {
  const across = edgesOf(raster.width, GRAY_WIDTH);
  const down = edgesOf(raster.height, GRAY_HEIGHT);
  const places: number[] = [];
  down.forEach(([top, bottom], row) => {
    across.forEach(([left, right], column) => {
      const isInside =
        isBlackAt(raster, left, top) &&
        isBlackAt(raster, right, top) &&
        isBlackAt(raster, left, bottom) &&
        isBlackAt(raster, right, bottom);
      if (isInside) places.push(row * GRAY_WIDTH + column);
    });
  });
  return places;
}

/** From where to where each gray pixel shows; beyond the border there is what is at the border. */
function edgesOf(pixels: number, grayPixels: number): (readonly [from: number, to: number])[] {
  return Array.from({ length: grayPixels }, (_, at) => {
    const middle = ((at + 0.5) * pixels) / grayPixels;
    return [Math.max(0, middle - GRAY_REACH), Math.min(pixels - 1, middle + GRAY_REACH)];
  });
}

function isBlack(frame: Uint8Array, places: readonly number[]): boolean {
  // What no pixel shows is not proven.
  return places.length > 0 && places.every((place) => (frame[place] ?? 255) <= MAX_BLACK);
}
