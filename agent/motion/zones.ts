// Which cells of the picture count. Pure. INVARIANT: a zone, however thin, counts at least one cell.
import type { Polygon } from '../../proto/settings.ts';

/** True for the cells, row by row, whose middle lies in a polygon; for all where there is none. */
export function cellsOf(zones: readonly Polygon[], columns: number, rows: number): boolean[] {
  if (zones.length === 0) return new Array<boolean>(columns * rows).fill(true);
  const cells = Array.from({ length: columns * rows }, (_, cell) => {
    const x = ((cell % columns) + 0.5) / columns;
    const y = (Math.floor(cell / columns) + 0.5) / rows;
    return zones.some((zone) => isInside(zone, x, y));
  });
  for (const zone of zones)
    for (const [x, y] of zone) {
      const column = Math.min(columns - 1, Math.floor(x * columns));
      const row = Math.min(rows - 1, Math.floor(y * rows));
      if (!touches(cells, zone, columns, rows)) cells[row * columns + column] = true;
    }
  return cells;
}

/** Whether any cell of the polygon's own counts already. */
function touches(cells: readonly boolean[], zone: Polygon, columns: number, rows: number): boolean {
  return cells.some(
    (counts, cell) =>
      counts &&
      isInside(zone, ((cell % columns) + 0.5) / columns, (Math.floor(cell / columns) + 0.5) / rows),
  );
}

/** By the even-odd rule. */
export function isInside(polygon: Polygon, x: number, y: number): boolean {
  let inside = false;
  let [beforeX, beforeY] = polygon.at(-1) ?? [0, 0];
  for (const [atX, atY] of polygon) {
    const crosses = atY > y !== beforeY > y;
    if (crosses && x < ((beforeX - atX) * (y - atY)) / (beforeY - atY) + atX) inside = !inside;
    [beforeX, beforeY] = [atX, atY];
  }
  return inside;
}
