// Giving a camera away and declaring its identity void, over HTTP.
import t from 'tap';
import type { ConsentRecord } from '../../../broker/cli/consent-answers.ts';
import type { Device } from '../../../broker/cli/device-answers.ts';
import { infoOf } from '../../proto/tellings.ts';
import { openHouse, tell } from './house.ts';
import { cutMotion, storeCut } from './media.ts';

async function ready(t: Parameters<typeof openHouse>[0]) {
  const house = await openHouse(t);
  const token = await house.login(house.anna);
  const { device, epoch } = house.anna;
  const base = `/api/devices/${device.device_id}`;
  const record = async (): Promise<void> => {
    const startAtUs = house.nowUs() - 60e6;
    const cut = await cutMotion(house.folder);
    await storeCut(cut, { store: house.store, device, epoch, startAtUs });
  };
  const show = (): Promise<Device> => house.json('GET', base, token);
  const refusal = async (path: string, body?: unknown): Promise<unknown> =>
    (await house.ask('POST', `${base}${path}`, token, body)).json();
  return { house, token, base, record, show, refusal, device };
}

t.test(
  'a camera given away stays visible, with the recordings kept, and takes no consent',
  async (t) => {
    const { house, token, base, record, show, refusal, device } = await ready(t);
    await record();
    const before = await show();
    const released: Device = await house.json('POST', `${base}/release`, token, {
      recordings: 'keep',
    });
    t.match(released, { state: 'released', cap: 'on', scopes: { length: 0 }, releasedAt: null });
    t.equal(released.segments, before.segments);
    t.ok(released.segments > 0);
    const log = await house.json<{ records: ConsentRecord[] }>('GET', `${base}/consent/log`, token);
    t.match(log.records.at(-1), { event: 'RELEASED', actor: house.anna.accountId, how: 'api' });
    const { sha256: policySha256 } = await house.json<{ sha256: string }>(
      'GET',
      '/api/policy',
      token,
    );
    const grant = { scopes: ['video'], policySha256 };
    t.match(await refusal('/consent/grant', grant), { code: 'STATE_INVALID', retry: false });
    t.match(await refusal('/release', { recordings: 'keep' }), { code: 'STATE_INVALID' });
    await house.installation.lifecycle.released(device.device_id, 'ordered');
    const confirmed = await show();
    t.ok(Date.parse(confirmed.releasedAt ?? '') > Date.now() - 60_000);
    t.equal(confirmed.certificateEnd, null);
    t.equal(confirmed.segments, before.segments);
    t.equal((await house.ask('GET', `${base}/segments`, token)).status, 200);
  },
);

t.test('recordings are deleted with the release where its owner says so', async (t) => {
  const { house, token, base, record, show } = await ready(t);
  await record();
  await house.json('POST', `${base}/release`, token, { recordings: 'delete' });
  t.match(await show(), { state: 'released', segments: 0, bytes: 0 });
});

t.test('an owner revokes an identity, once', async (t) => {
  const { house, token, base, show, refusal } = await ready(t);
  await house.installation.store.certificates.add({
    serial: 'ab',
    device_id: house.anna.device.device_id,
    fingerprint: 'f',
    key_sha256: 'k',
    pem: '',
    issued_at_us: 0,
    not_after_us: house.nowUs() + 1e9,
    used_at_us: 1,
    revoked_at_us: null,
  });
  t.ok((await show()).certificateEnd);
  t.strictSame(await house.json('POST', `${base}/revoke`, token), { certificates: 1 });
  t.match(await show(), { state: 'revoked', cap: 'on', certificateEnd: null });
  t.match(await refusal('/revoke'), { code: 'STATE_INVALID' });
});

t.test('a camera that was suspended says why, and its version only under consent', async (t) => {
  const { house, token, base, show, device } = await ready(t);
  const { sha256: policySha256 } = await house.json<{ sha256: string }>(
    'GET',
    '/api/policy',
    token,
  );
  const grant = { scopes: ['device_info'], policySha256 };
  const { epoch } = await house.json<{ epoch: number }>(
    'POST',
    `${base}/consent/grant`,
    token,
    grant,
  );
  await tell(house, device, { noun: 'info', message: infoOf(epoch) });
  t.equal((await show()).agentVersion, '1.2.3');
  await house.json('POST', `${base}/consent/withdraw`, token, { scopes: ['device_info'] });
  t.equal((await show()).agentVersion, null);
  const by = { actor: 'server', how: 'clone detection' };
  await house.installation.lifecycle.suspend(device, 'clone', by);
  t.match(await show(), { state: 'suspended', stateReason: 'clone', cap: 'on' });
});
