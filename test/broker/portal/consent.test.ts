// Consent over HTTP: given under the policy in force, withdrawn durably, and provable.
import t from 'tap';
import type { ConsentRecord, ConsentState, Receipt } from '../../../broker/cli/consent-answers.ts';
import type { Device } from '../../../broker/cli/device-answers.ts';
import { checkReceipt as checkOffline } from '../../../broker/cli/receipt-check.ts';
import { defaultPolicyBytes } from '../../../broker/consent/policy.ts';
import { checkReceipt } from '../../../broker/consent/receipt.ts';
import { openHouse } from './house.ts';

async function ready(t: Parameters<typeof openHouse>[0]) {
  const house = await openHouse(t);
  const token = await house.login(house.anna);
  const base = `/api/devices/${house.anna.device.device_id}`;
  const state = (): Promise<ConsentState> => house.json('GET', `${base}/consent`, token);
  return { house, token, base, state };
}

t.test('a camera shows its cap, its consent and whether it is connected', async (t) => {
  const { house, token, base } = await ready(t);
  const device: Device = await house.json('GET', base, token);
  t.match(device, {
    id: house.anna.device.device_id,
    name: 'Front door',
    connected: true,
    cap: 'off',
    scopes: ['video', 'audio'],
    epoch: house.anna.epoch,
    appliedEpoch: 0,
    segments: 0,
    bytes: 0,
    lastSegmentEndAt: null,
  });
});

t.test('a withdrawal is durable when it is answered, and needs no scope', async (t) => {
  const { house, token, base, state } = await ready(t);
  const part: ConsentState = await house.json('POST', `${base}/consent/withdraw`, token, {
    scopes: ['audio'],
  });
  t.strictSame(part.scopes, ['video']);
  const standing = await house.store.consent.standing(house.anna.device.device_id);
  t.strictSame([...standing.granted.keys()], ['video']);
  const all: ConsentState = await house.json('POST', `${base}/consent/withdraw`, token);
  t.match(all, { event: 'WITHDRAWN', scopes: { length: 0 }, policy: null, epoch: part.epoch + 1 });
  t.strictSame(await state(), all);
  t.equal((await house.json<Device>('GET', base, token)).cap, 'on');
  const again: ConsentState = await house.json('POST', `${base}/consent/withdraw`, token, {});
  t.equal(again.epoch, all.epoch + 1, 'once more is recorded as well');
});

t.test('consent is to the policy in force and to no other', async (t) => {
  const { house, token, base, state } = await ready(t);
  const old = await house.consent.policy();
  const next = { ...JSON.parse(defaultPolicyBytes()), version: 2 };
  next.scopes.video.recipients = ['a cousin of the operator'];
  await house.consent.publish(JSON.stringify(next), { actor: 'operator', how: 'test' });
  const suspended = await state();
  t.match(suspended, { event: 'SUSPENDED', scopes: ['audio'], policyInForce: { version: 2 } });
  const scopes = ['video'];
  const stale = await house.ask('POST', `${base}/consent/grant`, token, {
    scopes,
    policySha256: old.sha256,
  });
  t.equal(stale.status, 409);
  t.match(await stale.json(), { code: 'POLICY_STALE', retry: false });
  t.strictSame(await state(), suspended, 'nothing has changed');
  const { sha256 } = await house.json<{ sha256: string }>('GET', '/api/policy', token);
  const body = { scopes, policySha256: sha256 };
  const granted: ConsentState = await house.json('POST', `${base}/consent/grant`, token, body);
  t.match(granted, { event: 'GRANTED', scopes: ['video', 'audio'], policy: { version: 2 } });
});

t.test('the log tells everything in order, and by whom', async (t) => {
  const { house, token, base } = await ready(t);
  await house.json('POST', `${base}/consent/withdraw`, token, {});
  const { records } = await house.json<{ records: ConsentRecord[] }>(
    'GET',
    `${base}/consent/log`,
    token,
  );
  t.strictSame(
    records.map(({ epoch, event, how }) => [epoch, event, how]),
    [
      [1, 'OWNER_CHANGED', 'test'],
      [2, 'GRANTED', 'test'],
      [3, 'WITHDRAWN', 'api'],
    ],
  );
  t.equal(records[2]?.actor, house.anna.accountId);
});

t.test('a receipt proves itself without the server, and a changed one does not', async (t) => {
  const { house, token, base } = await ready(t);
  await house.json('POST', `${base}/consent/withdraw`, token, { scopes: ['audio'] });
  const path = `${base}/consent/receipt`;
  const receipt: Receipt & Parameters<typeof checkReceipt>[0] = await house.json(
    'GET',
    path,
    token,
  );
  t.strictSame(checkReceipt(receipt), []);
  const faults = (changed: unknown): readonly string[] =>
    checkOffline(JSON.stringify(changed), 'receipt').faults;
  t.strictSame(faults(receipt), [], 'by the check of the command line as well');
  type Row = Receipt['chain'][number];
  const rows = (change: (row: Row) => Row) => ({ ...receipt, chain: receipt.chain.map(change) });
  const [first, second, ...rest] = receipt.chain;
  const changes: [string, unknown][] = [
    ['a record', rows((row) => ({ ...row, record: row.record.replace('audio', 'location') }))],
    ['a hash', rows((row) => ({ ...row, hash: row === first ? 'a'.repeat(64) : row.hash }))],
    ['a signature', rows((row) => ({ ...row, signature: second?.signature ?? '' }))],
    ['a missing record', { ...receipt, chain: [first, ...rest] }],
    ['a missing start', { ...receipt, chain: [second, ...rest] }],
    ['another order', { ...receipt, chain: receipt.chain.toReversed() }],
    ['another camera', { ...receipt, deviceId: 'cam-aaaaaaaaaaaaaaaa' }],
    ['no policy', { ...receipt, policies: {} }],
    [
      'another policy',
      {
        ...receipt,
        policies: Object.fromEntries(Object.keys(receipt.policies).map((key) => [key, '{}'])),
      },
    ],
  ];
  for (const [name, change] of changes) t.ok(faults(change).length > 0, name);
  t.throws(() => checkOffline('{}', 'receipt'), { code: 'REQUEST_INVALID' });
  t.throws(() => checkOffline('no JSON', 'receipt'), { code: 'REQUEST_INVALID' });
});
