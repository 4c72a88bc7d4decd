// Snapshots as candidates of the index, each with its sealed picture.
import { hash } from 'node:crypto';
import { LenscapError } from '../../proto/errors.ts';
import { SNAPSHOT_SCOPES, type Snapshot } from '../../proto/snapshot.ts';
import { snapshotIdentity } from '../store/identities.ts';
import { seal } from '../store/seal.ts';
import type { Offer } from './group-commit.ts';

export interface Owned {
  readonly deviceId: string;
  readonly accountId: string;
}

/** @throws SEGMENT_HASH when the picture is not the one that was taken. */
export function snapshotOffer(
  { deviceId, accountId }: Owned,
  snapshot: Snapshot,
  key: Buffer,
  nowUs: number,
): Offer {
  const sha256 = hash('sha256', snapshot.media);
  if (sha256 !== Buffer.from(snapshot.sha256).toString('hex'))
    throw new LenscapError('SEGMENT_HASH', 'it was damaged before it was sent; it is refused');
  const row = {
    device_id: deviceId,
    snapshot_id: snapshot.snapshotId,
    boot_id: snapshot.bootId,
    start_at_us: snapshot.atUs,
    start_mono_us: snapshot.monoUs,
    epoch: snapshot.epoch,
    cause: snapshot.cause,
    cause_id: snapshot.causeId,
    width: snapshot.width,
    height: snapshot.height,
    sha256,
    media_bytes: snapshot.media.byteLength,
    blob_id: '',
    received_at_us: nowUs,
    corrected_us: 0,
  };
  const identity = snapshotIdentity(accountId, row);
  return {
    candidate: { kind: 'snapshot', row, scopes: SNAPSHOT_SCOPES },
    sealed: () => seal(key, identity, snapshot.media),
    bytes: snapshot.media.byteLength,
  };
}
