// Rows of certificates against the certificates that are stored with them.
import t from 'tap';
import { certificateFaults } from '../../../broker/operator/certificate-faults.ts';
import { fleetHouse } from '../fleet/house.ts';

t.test('a row that speaks of another certificate than its own is named', async (t) => {
  const house = await fleetHouse(t);
  await house.claimed();
  const { deviceId } = await house.claimed();
  const [row] = await house.store.certificates.ofDevice(deviceId);
  if (!row) throw new Error('no certificate');
  const all = await house.store.certificates.all();
  t.same(certificateFaults(all), [], 'those of the house are right');
  const other = all.find(({ serial }) => serial !== row.serial);
  for (const [change, fault] of [
    [{ serial: 'ff' }, 'serial number'],
    [{ fingerprint: 'f'.repeat(64) }, 'fingerprint'],
    [{ key_sha256: 'f'.repeat(64) }, 'key'],
    [{ device_id: 'cam-other' }, 'of another device'],
    [{ not_after_us: row.not_after_us + 5_000_000 }, 'another time'],
    [{ pem: 'no certificate' }, 'cannot be read'],
    [{ pem: row.pem.replace(/[A-Z]/, 'a') }, 'cannot be read'],
  ] as const) {
    const faults = certificateFaults([{ ...row, ...change }]);
    t.match(faults, [fault]);
    t.equal(faults.length, 1);
  }
  t.equal(certificateFaults([{ ...row, pem: other?.pem ?? '' }]).length, 4, 'exchanged');
});
