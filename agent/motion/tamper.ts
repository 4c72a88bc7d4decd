// From gray frames to whether somebody covered the camera or turned it away. Pure.
// INVARIANT: both are judged against how the view was before, and only by what lasts.
import { CELLS, COLUMNS, cellsOfFrame, mix, ROWS } from './frame.ts';
import { Shade } from './shade.ts';

/** Frames, at 5 a second. */
const COVERED_AFTER = 15;
const MOVED_AFTER = 50;
/** Sixteen hours without a light. */
const LONGEST_NIGHT = 16 * 3600 * 5;
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
/** Share of a frame in the picture that is judged: the noise of a sensor in the dark is gone by it. */
const SMOOTH = 0.2;

export interface Tampering {
  /** Frames for which it has been so; 0 for not. */
  readonly coveredFor: number;
  readonly isCovered: boolean;
  /** True once for each time the view became another one and stayed so, `movedFor` frames ago. */
  readonly isMoved: boolean;
  readonly movedFor: number;
}

/** One frame: gray of its cells, and edges of what was smoothed. */
interface Look {
  readonly cells: Float32Array;
  readonly edges: Float32Array;
  readonly structure: number;
}

export class Tamper {
  /** Differences to the right and to the lower neighbour of each cell, as they usually are. */
  readonly #view = new Float32Array(2 * CELLS);
  readonly #smooth = new Float32Array(CELLS);
  readonly #shade = new Shade();
  #structure = 0;
  #frames = 0;
  #coveredFor = 0;
  #isCovered = false;
  /** Frames since the light went out; 0 while something is seen. */
  #darkFor = 0;
  readonly #longestNight: number;
  #movedFor = 0;

  /** @param longestNight a light that was out for so many frames was none. */
  constructor(longestNight = LONGEST_NIGHT) {
    this.#longestNight = longestNight;
  }

  push(frame: Uint8Array): Tampering {
    this.#frames += 1;
    const look = this.#lookAt(cellsOfFrame(frame));
    if (this.#frames <= KNOWN_AFTER) this.#learn(look, 1 / this.#frames);
    else this.#judge(look);
    const isMoved = this.#movedFor >= MOVED_AFTER;
    const said = {
      coveredFor: this.#coveredFor,
      isCovered: this.#isCovered,
      isMoved,
      movedFor: this.#movedFor,
    };
    if (isMoved) this.#startFrom(look);
    return said;
  }

  /** The settings turned or mirrored the picture, or its source is another one. */
  forget(): void {
    this.#frames = 0;
    this.#coveredFor = 0;
    this.#movedFor = 0;
    this.#isCovered = false;
    this.#darkFor = 0;
  }

  #lookAt(cells: Float32Array): Look {
    this.#shade.push(cells);
    mix(this.#smooth, cells, this.#frames === 1 ? 1 : SMOOTH);
    const edges = edgesOf(this.#smooth);
    return { cells, edges, structure: strengthOf(edges) };
  }

  #judge(look: Look): void {
    const { edges, structure } = look;
    const knows = this.#structure >= LEAST_STRUCTURE;
    const share = structure / Math.max(this.#structure, LEAST_STRUCTURE);
    const wasBlind = this.#isCovered || this.#darkFor > 0;
    const isBlind = knows && share < (wasBlind ? OPEN_SHARE : COVERED_SHARE);
    this.#explain(isBlind, look);
    if (isBlind) {
      this.#movedFor = 0;
      return;
    }
    const likeness = knows && structure >= LEAST_STRUCTURE ? this.#likeness(edges) : 1;
    if (likeness < (this.#movedFor > 0 ? SAME_VIEW : OTHER_VIEW)) this.#movedFor += 1;
    else {
      this.#movedFor = 0;
      this.#learn(look, LEARN);
    }
  }

  /** Nothing to be seen is a light that went out, or something before the lens. */
  #explain(isBlind: boolean, { cells }: Look): void {
    const goesOut =
      this.#coveredFor === 0 && this.#shade.isDark(cells) && !this.#shade.cameFromASide;
    const isLightOff = isBlind && (this.#darkFor > 0 || goesOut);
    this.#darkFor = isLightOff ? this.#darkFor + 1 : 0;
    const isCovering = isBlind && (!isLightOff || this.#darkFor > this.#longestNight);
    this.#coveredFor = isCovering ? this.#coveredFor + 1 : 0;
    this.#isCovered = isBlind && (this.#isCovered || this.#coveredFor >= COVERED_AFTER);
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

  #learn({ cells, edges, structure }: Look, share: number): void {
    mix(this.#view, edges, share);
    this.#structure += share * (structure - this.#structure);
    this.#shade.learn(cells, share);
  }

  #startFrom(look: Look): void {
    this.forget();
    this.#frames = 1;
    this.#learn(look, 1);
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

function strengthOf(edges: Float32Array): number {
  let sum = 0;
  for (let at = 0; at < edges.length; at += 1) sum += Math.abs(edges[at] ?? 0);
  return sum / edges.length;
}
