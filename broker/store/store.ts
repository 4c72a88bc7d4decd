// The whole store of a data folder: index, objects and keys, opened and closed together.
import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { LenscapError } from '../../proto/errors.ts';
import { Accounts } from './accounts.ts';
import { type Blobs, FileBlobs } from './blobs.ts';
import { ConsentRows } from './consent-rows.ts';
import { Deletion } from './deletion.ts';
import { Devices } from './devices.ts';
import { makeFolder } from './durable.ts';
import { Keys } from './keys.ts';
import { MediaRows } from './media-rows.ts';
import { type Index, migrate } from './schema.ts';
import { openSqliteIndex, type SqliteIndex } from './sqlite-index.ts';

export interface Store {
  readonly index: Index;
  /** The only way in for what devices send; see commit.ts. */
  readonly commit: SqliteIndex['commit'];
  readonly blobs: Blobs;
  readonly keys: Keys;
  readonly accounts: Accounts;
  readonly devices: Devices;
  readonly consent: ConsentRows;
  readonly media: MediaRows;
  readonly deletion: Deletion;
  /** Rejects when a thread of the store has died; the process has to end. */
  readonly failed: Promise<never>;
  close(): Promise<void>;
}

/** Whether nothing depends on the secrets of a folder yet, so that they may be made. */
export function isNewInstallation(folder: string): boolean {
  return !existsSync(join(folder, 'index.db'));
}

/** Opens the store in `folder`; the first time makes it. Wall time in microseconds by `nowUs`. */
export async function openStore(folder: string, nowUs: () => number): Promise<Store> {
  const isNew = isNewInstallation(folder);
  await makeFolder(folder);
  const keys = await Keys.open(join(folder, 'keys'), isNew);
  const sqlite = await openSqliteIndex(join(folder, 'index.db'));
  const { index, commit } = sqlite;
  await migrate(index, nowUs(), randomUUID()).catch((error: unknown) => {
    if (error instanceof LenscapError && error.code !== 'STORE_FAILED') throw error;
    const detail = `${join(folder, 'index.db')} cannot be opened; restore it from a backup`;
    throw new LenscapError('STORE_CORRUPT', detail, { cause: error });
  });
  const blobs = await FileBlobs.open(join(folder, 'blobs'), nowUs);
  const failed = Promise.race([sqlite.failed, blobs.failed]);
  // Who does not wait for it is not to end by it.
  failed.catch(() => undefined);
  return {
    index,
    commit,
    blobs,
    keys,
    accounts: new Accounts(index),
    devices: new Devices(index),
    consent: new ConsentRows(index),
    media: new MediaRows(index),
    deletion: new Deletion(index, blobs),
    failed,
    close: async () => {
      await blobs.close();
      await sqlite.close();
    },
  };
}
