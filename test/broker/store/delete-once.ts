// Deletes as an owner does, and says what is done: delete-once.ts FOLDER FILE, the file as `Doomed` in
// JSON. What fails is tried again, as an owner does. Run under strace by a test.
import { readFileSync, writeSync } from 'node:fs';
import { finishBegun } from '../../../broker/store/repair.ts';
import { openStore } from '../../../broker/store/store.ts';
import { toLenscapError } from '../../../proto/errors.ts';

export interface Doomed {
  readonly deviceId: string;
  readonly streamId: string;
  /** One by one. */
  readonly sequences: readonly number[];
  readonly snapshotId: string;
  /** After them, in one go. */
  readonly fromUs: number;
  readonly toUs: number;
}

const MAX_TURNS = 10;
const [folder = '', file = ''] = process.argv.slice(2);
const { deviceId, streamId, sequences, snapshotId, fromUs, toUs }: Doomed = JSON.parse(
  readFileSync(file, 'utf8'),
);

/** At once, since the next call may be the last. */
const say = (line: string): void => {
  writeSync(1, `${line}\n`);
};

async function insist(name: string, act: () => Promise<unknown>): Promise<void> {
  for (let turn = 0; turn < MAX_TURNS; turn++)
    try {
      await act();
      say(`deleted ${name}`);
      return;
    } catch (error) {
      say(`refused ${toLenscapError(error).code} ${error}`);
    }
}

try {
  const store = await openStore(folder, () => Date.now() * 1000);
  await finishBegun(store);
  const { deletion } = store;
  const nowUs = Date.now() * 1000;
  for (const sequence of sequences)
    await insist(String(sequence), () => deletion.segment(deviceId, streamId, sequence, nowUs));
  await insist('snapshot', () => deletion.snapshot(deviceId, snapshotId, nowUs));
  await insist('range', () => deletion.range({ deviceId, fromUs, toUs }, nowUs));
  await store.close();
  say('closed');
} catch (error) {
  say(`ended ${toLenscapError(error).code} ${error}`);
  process.exit(1);
}
