// Asks a camera for a picture and waits until it is stored. The index is looked at, since the picture
// comes in by the way of everything that cameras send.
import { setTimeout as sleep } from 'node:timers/promises';
import { LenscapError } from '../../proto/errors.ts';
import { mayTakeIn } from '../../proto/scopes.ts';
import { encodeCommand, SNAPSHOT_SCOPES } from '../../proto/snapshot.ts';
import type { DeviceRow } from '../store/devices.ts';
import { newId } from '../store/ids.ts';
import type { SnapshotRow } from '../store/snapshot-rows.ts';
import type { Store } from '../store/store.ts';

const LOOK_MS = 50;
const WAIT_MS = 10_000;
/** By so much the clock of the server may be set back while somebody waits. */
const BACK_US = 600e6;

export interface TakingDeps {
  readonly store: Pick<Store, 'consent' | 'snapshots'>;
  /** Sends a command to a camera; false when it is not connected. */
  readonly command: (deviceId: string, payload: Uint8Array) => Promise<boolean>;
  readonly nowUs: () => number;
  readonly waitMs?: number;
}

function leave(): never {
  throw new LenscapError('DEVICE_OFFLINE', 'nobody waits for the picture any more');
}

/**
 * A picture of now. @throws CONSENT_MISSING, DEVICE_OFFLINE at once; DEVICE_OFFLINE when none has come in
 * time, or nobody waits for it any more.
 */
export async function takeSnapshot(
  { store, command, nowUs, waitMs = WAIT_MS }: TakingDeps,
  { device_id, epoch }: DeviceRow,
  signal: AbortSignal,
): Promise<SnapshotRow> {
  const consented = async (): Promise<void> => {
    const { granted } = await store.consent.standing(device_id);
    if (!mayTakeIn({ epoch, scopes: SNAPSHOT_SCOPES }, granted))
      throw new LenscapError('CONSENT_MISSING', `pictures need ${SNAPSHOT_SCOPES.join(' and ')}`);
  };
  await consented();
  const commandId = newId();
  const sinceUs = nowUs() - BACK_US;
  if (!(await command(device_id, encodeCommand({ commandId, kind: 'take_snapshot' }))))
    throw new LenscapError('DEVICE_OFFLINE', 'it takes no picture now');
  const endMs = performance.now() + waitMs;
  while (performance.now() < endMs) {
    await sleep(LOOK_MS, undefined, { signal }).catch(leave);
    const taken = await store.snapshots.ofCause(device_id, commandId, sinceUs);
    if (taken) return taken;
    await consented();
  }
  throw new LenscapError('DEVICE_OFFLINE', `no picture has come within ${waitMs / 1000} s`);
}
