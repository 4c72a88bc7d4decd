// What names a sealed object for good. Sealing and opening have to agree on it to the letter.
import type { Identity } from './seal.ts';

export function initIdentity(accountId: string, deviceId: string, streamId: string): Identity {
  return ['init', accountId, deviceId, streamId];
}

/** The epoch is part of it: a segment cannot be passed off as captured under another consent. */
export function segmentIdentity(
  accountId: string,
  row: { device_id: string; stream_id: string; sequence: number; epoch: number },
): Identity {
  const { device_id, stream_id, sequence, epoch } = row;
  return ['segment', accountId, device_id, stream_id, String(sequence), String(epoch)];
}
