// What the lines of an agent's log say of acknowledgements. Pure. INVARIANT: a line that was cut off by
// a kill counts as never said.

export interface Said {
  /** `stream/sequence` of each segment that the server has taken in. */
  readonly acknowledged: ReadonlySet<string>;
  /** Codes of what the server refused, with how often. */
  readonly refused: ReadonlyMap<string, number>;
}

/** Reads the log of all the lives of an agent, one after another. */
export function saidIn(log: string): Said {
  const acknowledged = new Set<string>();
  const erased = new Set<string>();
  const refused = new Map<string, number>();
  for (const line of log.split('\n')) {
    const record = parsed(line);
    const id = segmentOf(record?.target);
    if (record === undefined || id === undefined) continue;
    if (record.msg === 'acknowledged') acknowledged.add(id);
    if (record.erase === true) erased.add(id);
    if (typeof record.code === 'string')
      refused.set(record.code, (refused.get(record.code) ?? 0) + 1);
  }
  return { acknowledged: new Set([...acknowledged].filter((id) => !erased.has(id))), refused };
}

function parsed(line: string): Record<string, unknown> | undefined {
  if (!line.includes('"target"')) return undefined;
  try {
    const value: unknown = JSON.parse(line);
    return isRecord(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function segmentOf(target: unknown): string | undefined {
  if (!isRecord(target) || target.kind !== 'segment') return undefined;
  return `${target.streamId}/${target.sequence}`;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}
