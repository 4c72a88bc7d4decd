import { randomBytes, X509Certificate } from 'node:crypto';
import t from 'tap';
import { NOTHING_TOLD } from '../../../broker/store/told.ts';
import { verifyRelease } from '../../../proto/release.ts';
import { SCOPES } from '../../../proto/scopes.ts';
import { infoOf } from '../../proto/tellings.ts';
import { segmentOf, storeSegment, streamOf } from '../store/house.ts';
import { Board, by, type Claimed, type FleetHouse, fleetHouse, said, serialOf } from './house.ts';

async function admission(house: FleetHouse, serial: string): Promise<string> {
  const pem = (await house.store.certificates.bySerial(serial))?.pem ?? '';
  const fingerprint = new X509Certificate(pem).fingerprint256.replaceAll(':', '').toLowerCase();
  const found = await house.certificates.check(serial, fingerprint);
  return found.kind === 'refused' ? found.why : found.kind;
}

/** A claimed camera whose owner consented, with two segments stored. */
async function recording(house: FleetHouse): Promise<Claimed> {
  const camera = await house.claimed();
  const { sha256 } = await house.consent.policy();
  const device = await house.device(camera.deviceId);
  await house.consent.grant(device, ['video', 'device_info'], sha256, by);
  const media = { ...house, deviceId: camera.deviceId, streamId: 'e'.repeat(32) };
  await house.store.commit([streamOf(media, ['video'], 2)]);
  for (const sequence of [1, 2]) await storeSegment(media, { sequence, epoch: 2 });
  return camera;
}

t.test('consent makes a camera configured, and nothing else can', async (t) => {
  const house = await fleetHouse(t);
  const { deviceId } = await recording(house);
  t.match(await house.device(deviceId), { state: 'configured' });
  const answer = await (await Board.make()).claim(house, await house.newCode());
  if (answer.kind !== 'issued') throw new Error('issued');
  const waiting = await house.device(answer.deviceId);
  const { sha256 } = await house.consent.policy();
  await t.rejects(house.consent.grant(waiting, ['video'], sha256, by), { code: 'STATE_INVALID' });
});

t.test('a released camera is told so, is granted nothing and is its former owner’s', async (t) => {
  const house = await fleetHouse(t);
  const { deviceId, serial } = await recording(house);
  const device = await house.device(deviceId);
  await house.lifecycle.release(device, 'keep', by);
  t.match(await house.device(deviceId), { state: 'released', released_at_us: null });
  t.match(await house.consent.current(deviceId), { event: 'RELEASED', scopes: { length: 0 } });
  t.equal(await admission(house, serial), 'farewell');
  const order = await house.lifecycle.signedRelease(deviceId);
  t.match(verifyRelease(order, house.consentPublicKey, deviceId), { epoch: 3 });
  const late = segmentOf(
    { ...house, deviceId, streamId: 'e'.repeat(32) },
    { sequence: 9, epoch: 2 },
  );
  t.same(await house.store.commit([late]), ['CONSENT_MISSING']);
  t.equal((await house.store.media.totals(deviceId)).segments, 2, 'recordings are kept');
  const { sha256 } = await house.consent.policy();
  await t.rejects(house.consent.grant(device, ['video'], sha256, by), { code: 'STATE_INVALID' });
  await house.consent.withdraw(device, SCOPES, by);
  t.match(
    verifyRelease(await house.lifecycle.signedRelease(deviceId), house.consentPublicKey, deviceId),
    { epoch: 3 },
    'a withdrawal after it changes nothing',
  );
  await house.lifecycle.released(deviceId, 'ordered');
  const confirmed = await house.device(deviceId);
  t.ok(confirmed.released_at_us);
  t.match(await admission(house, serial), /revoked/);
  await house.lifecycle.released(deviceId, 'ordered');
  t.equal((await house.device(deviceId)).released_at_us, confirmed.released_at_us);
  await t.rejects(house.lifecycle.release(device, 'keep', by), { code: 'STATE_INVALID' });
});

t.test('a release may take all recordings along, files, streams and gaps too', async (t) => {
  const house = await fleetHouse(t);
  const { deviceId } = await recording(house);
  const other = await recording(house);
  const blobs = await house.store.index.selectFrom('segments').selectAll().execute();
  await house.lifecycle.release(await house.device(deviceId), 'delete', by);
  t.match(await house.store.media.totals(deviceId), { segments: 0, bytes: 0 });
  t.equal((await house.store.media.totals(other.deviceId)).segments, 2);
  const streams = await house.store.index.selectFrom('streams').select('device_id').execute();
  t.same(streams, [{ device_id: other.deviceId }]);
  for (const { device_id, blob_id } of blobs)
    if (device_id === deviceId)
      await t.rejects(house.store.blobs.read(blob_id), { code: 'STORE_CORRUPT' });
});

t.test('a reset on the board releases the camera without being asked', async (t) => {
  const house = await fleetHouse(t);
  const { deviceId, serial } = await recording(house);
  const pending = await house.newCode({ deviceId });
  await house.lifecycle.released(deviceId, 'reset');
  t.match(await house.device(deviceId), { state: 'released', released_at_us: Number });
  t.match(await house.consent.current(deviceId), {
    event: 'RELEASED',
    actor: 'device',
    how: 'reset',
  });
  t.match(await admission(house, serial), /revoked/);
  t.equal((await house.store.media.totals(deviceId)).segments, 2, 'recordings are kept');
  const late = await (await Board.make()).claim(house, pending);
  t.equal(said(late), 'CLAIM_REFUSED', 'the code to re-admit it is void');
});

