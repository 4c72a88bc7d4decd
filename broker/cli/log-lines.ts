// Lines of a device's log as they are shown. Pure. INVARIANT: what a device wrote cannot move the cursor,
// change colours or the direction of text: such characters are shown by their code.
import { harmless, harmlessJson } from '../../proto/harmless.ts';
import type { LogBatchAnswer, LogLine } from './log-answers.ts';

const SHOWN_FIRST = new Set(['time', 'level', 'part', 'msg']);

/** A batch as lines of text, what was dropped before it first. */
export function textLines({ dropped, receivedAt, lines }: LogBatchAnswer): string[] {
  const lost = dropped > 0 ? [`-- ${dropped} lines were dropped before ${receivedAt}`] : [];
  return [...lost, ...lines.map(textLine)];
}

/** The same as JSON, one object for each line. */
export function jsonLines({ dropped, receivedAt, lines }: LogBatchAnswer): string[] {
  const all = [...(dropped > 0 ? [{ receivedAt, dropped }] : []), ...lines];
  return all.map((line) => harmlessJson(JSON.stringify(line)));
}

function textLine(line: LogLine): string {
  const { time, level, part, msg } = line;
  const rest = Object.entries(line)
    .filter(([name]) => !SHOWN_FIRST.has(name))
    .map(([name, value]) => `${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`);
  const head = [said(time), said(level).padEnd(5), ...(part === undefined ? [] : [said(part)])];
  return harmless([...head, said(msg), ...rest].filter((word) => word !== '').join(' '));
}

function said(value: unknown): string {
  return typeof value === 'string' ? value : (JSON.stringify(value) ?? '');
}
