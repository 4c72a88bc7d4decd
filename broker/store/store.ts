// The whole store of a data folder: index, objects and keys, opened and closed together.
import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { LenscapError } from '../../proto/errors.ts';
import { Accounts } from './accounts.ts';
import { Anchors } from './anchors.ts';
import { type Blobs, FileBlobs } from './blobs.ts';
import { BoardRows } from './boards.ts';
import { CertificateRows } from './certificates.ts';
import { ClaimRows } from './claims.ts';
import { ConfigRows } from './config-rows.ts';
import { ConsentRows } from './consent-rows.ts';
import { bury, Deletion } from './deletion.ts';
import { Devices } from './devices.ts';
import { makeFolder } from './durable.ts';
import { EventRows } from './event-rows.ts';
import { Keys } from './keys.ts';
import { LabelRows } from './label-rows.ts';
import { LogRows } from './log-rows.ts';
import { MediaRows } from './media-rows.ts';
import { RolloutRows } from './rollout-rows.ts';
import { type Index, migrate, VERSION } from './schema.ts';
import { SnapshotRows } from './snapshot-rows.ts';
import { openFailure, openSqliteIndex, type SqliteIndex } from './sqlite-index.ts';
import { TimeRows } from './time-rows.ts';
import { Told } from './told.ts';

/** The rows that change together when a device changes hands or states. */
export interface Rows {
  readonly devices: Devices;
  readonly certificates: CertificateRows;
  readonly claims: ClaimRows;
  readonly boards: BoardRows;
  readonly consent: ConsentRows;
  readonly config: ConfigRows;
  readonly labels: LabelRows;
  readonly rollouts: RolloutRows;
  readonly events: EventRows;
}

export interface TransactionRows extends Rows {
  /** Deletes everything that a device sent; files go with `deletion.finish`. Returns how many. */
  bury(deviceId: string, nowUs: number): Promise<number>;
}

export interface Store extends Rows {
  readonly index: Index;
  /**
   * Changes rows all or none. `work` uses only the rows that it is given (others wait for its end,
   * and it for them) and waits for nothing else, since everybody waits for it.
   */
  inTransaction<T>(work: (rows: TransactionRows) => Promise<T>): Promise<T>;
  /** The only way in for what devices send; see commit.ts. */
  readonly commit: SqliteIndex['commit'];
  readonly blobs: Blobs;
  readonly keys: Keys;
  readonly accounts: Accounts;
  readonly anchors: Anchors;
  readonly media: MediaRows;
  readonly snapshots: SnapshotRows;
  readonly times: TimeRows;
  readonly told: Told;
  readonly logs: LogRows;
  readonly deletion: Deletion;
  /** Rejects when a thread of the store has died; the process has to end. */
  readonly failed: Promise<never>;
  close(): Promise<void>;
}

/** Whether nothing depends on the secrets of a folder yet, so that they may be made. */
export function isNewInstallation(folder: string): boolean {
  return !existsSync(join(folder, 'index.db'));
}

/**
 * Opens the store in `folder`; the first time makes it. Wall time in microseconds by `nowUs`.
 * @throws STORE_CORRUPT; STORE_FULL, STORE_LOCKED, STORE_FAILED, also for one that a server of another
 * version made.
 */
export async function openStore(folder: string, nowUs: () => number): Promise<Store> {
  const isNew = isNewInstallation(folder);
  await makeFolder(folder);
  const keys = await Keys.open(join(folder, 'keys'), isNew);
  const sqlite = await openSqliteIndex(join(folder, 'index.db'));
  const { index, commit } = sqlite;
  const other = await migrate(index, nowUs(), randomUUID()).catch((error: unknown) => {
    throw openFailure(join(folder, 'index.db'), error);
  });
  if (other !== undefined)
    throw new LenscapError(
      'STORE_FAILED',
      `its index has version ${other} and this server reads ${VERSION}; use the server that wrote it`,
    );
  const blobs = await FileBlobs.open(join(folder, 'blobs'), nowUs);
  const failed = Promise.race([sqlite.failed, blobs.failed]);
  // Who does not wait for it is not to end by it.
  failed.catch(() => undefined);
  return {
    index,
    commit,
    blobs,
    keys,
    ...rowsOf(index),
    inTransaction: (work) =>
      index
        .transaction()
        .execute((trx) =>
          work({ ...rowsOf(trx), bury: (deviceId, atUs) => bury(trx, deviceId, atUs) }),
        ),
    accounts: new Accounts(index),
    anchors: new Anchors(index),
    media: new MediaRows(index),
    snapshots: new SnapshotRows(index),
    times: new TimeRows(index),
    told: new Told(index, keys),
    logs: new LogRows(index, keys),
    deletion: new Deletion(index, blobs),
    failed,
    close: async () => {
      await blobs.close();
      await sqlite.close();
    },
  };
}

function rowsOf(index: Index): Rows {
  return {
    devices: new Devices(index),
    certificates: new CertificateRows(index),
    claims: new ClaimRows(index),
    boards: new BoardRows(index),
    consent: new ConsentRows(index),
    config: new ConfigRows(index),
    labels: new LabelRows(index),
    rollouts: new RolloutRows(index),
    events: new EventRows(index),
  };
}