t.test('a new owner of the board starts with nothing', async (t) => {
  const house = await fleetHouse(t);
  const { deviceId } = await recording(house);
  await house.lifecycle.release(await house.device(deviceId), 'keep', by);
  await house.lifecycle.released(deviceId, 'ordered');
  const accountId = await house.addOwner();
  const answer = await (await Board.make()).claim(house, await house.newCode({ accountId }));
  if (answer.kind !== 'issued') throw new Error('issued');
  t.not(answer.deviceId, deviceId);
  t.same((await house.store.consent.standing(answer.deviceId)).granted, new Map());
  t.same(
    (await house.store.devices.ofAccount(accountId)).map(({ device_id }) => device_id),
    [answer.deviceId],
  );
  t.match(await house.device(deviceId), { account_id: house.accountId }, 'the old one stays his');
});

t.test('a revoked camera is out for good', async (t) => {
  const house = await fleetHouse(t);
  const { deviceId, serial } = await recording(house);
  const told: string[] = [];
  house.listeners.add((told_) => told.push(told_));
  t.equal(await house.lifecycle.revoke(await house.device(deviceId), by), 1);
  t.same(told, [deviceId]);
  t.match(await admission(house, serial), /revoked/);
  t.match(await house.consent.current(deviceId), { event: 'SUSPENDED', scopes: { length: 0 } });
  await t.rejects(house.newCode({ deviceId }), { code: 'STATE_INVALID' });
  await house.lifecycle.released(deviceId, 'reset');
  t.match(await house.device(deviceId), { state: 'revoked', released_at_us: null });
});

t.test('a suspended camera waits, is resumed, and has to be consented to anew', async (t) => {
  const house = await fleetHouse(t);
  const { deviceId, serial } = await recording(house);
  await house.lifecycle.suspend(await house.device(deviceId), 'operator', by);
  t.match(await house.device(deviceId), { state: 'suspended', state_reason: 'operator' });
  t.match(await house.consent.current(deviceId), { event: 'SUSPENDED', scopes: { length: 0 } });
  t.match(await admission(house, serial), /suspended/);
  await house.lifecycle.resume(await house.device(deviceId));
  t.match(await house.device(deviceId), { state: 'claimed', state_reason: null });
  t.equal(await admission(house, serial), 'device');
  t.same((await house.store.consent.standing(deviceId)).granted, new Map());
});

t.test(
  'clones end when the owner re-admits one board, which keeps id and recordings',
  async (t) => {
    const house = await fleetHouse(t);
    const { deviceId, serial } = await recording(house);
    await house.lifecycle.suspend(await house.device(deviceId), 'clone', by);
    await t.rejects(house.lifecycle.resume(await house.device(deviceId)), {
      code: 'STATE_INVALID',
    });
    const stranger = await house.addOwner();
    await t.rejects(house.newCode({ deviceId, accountId: stranger }), { code: 'NOT_FOUND' });
    const code = await house.newCode({ deviceId });
    const board = await Board.make();
    const other = await house.claimed();
    const foreign = await board.claim(house, code, { deviceId: other.deviceId });
    t.match(foreign, { code: 'CLAIM_REFUSED', detail: /another camera/ });
    const answer = await board.claim(house, code, { deviceId });
    t.match(answer, { kind: 'issued', deviceId });
    t.match(await admission(house, serial), /suspended/, 'the twin stays out');
    t.equal(await admission(house, serialOf(answer)), 'device');
    await house.certificates.used(serialOf(answer));
    t.match(await house.device(deviceId), { state: 'claimed', state_reason: null });
    t.match(await admission(house, serial), /revoked/);
    t.equal(await admission(house, serialOf(answer)), 'device');
    t.equal((await house.store.media.totals(deviceId)).segments, 2);
    t.equal(said(await board.claim(house, code, { deviceId })), 'CLAIM_USED');
  },
);

t.test('a board that forgot its id gets it back by the owner’s code', async (t) => {
  const house = await fleetHouse(t);
  const { deviceId } = await recording(house);
  house.advance(100 * 86_400);
  const code = await house.newCode({ deviceId });
  const answer = await (await Board.make()).claim(house, code);
  t.match(answer, { kind: 'issued', deviceId });
  await house.certificates.used(serialOf(answer));
  t.match(await house.device(deviceId), { state: 'configured' });
  t.ok((await house.store.consent.standing(deviceId)).granted.has('video'), 'consent goes on');
});

t.test('device information is kept under its scope alone', async (t) => {
  const house = await fleetHouse(t);
  const { deviceId } = await recording(house);
  const { told } = house.store;
  const device = await house.device(deviceId);
  const agentVersion = randomBytes(4).toString('hex');
  const note = async (epoch: number): Promise<string> => {
    const { epoch: asOf } = await house.consent.infoInForce(deviceId);
    const telling = { noun: 'info', message: infoOf(epoch, { agentVersion }) } as const;
    return told.note(device, telling, { asOf, nowUs: house.nowUs() });
  };
  t.equal(await note(1), 'not_consented', 'before consent');
  t.equal(await note(9), 'not_consented', 'no such epoch');
  t.equal(await note(2), 'stored');
  t.match((await told.of(device)).info?.message, { agentVersion });
  await house.consent.withdraw(device, ['video'], by);
  t.match((await told.of(device)).info?.message, { agentVersion });
  await house.consent.withdraw(device, ['device_info'], by);
  t.same(await told.of(device), NOTHING_TOLD);
  t.equal(await note(2), 'not_consented');
});
