// Which parts of the recorded picture are black for privacy. Pure.
// INVARIANTS: every pixel that a polygon touches is black, and so is each pixel of the blocks in
// which the encoder could mix it with others: black ends at borders of macroblocks, a margin beyond.
// Around each point of its outline a small gray picture shows nothing but black in some pixel.
import type { Point, Polygon } from '../../proto/settings.ts';
import { GRAY_HEIGHT, GRAY_REACH, GRAY_WIDTH } from './gray.ts';

/** Side of a macroblock of H.264, in pixels: no transform reaches beyond it. */
export const BLOCK = 16;
/** The deblocking filter changes three pixels on each side of a border. */
const LEAST_MARGIN = 4;

/** Black blocks of a picture, row by row. */
export interface Raster {
  readonly width: number;
  readonly height: number;
  readonly columns: number;
  readonly rows: number;
  readonly black: Uint8Array;
}

/** In pixels. */
export interface Box {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

/** The masks of a picture of this size. Points outside 0 to 1 count as its border. */
export function rasterOf(masks: readonly Polygon[], width: number, height: number): Raster {
  const columns = Math.ceil(width / BLOCK);
  const rows = Math.ceil(height / BLOCK);
  const raster = { width, height, columns, rows, black: new Uint8Array(columns * rows) };
  for (const mask of masks) {
    const points = mask.map(([x, y]): Point => [clamp(x) * width, clamp(y) * height]);
    points.forEach((to, at) => {
      markEdge(raster, points.at(at - 1) ?? to, to);
    });
    markInside(raster, points);
  }
  return raster;
}

/** The least box that holds all that is black; null where nothing is. */
export function boxOf({ width, height, columns, rows, black }: Raster): Box | null {
  let [left, top, right, bottom] = [columns, rows, 0, 0];
  black.forEach((isBlack, at) => {
    if (isBlack === 0) return;
    const column = at % columns;
    const row = Math.floor(at / columns);
    [left, right] = [Math.min(left, column), Math.max(right, column + 1)];
    [top, bottom] = [Math.min(top, row), Math.max(bottom, row + 1)];
  });
  if (right === 0) return null;
  const [x, y] = [left * BLOCK, top * BLOCK];
  const to = (blocks: number, whole: number): number => Math.min(blocks * BLOCK, whole);
  return { x, y, width: to(right, width) - x, height: to(bottom, height) - y };
}

/** Whether a pixel is black; pixels outside the picture are not. */
export function isBlackAt({ width, height, columns, black }: Raster, x: number, y: number) {
  if (x < 0 || y < 0 || x >= width || y >= height) return false;
  return black[Math.floor(y / BLOCK) * columns + Math.floor(x / BLOCK)] === 1;
}

function clamp(share: number): number {
  return Math.min(1, Math.max(0, share));
}

/** Pixels beyond a mask that are black as well, along one side: enough to show in a gray picture. */
function marginOf(pixels: number, grayPixels: number): number {
  return Math.max(LEAST_MARGIN, Math.ceil(pixels / grayPixels / 2 + GRAY_REACH));
}

function blocksFrom(
  from: number,
  to: number,
  margin: number,
  count: number,
): [first: number, last: number] {
  const first = Math.floor((Math.min(from, to) - margin) / BLOCK);
  const last = Math.floor((Math.max(from, to) + margin) / BLOCK);
  return [Math.max(0, first), Math.min(count - 1, last)];
}

/** Marks the blocks that a line comes near, row by row. */
function markEdge({ width, height, columns, rows, black }: Raster, from: Point, to: Point): void {
  const [marginX, marginY] = [marginOf(width, GRAY_WIDTH), marginOf(height, GRAY_HEIGHT)];
  const [top, bottom] = blocksFrom(from[1], to[1], marginY, rows);
  for (let row = top; row <= bottom; row += 1) {
    const ends = [row * BLOCK - marginY, (row + 1) * BLOCK + marginY].map((y) =>
      acrossAt(from, to, y),
    );
    const isLevel = from[1] === to[1];
    const [one, other] = isLevel ? [from[0], to[0]] : [ends[0] ?? 0, ends[1] ?? 0];
    const [left, right] = blocksFrom(one, other, marginX, columns);
    black.fill(1, row * columns + left, row * columns + right + 1);
  }
}

/** Where a line is at this height, or its end that is nearest to it. */
function acrossAt([x0, y0]: Point, [x1, y1]: Point, y: number): number {
  const share = y1 === y0 ? 0 : (y - y0) / (y1 - y0);
  return x0 + clamp(share) * (x1 - x0);
}

/** Blocks whose middle lies inside; those that an edge crosses are marked already. */
function markInside({ columns, rows, black }: Raster, points: readonly Point[]): void {
  for (let row = 0; row < rows; row += 1) {
    const turns = new Int32Array(columns + 1);
    for (const [x, turn] of turnsAt(points, (row + 0.5) * BLOCK)) {
      const first = Math.floor(x / BLOCK + 0.5);
      if (first <= columns) turns[first] = (turns[first] ?? 0) + turn;
    }
    let winding = 0;
    for (let column = 0; column < columns; column += 1) {
      winding += turns[column] ?? 0;
      // What any round of the line encloses is inside, also where it crosses itself.
      if (winding !== 0) black[row * columns + column] = 1;
    }
  }
}

/** Where a level line meets the polygon, and which way that edge goes. */
function turnsAt(points: readonly Point[], y: number): (readonly [x: number, turn: 1 | -1])[] {
  return points.flatMap((to, at) => {
    const from = points.at(at - 1) ?? to;
    if (from[1] > y === to[1] > y) return [];
    const x = from[0] + ((y - from[1]) / (to[1] - from[1])) * (to[0] - from[0]);
    return [[x, to[1] > from[1] ? 1 : -1] as const];
  });
}
