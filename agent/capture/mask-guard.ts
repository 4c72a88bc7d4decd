// Whether the masks are black in the pictures that come. Told by the small gray pictures, which are
// taken behind the masks and before the encoder. Decides only.
// INVARIANT: a picture in which a mask that is in force is not black is never overlooked, and the
// masks are in force until others are proven.
import { GRAY_HEIGHT, GRAY_WIDTH } from './gray.ts';
import { isBlackAt, type Raster } from './mask-raster.ts';

/** Black is 0 in them, or 16 where the range is kept; noise of scaling stays below. */
const MAX_BLACK = 24;
/** Scaling mixes a pixel with its neighbours. */
const REACH = 1.5;

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
  const places: number[] = [];
  for (let row = 0; row < GRAY_HEIGHT; row += 1)
    for (let column = 0; column < GRAY_WIDTH; column += 1) {
      const x = ((column + 0.5) * raster.width) / GRAY_WIDTH;
      const y = ((row + 0.5) * raster.height) / GRAY_HEIGHT;
      const corners = [-REACH, REACH].flatMap((dx) =>
        [-REACH, REACH].map((dy) => [dx, dy] as const),
      );
      const isInside = ([dx, dy]: readonly [number, number]): boolean =>
        isBlackAt(raster, bound(x + dx, raster.width), bound(y + dy, raster.height));
      if (corners.every(isInside)) places.push(row * GRAY_WIDTH + column);
    }
  return places;
}

/** A place beyond the border shows what is at the border. */
function bound(at: number, size: number): number {
  return Math.min(size - 1, Math.max(0, at));
}

function isBlack(frame: Uint8Array, places: readonly number[]): boolean {
  return places.every((place) => (frame[place] ?? 255) <= MAX_BLACK);
}
