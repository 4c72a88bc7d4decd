// What the program under faults does with records, and what has to be there after each step of it.
import type { NewRecord } from '../../../agent/spool/flash.ts';
import { bytesFrom, gapRecord, record } from './records.ts';

export type Step =
  | { readonly write: NewRecord }
  | { readonly remove: NewRecord }
  | { readonly erase: readonly NewRecord[] };

const sound = { scopes: ['video', 'audio'] } as const;

/** Makes and destroys keys, replaces, removes the last one, erases all and a part. */
export const STEPS: readonly Step[] = [
  { write: record(1, { kind: 'stream', media: [] }) },
  { write: record(2) },
  { write: gapRecord(3) },
  { write: gapRecord(3, { head: bytesFrom('grown', 200) }) },
  { write: record(4, sound) },
  { remove: record(2) },
  { erase: [record(4)] },
  { write: record(5) },
  { erase: [record(1, { kind: 'stream' }), gapRecord(3), record(5)] },
  { write: record(6) },
  { remove: record(6) },
  { write: record(7, sound) },
  { write: record(8, { kind: 'event', media: [] }) },
  { erase: [] },
];

const keyOf = ({ number, kind }: NewRecord) => `${number} ${kind}`;

/** The records that are there after so many steps. */
export function after(count: number): readonly NewRecord[] {
  const there = new Map<string, NewRecord>();
  for (const step of STEPS.slice(0, count)) {
    if ('write' in step) there.set(keyOf(step.write), step.write);
    else if ('remove' in step) there.delete(keyOf(step.remove));
    else for (const one of step.erase) there.delete(keyOf(one));
  }
  return [...there.values()].sort((one, other) => one.number - other.number);
}
