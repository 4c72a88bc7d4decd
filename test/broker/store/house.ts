// A real store in a folder of the test, with an account and a device that may record.
import { hash, randomBytes } from 'node:crypto';
import type { Candidate, Outcome } from '../../../broker/store/commit.ts';
import { initIdentity, segmentIdentity } from '../../../broker/store/identities.ts';
import { newDeviceId, newId } from '../../../broker/store/ids.ts';
import { seal } from '../../../broker/store/seal.ts';
import { openStore, type Store } from '../../../broker/store/store.ts';
import type { Scope } from '../../../proto/scopes.ts';

export interface StoreHouse {
  readonly store: Store;
  readonly accountId: string;
  readonly deviceId: string;
  readonly streamId: string;
}

interface Testdir {
  testdir(): string;
  teardown(end: () => Promise<void>): void;
}

/** Appends an epoch in which exactly these scopes are granted. */
export async function putEpoch(
  store: Store,
  deviceId: string,
  scopes: readonly Scope[],
): Promise<number> {
  await store.consent.append(deviceId, ({ epoch, lastHash }) => ({
    row: {
      device_id: deviceId,
      epoch: epoch + 1,
      record: '{}',
      prev_hash: lastHash,
      hash: newId(),
      signature: '',
    },
    scopes,
    told: [],
  }));
  return (await store.consent.standing(deviceId)).epoch;
}

/** Device at epoch 1 with video granted and one stream stored. */
export async function storeHouse(t: Testdir): Promise<StoreHouse> {
  const store = await openStore(t.testdir(), () => Date.now() * 1000);
  t.teardown(() => store.close());
  const accountId = newId();
  await store.keys.makeAccount(accountId);
  await store.accounts.add({
    account_id: accountId,
    email: `${accountId}@example.org`,
    password_hash: '',
    created_at_us: 1,
  });
  const deviceId = newDeviceId();
  await store.devices.add({
    device_id: deviceId,
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
  });
  await putEpoch(store, deviceId, ['video']);
  const house = { store, accountId, deviceId, streamId: newId() };
  await store.commit([streamOf(house)]);
  return house;
}

/** Gives the stream of the house an init that opens. */
export async function putInit({ store, accountId, deviceId, streamId }: StoreHouse): Promise<void> {
  const key = await store.keys.account(accountId);
  const init = Buffer.from('init');
  const sealed = Buffer.concat(seal(key, initIdentity(accountId, deviceId, streamId), init));
  await store.index
    .updateTable('streams')
    .set({ sealed_init: sealed, init_sha256: hash('sha256', init) })
    .where('stream_id', '=', streamId)
    .execute();
}

export function streamOf(
  { deviceId, streamId }: StoreHouse,
  scopes: readonly Scope[] = ['video'],
  epoch = 1,
): Candidate {
  return {
    kind: 'stream',
    scopes,
    row: {
      device_id: deviceId,
      stream_id: streamId,
      boot_id: '11111111-2222-4333-8444-555555555555',
      start_at_us: 1000,
      start_mono_us: 0,
      epoch,
      scopes: scopes.join(','),
      tracks: '[]',
      sealed_init: new Uint8Array(1),
      init_sha256: 'x',
      received_at_us: 1,
      time_estimated: 0,
      corrected_us: 0,
    },
  };
}

export interface SegmentOptions {
  readonly sequence: number;
  readonly sha256?: string;
  readonly epoch?: number;
  readonly scopes?: readonly Scope[];
  readonly startAtUs?: number;
  readonly streamId?: string;
  readonly blobId?: string;
}

export function segmentOf(
  house: StoreHouse,
  options: SegmentOptions,
): Extract<Candidate, { kind: 'segment' }> {
  const scopes = options.scopes ?? ['video'];
  return {
    kind: 'segment',
    scopes,
    row: {
      device_id: house.deviceId,
      stream_id: options.streamId ?? house.streamId,
      sequence: options.sequence,
      start_at_us: options.startAtUs ?? options.sequence * 1_000_000,
      start_mono_us: 0,
      duration_us: 1_000_000,
      decode_start_us: 0,
      epoch: options.epoch ?? 1,
      scopes: scopes.join(','),
      sha256: options.sha256 ?? 'same',
      media_bytes: 100,
      blob_id: options.blobId ?? newId(),
      received_at_us: 5,
      corrected_us: 0,
    },
  };
}

/** Writes a real sealed object and commits its row. */
export async function storeSegment(
  house: StoreHouse,
  options: SegmentOptions,
): Promise<{ outcome: Outcome | undefined; blobId: string }> {
  const { store, accountId } = house;
  const media = randomBytes(100);
  const candidate = segmentOf(house, { ...options, sha256: hash('sha256', media) });
  const key = await store.keys.account(accountId);
  const group = store.blobs.group();
  const blobId = await group.write(seal(key, segmentIdentity(accountId, candidate.row), media));
  await group.commit();
  const row = { ...candidate.row, blob_id: blobId };
  const [outcome] = await store.commit([{ ...candidate, row }]);
  return { outcome, blobId };
}
