// Consent over a real store, with a device of an account.
import { createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { Consent } from '../../../broker/consent/consent.ts';
import { ConsentGate } from '../../../broker/consent/gate.ts';
import { defaultPolicyBytes } from '../../../broker/consent/policy.ts';
import type { DeviceRow } from '../../../broker/store/devices.ts';
import { newDeviceId, newId } from '../../../broker/store/ids.ts';
import { openStore, type Store } from '../../../broker/store/store.ts';

export interface ConsentHouse {
  readonly store: Store;
  readonly gate: ConsentGate;
  readonly consent: Consent;
  readonly publicKey: KeyObject;
  readonly device: DeviceRow;
  readonly told: string[];
}

export const owner = { actor: 'owner', how: 'test' };

export async function consentHouse(t: {
  testdir(): string;
  teardown(end: () => Promise<void>): void;
}): Promise<ConsentHouse> {
  const nowUs = (): number => Date.now() * 1000;
  const store = await openStore(t.testdir(), nowUs);
  t.teardown(() => store.close());
  const { privateKey } = generateKeyPairSync('ed25519');
  const gate = new ConsentGate();
  const told: string[] = [];
  const consent = new Consent({
    rows: store.consent,
    devices: store.devices,
    gate,
    key: privateKey,
    leaseS: 60,
    nowUs,
    changed: (deviceId) => told.push(deviceId),
  });
  await consent.publish(defaultPolicyBytes(), owner);
  const accountId = newId();
  await store.accounts.add({
    account_id: accountId,
    email: 'a@b',
    password_hash: '',
    created_at_us: 1,
  });
  const device = {
    device_id: newDeviceId(),
    account_id: accountId,
    name: 'hall',
    created_at_us: 1,
    last_seen_at_us: null,
    epoch: 0,
    applied_epoch: 0,
    applied_at_us: null,
    state: 'claimed',
    state_at_us: 1,
    state_reason: null,
    released_at_us: null,
    serial: null,
  };
  await store.devices.add(device);
  await consent.assign(device, owner);
  return { store, gate, consent, publicKey: createPublicKey(privateKey), device, told };
}
