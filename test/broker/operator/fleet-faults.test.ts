// Rows of the fleet that disagree, made by hand: the index itself would not take most of them.
import t from 'tap';
import { fleetFaults } from '../../../broker/operator/fleet-faults.ts';
import type { FleetRows } from '../../../broker/store/overview.ts';

const device: FleetRows['devices'][number] = {
  device_id: 'cam-x',
  account_id: 'anna',
  name: 'hall',
  created_at_us: 1,
  last_seen_at_us: null,
  epoch: 1,
  applied_epoch: 0,
  applied_at_us: null,
  state: 'claimed',
  state_at_us: 1,
  state_reason: null,
  released_at_us: null,
  serial: null,
};
const certificate: FleetRows['certificates'][number] = {
  serial: 'c1',
  device_id: 'cam-x',
  fingerprint: '',
  key_sha256: '',
  pem: '',
  issued_at_us: 1,
  not_after_us: 2,
  used_at_us: null,
  revoked_at_us: null,
};
const claim: FleetRows['claims'][number] = {
  claim_id: 'claim-x',
  account_id: 'anna',
  name: 'hall',
  sealed_proof_key: new Uint8Array(),
  created_at_us: 1,
  expires_at_us: 2,
  failures: 0,
  last_failure: null,
  device_id: 'cam-x',
  is_readmission: 0,
  key_sha256: null,
  used_at_us: null,
  cancelled_at_us: null,
};
const board: FleetRows['boards'][number] = {
  serial: 'LX-1',
  model: 'Lens 1',
  key_sha256: '',
  enrolled_at_us: 1,
  last_seen_at_us: null,
  state: 'waiting',
  account_id: 'anna',
  name: 'hall',
  device_id: 'cam-x',
};

const rows = (change: Partial<FleetRows> = {}): FleetRows => ({
  accounts: new Set(['anna', 'bert']),
  devices: [device],
  certificates: [certificate],
  claims: [claim],
  boards: [board],
  ...change,
});

t.test('rows that agree have no fault', async (t) => {
  t.strictSame(fleetFaults(rows()), []);
  t.strictSame(fleetFaults(rows({ claims: [{ ...claim, device_id: null }] })), []);
});

t.test('every disagreement is one line', async (t) => {
  const cases: [Partial<FleetRows>, string][] = [
    [{ devices: [{ ...device, state: 'x' }] }, 'device cam-x: no device can be x'],
    [{ devices: [{ ...device, state: 'factory' }] }, 'device cam-x: no device can be factory'],
    [
      { devices: [{ ...device, state: 'released', released_at_us: 1 }] },
      'certificate c1: it is valid, and its device cam-x is released',
    ],
    [
      { devices: [{ ...device, released_at_us: 1 }], certificates: [] },
      'device cam-x: it confirmed its release and is claimed',
    ],
    [
      { devices: [{ ...device, state: 'revoked' }] },
      'certificate c1: it is valid, and its device cam-x is revoked',
    ],
    [
      { certificates: [{ ...certificate, device_id: 'cam-y' }] },
      'certificate c1: its device is not in the index',
    ],
    [
      { claims: [{ ...claim, account_id: 'eve' }] },
      'claim claim-x: its account is not in the index',
    ],
    [
      { claims: [{ ...claim, account_id: 'bert' }] },
      'claim claim-x: device cam-x is not of its account',
    ],
    [{ boards: [{ ...board, state: 'claimed' }] }, 'board LX-1: no board can be claimed'],
    [
      { boards: [{ ...board, account_id: 'bert' }] },
      'board LX-1: device cam-x is not of its account',
    ],
    [
      { boards: [{ ...board, device_id: null, account_id: 'eve' }] },
      'board LX-1: its account is not in the index',
    ],
  ];
  for (const [change, fault] of cases) t.strictSame(fleetFaults(rows(change)), [fault]);
  const orphan = fleetFaults(rows({ accounts: new Set() }));
  t.ok(orphan.includes('device cam-x: its account is not in the index'));
});
