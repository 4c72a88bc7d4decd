// What a camera told of itself, over HTTP: its owner sees all of it and nothing that the policy does
// not name, takes it along, erases it; nobody else sees that it is there.
import { pino } from 'pino';
import t from 'tap';
import type { Held } from '../../../broker/cli/device-answers.ts';
import { Retention } from '../../../broker/collector/retention.ts';
import { defaultPolicyBytes } from '../../../broker/consent/policy.ts';
import { makeVitals } from '../../../broker/serve.ts';
import { INFO_FIELDS, type InfoField } from '../../../proto/info.ts';
import { healthOf, infoOf, reportedOf, vitals } from '../../proto/tellings.ts';
import { eventOf } from '../store/happened.ts';
import { type House, openHouse, tell } from './house.ts';

const DAY_US = 86_400e6;
const by = { actor: 'owner', how: 'test' };

/** The camera of the house, with consent to these parts of device information and all of it told. */
async function sharing(house: House, parts: readonly InfoField[] = INFO_FIELDS): Promise<string> {
  const { device } = house.anna;
  await agreeTo(house, parts);
  const { epoch } = await house.consent.infoInForce(device.device_id);
  await tell(house, device, { noun: 'info', message: infoOf(epoch) });
  await tell(house, device, { noun: 'health', message: healthOf(epoch) });
  await tell(house, device, { noun: 'reported', message: reportedOf(epoch) });
  return `/api/devices/${device.device_id}/info`;
}

/** Publishes a policy that names these parts, and the owner agrees to it. */
async function agreeTo(house: House, parts: readonly InfoField[]): Promise<void> {
  const { document } = await house.consent.policy();
  const fields = [...parts, 'the colour of its case'];
  const device_info = { ...document.scopes.device_info, fields };
  const next = {
    ...document,
    version: document.version + 1,
    scopes: { ...document.scopes, device_info },
  };
  const { policy } = await house.consent.publish(JSON.stringify(next), by);
  await house.consent.grant(house.anna.device, ['device_info'], policy.sha256, by);
}

t.test('the policy that ships names every part of device information, and no other', async (t) => {
  const { scopes } = JSON.parse(defaultPolicyBytes());
  t.same(scopes.device_info.fields, INFO_FIELDS);
});

t.test('an owner sees all that is held, with its part of the policy and its time', async (t) => {
  const house = await openHouse(t);
  const path = await sharing(house);
  const token = await house.login(house.anna);
  const held: Held = await house.json('GET', path, token);
  const { epoch: _, ...info } = infoOf(1);
  const { settings, epoch: __, atUs, ...reported } = reportedOf(1);
  t.match(held, {
    parts: INFO_FIELDS,
    info: { ...info, parts: INFO_FIELDS.slice(0, 6) },
    health: { part: 'health', spool: healthOf(1).spool, ...vitals },
    reported: { part: 'configuration', version: reported.version, state: 'applied' },
  });
  t.same(held.reported?.settings, JSON.parse(settings));
  t.equal(Date.parse(held.reported?.at ?? ''), Math.floor(atUs / 1000));
  const received = Date.parse(held.info?.receivedAt ?? '');
  t.ok(Math.abs(received - Date.now()) < 60_000);
  const bert = await house.login(house.bert);
  t.equal((await house.ask('GET', path, bert)).status, 404);
  t.equal((await house.ask('DELETE', path, bert)).status, 404);
  t.equal((await house.ask('GET', path)).status, 401);
});

t.test('what is erased is gone, and the rest of the consent stays', async (t) => {
  const house = await openHouse(t);
  const path = await sharing(house);
  const token = await house.login(house.anna);
  t.same(await house.json('DELETE', path, token), { deleted: 3 });
  t.same(await house.json('GET', path, token), {
    parts: INFO_FIELDS,
    info: null,
    health: null,
    reported: null,
  });
  t.same(await house.json('DELETE', path, token), { deleted: 0 });
});

t.test('agreeing to a policy with fewer parts erases what it does not name', async (t) => {
  const house = await openHouse(t);
  const path = await sharing(house);
  const token = await house.login(house.anna);
  const deviceId = house.anna.device.device_id;
  const { epoch } = await house.consent.infoInForce(deviceId);
  const kinds = Array.from({ length: 501 }, () => 'power_restored' as const);
  const events = [...kinds, 'motion' as const].map((kind) =>
    eventOf({ deviceId }, { kind, epoch }),
  );
  await house.store.commit(events);
  const span = { deviceId, fromUs: 0, toUs: Number.MAX_SAFE_INTEGER };
  const left = async () => (await house.store.events.list(span, 999)).map(({ kind }) => kind);
  const fleet = makeVitals(house.installation, () => true);
  for (const heard of house.installation.toldListeners)
    heard(deviceId, { noun: 'health', message: healthOf(epoch) });
  const reporting = () => fleet.figures(new Map()).reporting;
  await agreeTo(house, ['model', 'health']);
  t.equal(reporting(), 1);
  const held: Held = await house.json('GET', path, token);
  t.match(held, { parts: ['model', 'health'], info: null, reported: null });
  t.ok(held.health, 'that is named as before');
  t.equal((await left()).length, 502);
  await agreeTo(house, ['model']);
  t.same(await left(), ['motion'], 'what the camera saw is no device information');
  t.equal(reporting(), 0, 'nor is it counted any more');
  await house.consent.withdraw(house.anna.device, ['device_info'], by);
  t.match(await house.json('GET', path, token), { info: null, health: null, reported: null });
  t.equal((await house.json<Held>('GET', path, token)).parts.length, 0);
});

t.test('a publication alone changes nothing that is held while it is not agreed to', async (t) => {
  const house = await openHouse(t);
  const path = await sharing(house, ['model', 'health']);
  const { document } = await house.consent.policy();
  const next = { ...document, version: document.version + 1, title: 'Another title' };
  await house.consent.publish(JSON.stringify(next), by);
  const token = await house.login(house.anna);
  const held: Held = await house.json('GET', path, token);
  t.same(held.parts, ['model', 'health']);
  t.ok(held.info);
});

t.test(
  'what a camera told goes by its retention, once it has told nothing for so long',
  async (t) => {
    const house = await openHouse(t);
    const path = await sharing(house);
    const { installation, store, consent, anna } = house;
    const retention = new Retention({ ...store, ...installation, log: pino({ level: 'silent' }) });
    const { device_info: days } = await consent.retention(anna.device.device_id);
    house.advance((days - 1) * DAY_US);
    const { epoch } = await consent.infoInForce(anna.device.device_id);
    await tell(house, anna.device, { noun: 'health', message: healthOf(epoch) });
    house.advance(2 * DAY_US);
    await retention.expire();
    t.match(await store.told.of(anna.device), { info: { message: { epoch } }, health: {} }, path);
    house.advance(days * DAY_US);
    await retention.expire();
    t.match(await store.told.of(anna.device), { info: null, health: null, reported: null });
  },
);
