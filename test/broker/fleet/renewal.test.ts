import { X509Certificate } from 'node:crypto';
import t from 'tap';
import type { Renewed } from '../../../proto/renewal.ts';
import { Board, by, csrOf, type FleetHouse, fleetHouse, serialOf } from './house.ts';

const DAY_S = 86_400;

const said = (renewed: Renewed): string =>
  renewed.kind === 'issued' ? 'issued' : `${renewed.code} ${renewed.detail}`;

function pemOf(renewed: Renewed): string {
  if (renewed.kind !== 'issued') throw new Error(said(renewed));
  return renewed.certificate;
}

function namesOf(pem: string): { serial: string; fingerprint: string } {
  const { serialNumber, fingerprint256 } = new X509Certificate(pem);
  const fingerprint = fingerprint256.replaceAll(':', '').toLowerCase();
  return { serial: serialNumber.toLowerCase(), fingerprint };
}

async function admitted(house: FleetHouse, pem: string): Promise<string> {
  const { serial, fingerprint } = namesOf(pem);
  const admission = await house.certificates.check(serial, fingerprint);
  return admission.kind === 'refused' ? admission.why : admission.kind;
}

async function presentPem(house: FleetHouse, serial: string): Promise<string> {
  return (await house.store.certificates.bySerial(serial))?.pem ?? '';
}

t.test('old and new certificate overlap until the new one was used once', async (t) => {
  const house = await fleetHouse(t);
  const { deviceId, serial } = await house.claimed();
  const old = await presentPem(house, serial);
  house.advance(60 * DAY_S);
  const next = pemOf(await house.certificates.renew(deviceId, serial, await csrOf({})));
  t.match(new X509Certificate(next).subject, deviceId);
  t.equal(await admitted(house, old), 'device');
  t.equal(await admitted(house, next), 'device');
  await house.certificates.used(namesOf(next).serial);
  t.equal(await admitted(house, next), 'device');
  t.match(await admitted(house, old), /revoked/);
  t.match(await house.device(deviceId), { state: 'claimed' });
});

t.test(
  'asking again gets the same one for the same key, and replaces it for another',
  async (t) => {
    const house = await fleetHouse(t);
    const { deviceId, serial } = await house.claimed();
    house.advance(60 * DAY_S);
    const csr = await csrOf({});
    const renew = (one: Uint8Array) => house.certificates.renew(deviceId, serial, one);
    const [first, again] = await Promise.all([renew(csr), renew(csr)]);
    t.equal(pemOf(first), pemOf(again));
    t.equal(pemOf(await renew(csr)), pemOf(first));
    const other = pemOf(await renew(await csrOf({})));
    t.match(await admitted(house, pemOf(first)), /revoked/);
    t.equal(await admitted(house, other), 'device');
    t.match(
      said(await renew(csr)),
      /CSR_INVALID its key has a certificate/,
      'a void key stays void',
    );
  },
);

t.test('a device that asks for ever more certificates gets only so many in a day', async (t) => {
  const house = await fleetHouse(t);
  const { deviceId, serial } = await house.claimed();
  house.advance(60 * DAY_S);
  const renew = async () => house.certificates.renew(deviceId, serial, await csrOf({}));
  const answers: string[] = [];
  for (let at = 0; at < 12; at++) answers.push(said(await renew()).split(' ')[0] ?? '');
  t.strictSame(answers, [...Array(8).fill('issued'), ...Array(4).fill('RATE_LIMITED')]);
  t.equal((await house.store.certificates.ofDevice(deviceId)).length, 9, 'rows do not grow');
  house.advance(DAY_S);
  const next = pemOf(await renew());
  await house.certificates.used(namesOf(next).serial);
  t.equal(await admitted(house, next), 'device');
});

t.test('a key is certified once: not the present one, and nobody else’s', async (t) => {
  const house = await fleetHouse(t);
  const { deviceId, serial, board } = await house.claimed();
  const another = await house.claimed();
  house.advance(60 * DAY_S);
  for (const { csr } of [board, another.board])
    t.match(
      said(await house.certificates.renew(deviceId, serial, csr)),
      /CSR_INVALID its key has a certificate/,
    );
  const faulty = await csrOf({ name: 'CN=admin' });
  t.match(said(await house.certificates.renew(deviceId, serial, faulty)), /CSR_INVALID .*subject/);
});

t.test('much too early it is refused', async (t) => {
  const house = await fleetHouse(t);
  const { deviceId, serial } = await house.claimed();
  house.advance(53 * DAY_S);
  t.match(said(await house.certificates.renew(deviceId, serial, await csrOf({}))), /RATE_LIMITED/);
  house.advance(DAY_S);
  t.equal(said(await house.certificates.renew(deviceId, serial, await csrOf({}))), 'issued');
});

t.test('a device cannot renew by another device’s certificate, nor by a void one', async (t) => {
  const house = await fleetHouse(t);
  const [one, two] = [await house.claimed(), await house.claimed()];
  house.advance(60 * DAY_S);
  const renew = async (deviceId: string, serial: string) =>
    said(await house.certificates.renew(deviceId, serial, await csrOf({})));
  t.match(await renew(one.deviceId, two.serial), /IDENTITY_REFUSED/);
  await house.lifecycle.revoke(await house.device(one.deviceId), by);
  t.match(await renew(one.deviceId, one.serial), /IDENTITY_REFUSED/);
  await house.lifecycle.release(await house.device(two.deviceId), 'keep', by);
  t.match(await renew(two.deviceId, two.serial), /STATE_INVALID/);
});

t.test('who presents what is checked on every connection', async (t) => {
  const house = await fleetHouse(t);
  const { deviceId, serial } = await house.claimed();
  const pem = await presentPem(house, serial);
  const { fingerprint } = namesOf(pem);
  t.match(await house.certificates.check(serial, '0'.repeat(64)), { kind: 'refused' });
  t.match(await house.certificates.check('0'.repeat(32), fingerprint), { kind: 'refused' });
  const ours = await house.certificates.check(serial, fingerprint);
  t.match(ours, { kind: 'device', device: { device_id: deviceId }, certificate: { serial } });
  house.advance(91 * DAY_S);
  t.match(await admitted(house, pem), /expired/);
});

t.test('a renewal leaves a re-admission alone that waits for its board', async (t) => {
  const house = await fleetHouse(t);
  const { deviceId, serial } = await house.claimed();
  house.advance(60 * DAY_S);
  const readmitted = await (await Board.make()).claim(house, await house.newCode({ deviceId }));
  const renewed = pemOf(await house.certificates.renew(deviceId, serial, await csrOf({})));
  const waiting = await house.store.certificates.bySerial(serialOf(readmitted));
  t.equal(waiting?.revoked_at_us, null);
  await house.certificates.used(serialOf(readmitted));
  t.match(await admitted(house, renewed), /revoked/);
  t.match(await admitted(house, await presentPem(house, serial)), /revoked/);
});
