import { generateKeyPairSync } from 'node:crypto';
import t from 'tap';
import { chainFaults } from '../../../broker/consent/ledger.ts';
import { checkReceipt, makeReceipt } from '../../../broker/consent/receipt.ts';
import { SCOPES } from '../../../proto/scopes.ts';
import { consentHouse, owner } from './house.ts';

t.test('every change to the chain is noticed', async (t) => {
  const { consent, store, device, publicKey } = await consentHouse(t);
  const { sha256 } = await consent.policy();
  await consent.grant(device, ['video'], sha256, owner);
  await consent.withdraw(device, SCOPES, owner);
  const rows = await store.consent.log(device.device_id);
  t.same(chainFaults(rows, publicKey, 3), []);
  const [first, second, third] = rows;
  if (!first || !second || !third) throw new Error('three records');
  const changed = { ...second, record: second.record.replace('"video"', '"video","audio"') };
  t.match(chainFaults([first, changed, third], publicKey, 3), [/record 2 was changed/]);
  t.match(
    chainFaults([first, third], publicKey, 3).join(),
    /record 3 stands where record 2 belongs.*does not follow/,
  );
  t.match(chainFaults([first, second], publicKey, 3), [/ends at 2, the device is at 3/]);
  t.match(chainFaults(rows, generateKeyPairSync('ed25519').publicKey, 3).join(), /not signed/);
});

t.test('records cannot be changed in the index', async (t) => {
  const { store } = await consentHouse(t);
  await t.rejects(store.index.updateTable('ledger').set({ record: '{}' }).execute(), /append-only/);
});

t.test('a receipt proves itself without the server, and a changed one does not', async (t) => {
  const { consent, store, device, publicKey } = await consentHouse(t);
  await consent.grant(device, ['video'], (await consent.policy()).sha256, owner);
  const stamp = { receiptId: 'r', issuedAt: '2026-01-01T00:00:00Z' };
  const receipt = await makeReceipt(store.consent, device.device_id, publicKey, stamp);
  t.same(checkReceipt(receipt), []);
  t.same(checkReceipt(JSON.parse(JSON.stringify(receipt))), [], 'after a file');
  const otherText = {
    ...receipt,
    policies: Object.fromEntries(
      Object.entries(receipt.policies).map(([key, text]) => [key, text.replace('30', '90')]),
    ),
  };
  t.match(checkReceipt(otherText), [/policy of record 2 is missing or changed/]);
  t.match(checkReceipt({ ...receipt, deviceId: 'cam-other' }).join(), /record 1 is of/);
});
