// One entry of the journal as it lies in memory and in a file: a line of the log, or how many were lost.
// INVARIANT: numbers grow with each entry, across restarts; the epoch is that of the consent to device
// logs when the entry was made, 0 when there was none. What cannot be read is no entry.

export interface Entry {
  readonly number: number;
  readonly epoch: number;
  readonly atMs: number;
  /** Lines that were lost here; 0 for an entry that is a line. */
  readonly dropped: number;
  /** A JSON object; empty for an entry that only says what was lost. */
  readonly line: string;
}

/** One line of a file, without its end. */
export function entryText({ number, epoch, atMs, dropped, line }: Entry): string {
  const head = `{"number":${number},"epoch":${epoch},"atMs":${atMs},"dropped":${dropped}`;
  return line === '' ? `${head}}` : `${head},"line":${line}}`;
}

/**
 * What is written to a file at once. Up to where all was sent is said before and behind, and where a bundle
 * ends that was given out: a bundle of what is read again ends there as well, so that it is the same one.
 */
export function writtenText(
  entries: readonly Entry[],
  { sent, given }: { readonly sent: number; readonly given: number },
): string {
  const mark = `{"sent":${sent}}`;
  const under = entries.filter(({ number }) => number <= given).map(entryText);
  const after = entries.filter(({ number }) => number > given).map(entryText);
  const cut = under.length > 0 && after.length > 0 ? [mark] : [];
  return `${[mark, ...under, ...cut, ...after, mark].join('\n')}\n`;
}

/** Of a line of a file; null for what was cut or damaged. */
export function readText(text: string): Entry | { readonly sent: number } | null {
  const value = parsed(text);
  if (value === null) return null;
  const { sent, number, epoch, atMs, dropped, line } = value;
  if (isCount(sent)) return { sent };
  if (!isCount(number) || !isCount(epoch) || !isCount(atMs) || !isCount(dropped)) return null;
  const isLine = typeof line === 'object' && line !== null;
  return { number, epoch, atMs, dropped, line: isLine ? JSON.stringify(line) : '' };
}

function parsed(text: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? { ...value } : null;
  } catch {
    return null;
  }
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}
