// From gray frames to whether something moves. Pure: no clock, no settings but those handed in.
// INVARIANT: what stands still is no motion, whether or not it was there before; a change of the
// light as a whole is none either.
import type { MotionConfig } from '../../proto/settings.ts';
import { CELLS, COLUMNS, cellsOfFrame, ROWS } from './frame.ts';
import { cellsOf } from './zones.ts';

/** How fast the background follows what stands still, and its noise. */
const LEARN = 0.05;
/** A cell has to differ by so many times its noise. */
const NOISE_TIMES = 4;
/** Gray levels, where nothing is known of the noise yet. */
const FIRST_NOISE = 1.5;
/** Frames back that a moving thing has to differ from, at 5 a second. */
const BACK = 3;
/** More of the picture than this at once is another light or another view. */
const SCENE_SHARE = 0.7;
/** A moving cell counts where so many of its eight neighbours move, so that single ones do not. */
const NEIGHBOURS = 2;

/** One of the frames. */
export interface Seen {
  /** Percent of the zones that moves. */
  readonly percent: number;
  readonly isMoving: boolean;
}

/** Least percent of the zones that counts as motion, and least gray levels by which a cell differs. */
export function thresholds({ sensitivityPercent }: Pick<MotionConfig, 'sensitivityPercent'>): {
  readonly percent: number;
  readonly levels: number;
} {
  const deaf = 1 - sensitivityPercent / 100;
  return { percent: 0.06 * 50 ** deaf, levels: 5 + 22 * deaf ** 2 };
}

export class Detector {
  readonly #background = new Float32Array(CELLS);
  readonly #noise = new Float32Array(CELLS).fill(FIRST_NOISE);
  readonly #moving = new Uint8Array(CELLS);
  /** Frames before this one, freed of changes of the whole light, oldest first. */
  #before: Float32Array[] = [];
  #zones: { readonly of: MotionConfig['zones']; readonly cells: readonly boolean[] } | null = null;

  /** Takes the next frame, a fifth of a second after the one before it. */
  push(frame: Uint8Array, config: Pick<MotionConfig, 'sensitivityPercent' | 'zones'>): Seen {
    const cells = cellsOfFrame(frame);
    const back = this.#before[0];
    if (back === undefined) {
      this.#startFrom(cells);
      return { percent: 0, isMoving: false };
    }
    const { percent: least, levels } = thresholds(config);
    this.#evenOut(cells);
    const moving = this.#compare(cells, back, levels);
    if (moving > CELLS * SCENE_SHARE) {
      this.#startFrom(cells);
      return { percent: 0, isMoving: false };
    }
    this.#remember(cells);
    const percent = this.#percentOf(this.#zoneCells(config.zones));
    return { percent, isMoving: percent >= least };
  }

  /** The frames to come are not those after the ones so far. */
  forget(): void {
    this.#before = [];
  }

  #startFrom(cells: Float32Array): void {
    this.#background.set(cells);
    this.#before = [cells];
  }

  #remember(cells: Float32Array): void {
    this.#before = [...this.#before, cells].slice(-BACK);
  }

  /** Takes out what all of the picture got brighter or darker by, so that the background still fits. */
  #evenOut(cells: Float32Array): void {
    const counts = new Uint16Array(511);
    for (let cell = 0; cell < CELLS; cell += 1) {
      const away = Math.round((cells[cell] ?? 0) - (this.#background[cell] ?? 0));
      // Lights went up and down: a background may have left its range.
      const level = Math.max(0, Math.min(510, away + 255));
      counts[level] = (counts[level] ?? 0) + 1;
    }
    let seen = 0;
    const middle = counts.findIndex((count) => {
      seen += count;
      return seen * 2 >= CELLS;
    });
    const shift = middle - 255;
    // The light itself goes on into the background, so that the picture never leaves its range.
    for (let cell = 0; cell < CELLS; cell += 1)
      this.#background[cell] = (this.#background[cell] ?? 0) + shift;
    for (const earlier of this.#before)
      for (let cell = 0; cell < CELLS; cell += 1) earlier[cell] = (earlier[cell] ?? 0) + shift;
  }

  /** Marks what moves, lets the background learn the rest, and returns how many cells move. */
  #compare(cells: Float32Array, back: Float32Array, levels: number): number {
    let count = 0;
    for (let cell = 0; cell < CELLS; cell += 1) {
      const value = cells[cell] ?? 0;
      const background = this.#background[cell] ?? 0;
      const noise = this.#noise[cell] ?? 0;
      const away = Math.abs(value - background);
      const least = levels + NOISE_TIMES * noise;
      const isMoving = away > least && Math.abs(value - (back[cell] ?? 0)) > least;
      this.#moving[cell] = isMoving ? 1 : 0;
      if (isMoving) count += 1;
      else {
        this.#background[cell] = background + LEARN * (value - background);
        if (away <= least) this.#noise[cell] = noise + LEARN * (away - noise);
      }
    }
    return count;
  }

  #percentOf(zone: readonly boolean[]): number {
    let [moving, all] = [0, 0];
    for (let cell = 0; cell < CELLS; cell += 1) {
      if (!zone[cell]) continue;
      all += 1;
      if (this.#moving[cell] === 1 && this.#neighbours(cell) >= NEIGHBOURS) moving += 1;
    }
    return (100 * moving) / Math.max(1, all);
  }

  #neighbours(cell: number): number {
    const [column, row] = [cell % COLUMNS, Math.floor(cell / COLUMNS)];
    let count = 0;
    for (let y = Math.max(0, row - 1); y <= Math.min(ROWS - 1, row + 1); y += 1)
      for (let x = Math.max(0, column - 1); x <= Math.min(COLUMNS - 1, column + 1); x += 1)
        count += this.#moving[y * COLUMNS + x] ?? 0;
    return count - 1;
  }

  #zoneCells(zones: MotionConfig['zones']): readonly boolean[] {
    if (this.#zones?.of !== zones)
      this.#zones = { of: zones, cells: cellsOf(zones, COLUMNS, ROWS) };
    return this.#zones.cells;
  }
}
