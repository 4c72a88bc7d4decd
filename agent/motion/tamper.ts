// From gray frames to whether somebody covered the camera or turned it away. Pure.
// INVARIANT: both are judged against how the view was before, and only by what lasts.
import { CELLS, COLUMNS, cellsOfFrame, ROWS } from './frame.ts';

/** Frames, at 5 a second. */
const COVERED_AFTER = 15;
const MOVED_AFTER = 50;
/** Frames until the view is known. */
const KNOWN_AFTER = 50;
/** How fast it follows what changes by itself: dusk, seasons, a car that was parked. */
const LEARN = 0.003;
/** So little of its structure is left when it is covered, and so much when it is not any more. */
const COVERED_SHARE = 0.25;
const OPEN_SHARE = 0.5;
/** Mean difference of neighbouring cells in gray levels; a view with less shows nothing. */
const LEAST_STRUCTURE = 1.2;
/** Likeness of two views: 1 the same, about 0 for two that have nothing in common. */
const OTHER_VIEW = 0.3;
const SAME_VIEW = 0.5;
/** Smaller differences of neighbouring cells are noise. */
const EDGE_LEVELS = 3;

export interface Tampering {
  /** Frames for which it has been so; 0 for not. */
  readonly coveredFor: number;
  readonly isCovered: boolean;
  /** True once for each time the view became another one and stayed so, `movedFor` frames ago. */
  readonly isMoved: boolean;
  readonly movedFor: number;
}

export class Tamper {
  /** Differences to the right and to the lower neighbour of each cell, as they usually are. */
  readonly #view = new Float32Array(2 * CELLS);
  #structure = 0;
  #frames = 0;
  #coveredFor = 0;
  #isCovered = false;
  #movedFor = 0;

  push(frame: Uint8Array): Tampering {
    const edges = edgesOf(cellsOfFrame(frame));
    const structure = meanOf(edges);
    this.#frames += 1;
    if (this.#frames <= KNOWN_AFTER) this.#learn(edges, structure, 1 / this.#frames);
    else this.#judge(edges, structure);
    const isMoved = this.#movedFor >= MOVED_AFTER;
    const said = {
      coveredFor: this.#coveredFor,
      isCovered: this.#isCovered,
      isMoved,
      movedFor: this.#movedFor,
    };
    if (isMoved) this.#startFrom(edges, structure);
    return said;
  }

  /** The settings turned or mirrored the picture, or its source is another one. */
  forget(): void {
    this.#frames = 0;
    this.#coveredFor = 0;
    this.#movedFor = 0;
    this.#isCovered = false;
  }

  #judge(edges: Float32Array, structure: number): void {
    const knows = this.#structure >= LEAST_STRUCTURE;
    const share = structure / Math.max(this.#structure, LEAST_STRUCTURE);
    const looksCovered = knows && share < (this.#isCovered ? OPEN_SHARE : COVERED_SHARE);
    this.#coveredFor = looksCovered ? this.#coveredFor + 1 : 0;
    this.#isCovered = this.#coveredFor >= COVERED_AFTER || (this.#isCovered && looksCovered);
    if (looksCovered) {
      this.#movedFor = 0;
      return;
    }
    const likeness = knows && structure >= LEAST_STRUCTURE ? this.#likeness(edges) : 1;
    if (likeness < (this.#movedFor > 0 ? SAME_VIEW : OTHER_VIEW)) this.#movedFor += 1;
    else {
      this.#movedFor = 0;
      this.#learn(edges, structure, LEARN);
    }
  }

  /** Cosine between the view as it was and as it is; brightness and contrast do not matter. */
  #likeness(edges: Float32Array): number {
    let [both, before, now] = [0, 0, 0];
    for (let at = 0; at < edges.length; at += 1) {
      const known = this.#view[at] ?? 0;
      const seen = edges[at] ?? 0;
      both += known * seen;
      before += known * known;
      now += seen * seen;
    }
    return both / Math.max(1e-6, Math.sqrt(before * now));
  }

  #learn(edges: Float32Array, structure: number, share: number): void {
    for (let at = 0; at < edges.length; at += 1) {
      const known = this.#view[at] ?? 0;
      this.#view[at] = known + share * ((edges[at] ?? 0) - known);
    }
    this.#structure += share * (structure - this.#structure);
  }

  #startFrom(edges: Float32Array, structure: number): void {
    this.forget();
    this.#frames = 1;
    this.#learn(edges, structure, 1);
  }
}

function edgesOf(cells: Float32Array): Float32Array {
  const edges = new Float32Array(2 * CELLS);
  for (let cell = 0; cell < CELLS; cell += 1) {
    const value = cells[cell] ?? 0;
    const hasRight = cell % COLUMNS < COLUMNS - 1;
    const hasBelow = cell < CELLS - COLUMNS && ROWS > 1;
    edges[2 * cell] = hasRight ? withoutNoise((cells[cell + 1] ?? 0) - value) : 0;
    edges[2 * cell + 1] = hasBelow ? withoutNoise((cells[cell + COLUMNS] ?? 0) - value) : 0;
  }
  return edges;
}

function withoutNoise(difference: number): number {
  return Math.abs(difference) < EDGE_LEVELS ? 0 : difference;
}

function meanOf(edges: Float32Array): number {
  return edges.reduce((sum, edge) => sum + Math.abs(edge), 0) / edges.length;
}
