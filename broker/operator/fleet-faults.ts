// Where the rows of the fleet disagree with each other or with the table of states. Pure.
import { isState } from '../fleet/states.ts';
import type { FleetRows } from '../store/overview.ts';

type Owners = ReadonlyMap<string, string>;

/** States of a board; once it is owned, the device has the state. */
const BOARD_STATES = ['factory', 'waiting', 'revoked'];

/** One line each. */
export function fleetFaults(rows: FleetRows): string[] {
  const owners: Owners = new Map(rows.devices.map((row) => [row.device_id, row.account_id]));
  return [
    ...deviceFaults(rows),
    ...certificateFaults(rows, owners),
    ...claimFaults(rows, owners),
    ...boardFaults(rows, owners),
  ];
}

function deviceFaults({ devices, accounts }: FleetRows): string[] {
  return devices.flatMap(({ device_id, account_id, state, released_at_us }) => {
    const faults: string[] = [];
    if (!isState(state) || state === 'factory') faults.push(`no device can be ${state}`);
    if (!accounts.has(account_id)) faults.push('its account is not in the index');
    if (released_at_us !== null && state !== 'released')
      faults.push(`it confirmed its release and is ${state}`);
    return faults.map((fault) => `device ${device_id}: ${fault}`);
  });
}

function certificateFaults({ certificates, devices }: FleetRows, owners: Owners): string[] {
  const over = new Map(
    devices.flatMap(({ device_id, state, released_at_us }) =>
      state === 'revoked' || released_at_us !== null ? [[device_id, state]] : [],
    ),
  );
  return certificates.flatMap(({ serial, device_id, revoked_at_us }) => {
    if (!owners.has(device_id)) return `certificate ${serial}: its device is not in the index`;
    if (revoked_at_us === null && over.has(device_id))
      return `certificate ${serial}: it is valid, and its device ${device_id} is ${over.get(device_id)}`;
    return [];
  });
}

function claimFaults({ claims, accounts }: FleetRows, owners: Owners): string[] {
  return claims.flatMap(({ claim_id, account_id, device_id }) => {
    if (!accounts.has(account_id)) return `claim ${claim_id}: its account is not in the index`;
    if (device_id !== null && owners.get(device_id) !== account_id)
      return `claim ${claim_id}: device ${device_id} is not of its account`;
    return [];
  });
}

function boardFaults({ boards, accounts }: FleetRows, owners: Owners): string[] {
  return boards.flatMap(({ serial, state, account_id, device_id }) => {
    const faults: string[] = [];
    if (!BOARD_STATES.includes(state)) faults.push(`no board can be ${state}`);
    if (account_id !== null && !accounts.has(account_id))
      faults.push('its account is not in the index');
    if (device_id !== null && owners.get(device_id) !== account_id)
      faults.push(`device ${device_id} is not of its account`);
    return faults.map((fault) => `board ${serial}: ${fault}`);
  });
}
