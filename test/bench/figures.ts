// A figure as it is printed and kept.

export interface Figure {
  readonly figure: string;
  readonly unit: string;
  readonly ours: number | null;
  readonly baseline: number | null;
  /** Null where there is nothing to compare with. */
  readonly ratio: number | null;
  /** What is to be reached, as text, or `printed`. It is about the ratio where there is one. */
  readonly bar: string;
  readonly ok: boolean;
}

/** What the parts of the bench are given. */
export interface Bench {
  /** An empty folder on the file system that is measured. */
  readonly folder: string;
  readonly seed: number;
  readonly random: () => number;
  readonly isQuick: boolean;
  readonly print: (line: string) => void;
}

/** `limit` undefined: the figure is printed and nothing is asked of it. */
export function absolute(
  figure: string,
  unit: string,
  ours: number,
  limit?: number,
  baseline: number | null = null,
): Figure {
  return {
    figure,
    unit,
    ours: round(ours),
    baseline: baseline === null ? null : round(baseline),
    ratio: baseline === null ? null : round(ours / baseline),
    bar: limit === undefined ? 'printed' : `<= ${limit} ${unit}`,
    ok: limit === undefined ? Number.isFinite(ours) : ours <= limit,
  };
}

/** `least` is the smallest that will do. */
export function atLeast(figure: string, unit: string, ours: number, least: number): Figure {
  return {
    figure,
    unit,
    ours: round(ours),
    baseline: null,
    ratio: null,
    bar: `>= ${least} ${unit}`,
    ok: ours >= least,
  };
}

/** `limit` is the largest ratio. */
export function compared(
  figure: string,
  unit: string,
  ours: number,
  baseline: number,
  limit?: number,
): Figure {
  const ratio = ours / baseline;
  return {
    figure,
    unit,
    ours: round(ours),
    baseline: round(baseline),
    ratio: round(ratio),
    bar: limit === undefined ? 'printed' : `<= ${limit}`,
    ok: limit === undefined ? Number.isFinite(ratio) : ratio <= limit,
  };
}

/** A figure that could not be taken. */
export function missing(figure: string, bar: string): Figure {
  return { figure, unit: '', ours: null, baseline: null, ratio: null, bar, ok: false };
}

export function median(values: readonly number[]): number {
  return percentile(values, 0.5);
}

/** The value that at least this share of the values does not exceed. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  const index = Math.max(0, Math.ceil(sorted.length * share) - 1);
  return sorted[index] ?? Number.NaN;
}

export function spread(values: readonly number[]): string {
  return values.map((value) => value.toPrecision(3)).join(' ');
}

/** Least squares over one sample a second. */
export function slopePerMinute(samples: readonly number[]): number {
  const n = samples.length;
  const meanX = (n - 1) / 2;
  const meanY = samples.reduce((sum, y) => sum + y, 0) / n;
  let xy = 0;
  let xx = 0;
  for (const [x, y] of samples.entries()) {
    xy += (x - meanX) * (y - meanY);
    xx += (x - meanX) ** 2;
  }
  return (60 * xy) / xx;
}

function round(value: number): number {
  return Number(value.toPrecision(4));
}

/** The table, one figure a line. */
export function table(figures: readonly Figure[]): string {
  const text = (value: number | null): string => (value === null ? '-' : String(value));
  const rows = figures.map(({ figure, unit, ours, baseline, ratio, bar, ok }) => [
    figure,
    unit,
    text(ours),
    text(baseline),
    text(ratio),
    bar,
    ok ? 'ok' : 'MISSED',
  ]);
  const all = [['figure', 'unit', 'ours', 'baseline', 'ratio', 'bar', ''], ...rows];
  const widths = all[0]?.map((_, column) =>
    Math.max(...all.map((row) => row[column]?.length ?? 0)),
  );
  return all
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths?.[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}
