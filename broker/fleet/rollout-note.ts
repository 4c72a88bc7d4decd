// What became of a device in a rollout, noted. INVARIANT: only by the table of rollout-states.ts.

import type { RolloutDeviceRow } from '../store/rollout-rows.ts';
import type { TransactionRows } from '../store/store.ts';
import { DEVICE_TABLE, type DeviceEvent, isDeviceState } from './rollout-states.ts';

const MAX_DETAIL = 500;
/** Devices in one transaction, for which everybody else waits. */
const BATCH = 20;

/** By the table; what is not in it changes nothing. */
export async function note(
  { rollouts }: Pick<TransactionRows, 'rollouts'>,
  { rollout_id, device_id, state }: Pick<RolloutDeviceRow, 'rollout_id' | 'device_id' | 'state'>,
  event: DeviceEvent,
  atUs: number,
  { version, detail = '' }: { readonly version?: number; readonly detail?: string } = {},
): Promise<void> {
  const next = isDeviceState(state) ? DEVICE_TABLE[state][event] : undefined;
  if (next === undefined) return;
  await rollouts.setDevice(rollout_id, device_id, {
    ...{ state: next, state_at_us: atUs, detail: detail.slice(0, MAX_DETAIL) },
    ...(version === undefined ? {} : { version }),
  });
}

export function batches(deviceIds: readonly string[]): (readonly string[])[] {
  const count = Math.ceil(deviceIds.length / BATCH);
  return Array.from({ length: count }, (_, at) => deviceIds.slice(at * BATCH, (at + 1) * BATCH));
}
