// What names a sealed object for good. Sealing and opening have to agree on it to the letter.
import type { Identity } from './seal.ts';

export function initIdentity(accountId: string, deviceId: string, streamId: string): Identity {
  return ['init', accountId, deviceId, streamId];
}

/** What a device told of itself; `noun` is the kind of message. */
export function toldIdentity(
  { device_id, account_id }: { device_id: string; account_id: string },
  noun: string,
): Identity {
  return ['told', account_id, device_id, noun];
}

/** One batch of lines of the device's log. */
export function logIdentity(
  { device_id, account_id }: { device_id: string; account_id: string },
  batchId: string,
): Identity {
  return ['log', account_id, device_id, batchId];
}

/** The epoch is part of it: a segment cannot be passed off as captured under another consent. */
export function segmentIdentity(
  accountId: string,
  row: { device_id: string; stream_id: string; sequence: number; epoch: number },
): Identity {
  const { device_id, stream_id, sequence, epoch } = row;
  return ['segment', accountId, device_id, stream_id, String(sequence), String(epoch)];
}

export function snapshotIdentity(
  accountId: string,
  row: { device_id: string; snapshot_id: string; epoch: number },
): Identity {
  const { device_id, snapshot_id, epoch } = row;
  return ['snapshot', accountId, device_id, snapshot_id, String(epoch)];
}

/** One version of the desired configuration. */
export function configIdentity(
  { device_id, account_id }: { device_id: string; account_id: string },
  version: number,
): Identity {
  return ['config', account_id, device_id, String(version)];
}
