import t from 'tap';
import { defaultPolicyBytes, type PolicyDocument } from '../../../broker/consent/policy.ts';
import { newDeviceId } from '../../../broker/store/ids.ts';
import { consentHouse, owner } from './house.ts';

function next(change: (document: PolicyDocument) => object): string {
  const document: PolicyDocument = JSON.parse(defaultPolicyBytes());
  return JSON.stringify({ ...document, version: 2, ...change(document) });
}

const widened = next(({ scopes }) => ({
  scopes: { ...scopes, video: { ...scopes.video, recipients: ['an advertiser'] } },
}));

t.test('a device that was never finished does not hold a publication up', async (t) => {
  const { consent, store, device } = await consentHouse(t);
  await store.devices.add({ ...device, device_id: newDeviceId(), name: 'half', epoch: 0 });
  await consent.grant(device, ['video'], (await consent.policy()).sha256, owner);
  t.same((await consent.publish(widened, owner)).suspended, [device.device_id]);
});

t.test('a publication takes effect for every device or for none', async (t) => {
  const { consent, store, device } = await consentHouse(t);
  await consent.grant(device, ['video'], (await consent.policy()).sha256, owner);
  await store.index
    .updateTable('devices')
    .set({ epoch: 1 })
    .where('device_id', '=', device.device_id)
    .execute();
  await store.index.deleteFrom('policies').execute();
  const broken = await store.consent
    .publish({ version: 2, sha256: 'x', document: '{}', published_at_us: 1 }, () => {
      throw new Error('a crash in between');
    })
    .catch((error: unknown) => error);
  t.match(broken, { message: 'a crash in between' });
  t.same(await store.consent.policies(), [], 'nothing of it stays');
});

t.test('a grant under the text before a publication does not land after it', async (t) => {
  const { consent, device } = await consentHouse(t);
  const { sha256 } = await consent.policy();
  const [published, granted] = await Promise.allSettled([
    consent.publish(widened, owner),
    consent.grant(device, ['video'], sha256, owner),
  ]);
  t.equal(published.status, 'fulfilled');
  const { scopes } = await consent.current(device.device_id);
  t.ok(granted.status === 'rejected' || scopes.length === 0, `${granted.status}, ${scopes}`);
});

t.test('another controller asks everybody anew', async (t) => {
  const { consent, device } = await consentHouse(t);
  await consent.grant(device, ['video', 'audio'], (await consent.policy()).sha256, owner);
  await consent.publish(
    next(({ controller }) => ({ controller: { ...controller, name: 'Somebody else' } })),
    owner,
  );
  t.match(await consent.current(device.device_id), { event: 'SUSPENDED', scopes: { length: 0 } });
});
