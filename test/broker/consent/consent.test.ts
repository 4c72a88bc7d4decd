import t from 'tap';
import type { ConsentGate } from '../../../broker/consent/gate.ts';
import {
  defaultPolicyBytes,
  type PolicyDocument,
  parsePolicy,
  widens,
} from '../../../broker/consent/policy.ts';
import { verifyGrant } from '../../../proto/grant.ts';
import { SCOPES, type Scope } from '../../../proto/scopes.ts';
import { consentHouse, owner } from './house.ts';

/** Whether the gate lets in what is captured under the latest epoch. */
function isOpen(gate: ConsentGate, deviceId: string, scope: Scope): boolean {
  return gate.mayTakeIn(deviceId, { epoch: Number.MAX_SAFE_INTEGER, scopes: [scope] });
}

t.test('a device begins with a record and nothing granted', async (t) => {
  const { consent, device, gate } = await consentHouse(t);
  const [record, ...more] = await consent.log(device.device_id);
  t.match(record, { event: 'OWNER_CHANGED', epoch: 1, scopes: { length: 0 }, policy: null });
  t.same(more, []);
  for (const scope of SCOPES) t.notOk(isOpen(gate, device.device_id, scope));
});

t.test(
  'granting adds scopes, withdrawing takes them away, each in an epoch of its own',
  async (t) => {
    const { consent, device, gate, told } = await consentHouse(t);
    const { sha256 } = await consent.policy();
    await consent.grant(device, ['video'], sha256, owner);
    await consent.grant(device, ['audio'], sha256, owner);
    t.match(await consent.current(device.device_id), { epoch: 3, scopes: ['video', 'audio'] });
    t.ok(gate.mayTakeIn(device.device_id, { epoch: 2, scopes: ['video'] }));
    await consent.withdraw(device, ['audio'], owner);
    t.match(await consent.current(device.device_id), {
      epoch: 4,
      event: 'WITHDRAWN',
      scopes: ['video'],
      policy: { version: 1 },
    });
    t.notOk(gate.mayTakeIn(device.device_id, { epoch: 3, scopes: ['video', 'audio'] }));
    t.ok(gate.mayTakeIn(device.device_id, { epoch: 2, scopes: ['video'] }), 'pictures go on');
    await consent.withdraw(device, SCOPES, owner);
    t.match(await consent.current(device.device_id), {
      epoch: 5,
      scopes: { length: 0 },
      policy: null,
    });
    t.equal(told.length, 5, 'the device is told of each change');
  },
);

t.test('the gate closes before a withdrawal begins to be written', async (t) => {
  const { consent, device, gate } = await consentHouse(t);
  await consent.grant(device, ['video'], (await consent.policy()).sha256, owner);
  const withdrawn = consent.withdraw(device, ['video'], owner);
  t.notOk(isOpen(gate, device.device_id, 'video'));
  await withdrawn;
  t.notOk(isOpen(gate, device.device_id, 'video'));
});

t.test('consent to another text than the one in force is refused', async (t) => {
  const { consent, device } = await consentHouse(t);
  await t.rejects(consent.grant(device, ['video'], '0'.repeat(64), owner), {
    code: 'POLICY_STALE',
  });
  t.equal((await consent.log(device.device_id)).length, 1);
});

t.test('changes at the same moment are put in a row, none is lost', async (t) => {
  const { consent, device } = await consentHouse(t);
  const { sha256 } = await consent.policy();
  await Promise.all(SCOPES.map((scope) => consent.grant(device, [scope], sha256, owner)));
  const last = await consent.current(device.device_id);
  t.same(last.scopes, [...SCOPES]);
  t.equal(last.epoch, SCOPES.length + 1);
});

t.test('the grant for the device is signed and says what is in force', async (t) => {
  const { consent, device, publicKey } = await consentHouse(t);
  const { sha256 } = await consent.policy();
  await consent.grant(device, ['video'], sha256, owner);
  const grant = verifyGrant(
    await consent.signedGrant(device.device_id),
    publicKey,
    device.device_id,
  );
  t.match(grant, { epoch: 2, leaseS: 60 });
  t.same([...grant.granted], [['video', 2]]);
  t.equal(Buffer.from(grant.policySha256).toString('hex'), sha256);
});

