// One round of the floor: the same files, written and synced by a bare C program.
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { IngestSize } from './ingest.ts';
import type { Native } from './native.ts';
import { run } from './processes.ts';

/** CPU seconds per GB. */
export async function floorRound(
  native: Native,
  folder: string,
  size: IngestSize,
): Promise<number> {
  const files = join(folder, 'floor');
  mkdirSync(files, { recursive: true });
  const count = size.perDevice * size.connections;
  const output = await run(native.floor, [files, String(count), String(size.segmentBytes)]);
  rmSync(files, { recursive: true, force: true });
  return Number(/cpu ([\d.]+)/.exec(output)?.[1]) / ((count * size.segmentBytes) / 1e9);
}
