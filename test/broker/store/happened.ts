// Events and snapshots of the device of a store house, as a collector would commit them.
import { hash, randomBytes } from 'node:crypto';
import type { Candidate, Outcome } from '../../../broker/store/commit.ts';
import { snapshotIdentity } from '../../../broker/store/identities.ts';
import { newId } from '../../../broker/store/ids.ts';
import type { Tables } from '../../../broker/store/schema.ts';
import { seal } from '../../../broker/store/seal.ts';
import type { Store } from '../../../broker/store/store.ts';
import { EVENT_SCOPES, type EventKind } from '../../../proto/event.ts';
import { SNAPSHOT_SCOPES } from '../../../proto/snapshot.ts';

export const BOOT = '11111111-2222-4333-8444-555555555555';

export interface Owned {
  readonly store: Store;
  readonly accountId: string;
  readonly deviceId: string;
}

export type EventCandidate = Extract<Candidate, { kind: 'event' }>;

export function eventOf(
  { deviceId }: Pick<Owned, 'deviceId'>,
  row: Partial<Omit<Tables['events'], 'kind'>> & { readonly kind?: EventKind } = {},
): EventCandidate {
  const kind = row.kind ?? 'motion';
  return {
    kind: 'event',
    scopes: [EVENT_SCOPES[kind]],
    row: {
      device_id: deviceId,
      event_id: newId(),
      boot_id: BOOT,
      start_at_us: 1_000_000,
      start_mono_us: 1_000_000,
      duration_us: 0,
      lasts: 0,
      epoch: 1,
      peak: 10,
      code: null,
      detail: '',
      received_at_us: 5,
      corrected_us: 0,
      is_alert: 0,
      ...row,
      kind,
    },
  };
}

export type SnapshotCandidate = Extract<Candidate, { kind: 'snapshot' }>;

export function snapshotOf(
  { deviceId }: Pick<Owned, 'deviceId'>,
  row: Partial<Tables['snapshots']> = {},
): SnapshotCandidate {
  return {
    kind: 'snapshot',
    scopes: SNAPSHOT_SCOPES,
    row: {
      device_id: deviceId,
      snapshot_id: newId(),
      boot_id: BOOT,
      start_at_us: 1_000_000,
      start_mono_us: 1_000_000,
      epoch: 1,
      cause: 'interval',
      cause_id: null,
      width: 64,
      height: 48,
      sha256: 'same',
      media_bytes: 100,
      blob_id: newId(),
      received_at_us: 5,
      corrected_us: 0,
      ...row,
    },
  };
}

/** Writes a real sealed picture and commits its row. */
export async function storeSnapshot(
  { store, accountId, deviceId }: Owned,
  row: Partial<Tables['snapshots']> = {},
): Promise<{ outcome: Outcome | undefined; row: Tables['snapshots']; media: Buffer }> {
  const media = randomBytes(100);
  const candidate = snapshotOf({ deviceId }, { ...row, sha256: hash('sha256', media) });
  const key = await store.keys.account(accountId);
  const group = store.blobs.group();
  const blobId = await group.write(seal(key, snapshotIdentity(accountId, candidate.row), media));
  await group.commit();
  const stored = { ...candidate.row, blob_id: blobId };
  const [outcome] = await store.commit([{ ...candidate, row: stored }]);
  return { outcome, row: stored, media };
}