function changed(change: (document: PolicyDocument) => object): string {
  const { document } = parsePolicy(defaultPolicyBytes(), 'default');
  return JSON.stringify({ ...document, version: 2, ...change(document) });
}

t.test(
  'a policy that widens suspends just what it widens until the owner agrees anew',
  async (t) => {
    const { consent, device } = await consentHouse(t);
    await consent.grant(device, ['video', 'audio'], (await consent.policy()).sha256, owner);
    const bytes = changed(({ scopes }) => ({
      scopes: { ...scopes, audio: { ...scopes.audio, recipients: ['an advertiser'] } },
    }));
    const { suspended, policy } = await consent.publish(bytes, owner);
    t.same(suspended, [device.device_id]);
    t.match(await consent.current(device.device_id), {
      event: 'SUSPENDED',
      scopes: ['video'],
      policy: { version: 1 },
    });
    await consent.grant(device, ['audio'], policy.sha256, owner);
    t.match(await consent.current(device.device_id), {
      scopes: ['video', 'audio'],
      policy: { version: 2 },
    });
  },
);

t.test(
  'a policy that only narrows suspends nothing, and its shorter retention holds',
  async (t) => {
    const { consent, device } = await consentHouse(t);
    await consent.grant(device, ['video'], (await consent.policy()).sha256, owner);
    t.equal(await consent.retentionDays(device.device_id), 30);
    const bytes = changed(({ scopes }) => ({
      scopes: { ...scopes, video: { ...scopes.video, retentionDays: 3 } },
    }));
    t.same((await consent.publish(bytes, owner)).suspended, []);
    t.equal(await consent.retentionDays(device.device_id), 3);
    await t.rejects(consent.publish(bytes, owner), { code: 'CONFLICT' }, 'versions only grow');
  },
);

t.test('more fields, longer retention, more recipients or another purpose widen', async (t) => {
  const base = { purpose: 'p', fields: ['a'], retentionDays: 2, recipients: [] };
  t.notOk(widens(base, base));
  t.notOk(widens(base, { ...base, retentionDays: 1 }));
  for (const change of [
    { fields: ['a', 'b'] },
    { retentionDays: 3 },
    { recipients: ['x'] },
    { purpose: 'q' },
  ])
    t.ok(widens(base, { ...base, ...change }), JSON.stringify(change));
});

t.test('a policy with faults is refused with each of them', async (t) => {
  t.throws(() => parsePolicy('{"version":0,"text":[]}', 'p.json'), {
    code: 'CONFIG_INVALID',
    message: /scopes[\s\S]*\/version[\s\S]*\/text/,
  });
  t.throws(() => parsePolicy('{', 'p.json'), { code: 'CONFIG_INVALID' });
});

t.test('what ends with a device is one record in the transaction of its cause', async (t) => {
  const { consent, device, gate, store } = await consentHouse(t);
  const { sha256 } = await consent.policy();
  await consent.grant(device, ['video'], sha256, owner);
  const failing = store.inTransaction(async (rows) => {
    await consent.endIn(rows.consent, device, 'RELEASED', owner);
    throw new Error('a crash in between');
  });
  await t.rejects(failing, /a crash in between/);
  t.match(await consent.current(device.device_id), { epoch: 2, event: 'GRANTED' });
  await store.inTransaction((rows) => consent.endIn(rows.consent, device, 'RELEASED', owner));
  t.match(await consent.current(device.device_id), {
    epoch: 3,
    event: 'RELEASED',
    scopes: { length: 0 },
    policy: null,
  });
  t.notOk(isOpen(gate, device.device_id, 'video'));
});

t.test('a grant moves the state with it, and is refused where the state forbids it', async (t) => {
  const { consent, device, store } = await consentHouse(t);
  const { sha256 } = await consent.policy();
  const { device_id } = device;
  await consent.grant(device, ['video'], sha256, owner);
  t.match(await store.devices.byId(device_id), { state: 'configured', epoch: 2 });
  for (const state of ['factory', 'waiting', 'suspended', 'released', 'revoked', 'nonsense']) {
    await store.devices.setState(device_id, { state, state_at_us: 1, state_reason: null });
    await t.rejects(consent.grant(device, ['audio'], sha256, owner), { code: 'STATE_INVALID' });
    await consent.withdraw(device, ['audio'], owner);
    t.match(await store.devices.byId(device_id), { state }, 'a withdrawal is taken in any state');
  }
});
