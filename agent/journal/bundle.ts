// What goes to the server together. INVARIANT: its id is made of what is in it, so that the same entries
// in the same bundle bear the same id, also after a restart that does not know that they were sent.
import { createHash } from 'node:crypto';
import { encodeLogBatch, MAX_BATCH_BYTES } from '../../proto/log-batch.ts';
import type { Captured } from '../consent/gate.ts';
import { type Entry, entryText } from './entry.ts';

/** Entries of one epoch, in a row. */
export interface Bundle {
  readonly epoch: number;
  readonly entries: readonly Entry[];
  /** Number of its last entry. */
  readonly last: number;
}

/** What consent has to say to a line that was written under this epoch. */
export function loggedUnder(epoch: number): Captured {
  return { epoch, scopes: ['device_log'] };
}

/** As many of one epoch, in a row, as fit. */
export function bundleOf(waiting: readonly Entry[]): Bundle {
  const epoch = waiting[0]?.epoch ?? 0;
  let bytes = 0;
  const end = waiting.findIndex((entry, position) => {
    bytes += Buffer.byteLength(entry.line) + 1;
    return entry.epoch !== epoch || (position > 0 && bytes > MAX_BATCH_BYTES);
  });
  const entries = end === -1 ? waiting : waiting.slice(0, end);
  return { epoch, entries, last: entries.at(-1)?.number ?? 0 };
}

/** As it is sent. */
export function encodeBundle({ epoch, entries }: Bundle): Uint8Array {
  const hash = createHash('sha256');
  let [firstMs, lastMs, dropped] = [Number.MAX_SAFE_INTEGER, 0, 0];
  for (const entry of entries) {
    hash.update(`${entryText(entry)}\n`);
    firstMs = Math.min(firstMs, entry.atMs);
    lastMs = Math.max(lastMs, entry.atMs);
    dropped += entry.dropped;
  }
  return encodeLogBatch({
    batchId: hash.digest('hex').slice(0, 32),
    epoch,
    firstAtUs: firstMs * 1000,
    lastAtUs: lastMs * 1000,
    lines: entries.flatMap(({ line }) => (line === '' ? [] : [line])),
    dropped,
  });
}
