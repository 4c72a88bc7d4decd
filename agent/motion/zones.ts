// Which cells of the picture count. Pure. INVARIANT: a zone, however thin, counts at least one cell;
// it takes no longer than cells times corners.
import type { Polygon } from '../../proto/settings.ts';

/** True for the cells, row by row, whose middle lies in a polygon; for all where there is none. */
export function cellsOf(zones: readonly Polygon[], columns: number, rows: number): boolean[] {
  const cells = new Array<boolean>(columns * rows).fill(zones.length === 0);
  for (const zone of zones) {
    const own = within(zone, columns, rows);
    for (const cell of own.length > 0 ? own : corners(zone, columns, rows)) cells[cell] = true;
  }
  return cells;
}

/** The cells whose middle lies in it. */
function within(zone: Polygon, columns: number, rows: number): number[] {
  const all = Array.from({ length: columns * rows }, (_, cell) => cell);
  return all.filter((cell) =>
    isInside(zone, ((cell % columns) + 0.5) / columns, (Math.floor(cell / columns) + 0.5) / rows),
  );
}

/** The cells in which its corners lie. */
function corners(zone: Polygon, columns: number, rows: number): number[] {
  return zone.map(([x, y]) => {
    const column = Math.min(columns - 1, Math.floor(x * columns));
    return Math.min(rows - 1, Math.floor(y * rows)) * columns + column;
  });
}

/** By the even-odd rule. */
export function isInside(polygon: Polygon, x: number, y: number): boolean {
  let inside = false;
  let before = polygon.at(-1);
  // Millions of times for the largest zones: an index is ten times as fast as an iterator here.
  for (let nth = 0; nth < polygon.length; nth += 1) {
    const at = polygon[nth];
    if (at === undefined || before === undefined) break;
    const crosses = at[1] > y !== before[1] > y;
    if (crosses && x < ((before[0] - at[0]) * (y - at[1])) / (before[1] - at[1]) + at[0])
      inside = !inside;
    before = at;
  }
  return inside;
}
