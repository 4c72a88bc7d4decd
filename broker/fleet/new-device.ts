// The first row of a device: nothing granted, nothing seen, and a random id that is never used again.
import type { DeviceRow } from '../store/devices.ts';
import { newDeviceId } from '../store/ids.ts';
import type { State } from './states.ts';

export function newDevice(request: {
  readonly accountId: string;
  readonly name: string;
  readonly state: State;
  readonly serial: string | null;
  readonly nowUs: number;
}): DeviceRow {
  return {
    device_id: newDeviceId(),
    account_id: request.accountId,
    name: request.name,
    created_at_us: request.nowUs,
    last_seen_at_us: null,
    epoch: 0,
    applied_epoch: 0,
    applied_at_us: null,
    state: request.state,
    state_at_us: request.nowUs,
    state_reason: null,
    released_at_us: null,
    serial: request.serial,
  };
}
