// The picture as motion is looked for in it: gray, small, in cells of four pixels. Pure.

/** Of the gray frames. */
export const FRAME_WIDTH = 160;
export const FRAME_HEIGHT = 90;
export const FRAME_BYTES = FRAME_WIDTH * FRAME_HEIGHT;
export const COLUMNS = FRAME_WIDTH / 2;
export const ROWS = FRAME_HEIGHT / 2;
export const CELLS = COLUMNS * ROWS;

/** Mean gray of each cell, 0 to 255; half of the sensor's noise is gone by it. */
export function cellsOfFrame(frame: Uint8Array): Float32Array {
  const cells = new Float32Array(CELLS);
  for (let row = 0; row < ROWS; row += 1) {
    let at = row * 2 * FRAME_WIDTH;
    for (let column = 0; column < COLUMNS; column += 1, at += 2) {
      const top = (frame[at] ?? 0) + (frame[at + 1] ?? 0);
      const bottom = (frame[at + FRAME_WIDTH] ?? 0) + (frame[at + FRAME_WIDTH + 1] ?? 0);
      cells[row * COLUMNS + column] = (top + bottom) / 4;
    }
  }
  return cells;
}

/** Moves what is known towards what is seen, by this share of the way. */
export function mix(known: Float32Array, seen: Float32Array, share: number): void {
  for (let at = 0; at < known.length; at += 1) {
    const value = known[at] ?? 0;
    known[at] = value + share * ((seen[at] ?? 0) - value);
  }
}

export function meanOf(values: Float32Array): number {
  let sum = 0;
  for (let at = 0; at < values.length; at += 1) sum += values[at] ?? 0;
  return sum / values.length;
}
