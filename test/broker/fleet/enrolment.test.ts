import { createPrivateKey, X509Certificate } from 'node:crypto';
import t from 'tap';
import { enrol } from '../../../broker/fleet/enrolment.ts';
import { checkIdentity } from '../../../proto/identity.ts';
import { by, fleetHouse } from './house.ts';

t.test(
  'a device that the operator adds is claimed at once, and has a key of its own',
  async (t) => {
    const house = await fleetHouse(t);
    const request = {
      accountId: house.accountId,
      name: 'hall',
      server: { host: 'localhost', port: 1 },
    };
    const [one, two] = [await enrol(house, request), await enrol(house, request)];
    t.same(checkIdentity(one, 'bundle'), one);
    t.not(one.privateKey, two.privateKey);
    const certificate = new X509Certificate(one.certificate);
    t.ok(certificate.checkPrivateKey(createPrivateKey(one.privateKey)));
    t.match(await house.device(one.deviceId), { state: 'claimed', name: 'hall', epoch: 1 });
    const { sha256 } = await house.consent.policy();
    await house.consent.grant(await house.device(one.deviceId), ['video'], sha256, by);
    const serial = certificate.serialNumber.toLowerCase();
    await house.certificates.used(serial);
    t.match(await house.device(one.deviceId), { state: 'configured' });
    const fingerprint = certificate.fingerprint256.replaceAll(':', '').toLowerCase();
    t.match(await house.certificates.check(serial, fingerprint), {
      kind: 'device',
      certificate: { used_at_us: Number, pem: one.certificate },
    });
    const kept = JSON.stringify(await house.store.certificates.all());
    t.notMatch(kept, /PRIVATE/);
  },
);
