// How it gets dark: all at once, as when a light goes out, or from a side, as when something is put
// before the lens. Pure. INVARIANT: judged against how bright each place usually is.
import { CELLS, meanOf, mix } from './frame.ts';

/** Mean gray level of what shows no light at all; so much of the usual light is little as well. */
const DARK = 30;
const DIM = 0.5;
/** Gray levels; a place that is darker than that anyway tells nothing. */
const LIT = 40;
/** So much of its light has a place left at the most when it is covered, at the least when it is not. */
const COVERED = 0.5;
const OPEN = 0.75;
/** So much of what is lit is covered, and so much is not, while the edge passes. */
const LEAST_COVERED = 0.2;
const LEAST_OPEN = 0.1;
/** Frames, at 5 a second: an edge passes within so many, and it is dark so soon after. */
const PASSES_WITHIN = 25;
const DARK_WITHIN = 15;

export class Shade {
  /** Gray of each cell as it usually is. */
  readonly #usual = new Float32Array(CELLS);
  #edgeFor = 0;
  #sinceEdge = Number.POSITIVE_INFINITY;

  /** Whether an edge has just passed through the picture. */
  get cameFromASide(): boolean {
    return this.#sinceEdge <= DARK_WITHIN && this.#edgeFor <= PASSES_WITHIN;
  }

  /** Whether that is much less light than usual. */
  isDark(cells: Float32Array): boolean {
    return meanOf(cells) < Math.max(DARK, DIM * meanOf(this.#usual));
  }

  push(cells: Float32Array): void {
    const hasEdge = this.#hasEdge(cells);
    if (hasEdge) this.#edgeFor = this.#sinceEdge === 0 ? this.#edgeFor + 1 : 1;
    this.#sinceEdge = hasEdge ? 0 : this.#sinceEdge + 1;
  }

  /** That is how bright it usually is, by this share. */
  learn(cells: Float32Array, share: number): void {
    mix(this.#usual, cells, share);
  }

  #hasEdge(cells: Float32Array): boolean {
    let [lit, covered, open] = [0, 0, 0];
    for (let cell = 0; cell < CELLS; cell += 1) {
      const usual = this.#usual[cell] ?? 0;
      if (usual < LIT) continue;
      const left = (cells[cell] ?? 0) / usual;
      lit += 1;
      if (left < COVERED) covered += 1;
      else if (left > OPEN) open += 1;
    }
    return lit > 0 && covered >= lit * LEAST_COVERED && open >= lit * LEAST_OPEN;
  }
}
