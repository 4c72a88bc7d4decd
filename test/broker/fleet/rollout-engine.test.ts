// What carries rollouts out, where something is wrong with one device, with the index or with what may
// be known: it concerns nobody else, and nothing that was answered is lost.
import t from 'tap';
import { LenscapError } from '../../../proto/errors.ts';
import { eventually } from '../../e2e/processes.ts';
import { by } from './house.ts';
import { RolloutHouse } from './rollout-house.ts';

const PATCH = { video: { bitrateKbps: 900 } };

const fleet = await RolloutHouse.open(t);
const { house } = fleet;

t.test('what of one device cannot be opened holds nobody else up', async (t) => {
  const { store, configuration } = house;
  const [document = '', answer = '', good = ''] = await fleet.devices(3, 'device_info');
  const [keyless = ''] = await fleet.devices(1);
  const loner = await house.addOwner();
  await store.index
    .updateTable('devices')
    .set({ account_id: loner })
    .where('device_id', '=', keyless)
    .execute();
  await store.keys.destroyAccount(loner);
  const patch = { overlay: { clock: true } };
  await configuration.update(await house.device(document), { patch, seen: 0 }, by);
  await fleet.answer(answer, { version: 1 });
  const sealed = Buffer.from('damaged');
  for (const table of ['config_versions', 'told'] as const)
    await store.index.updateTable(table).set({ sealed }).execute();
  const end = fleet.run();
  const id = await fleet.start([document, answer, good, keyless], PATCH);
  await fleet.becomes(id, good, 'sent');
  t.match(await fleet.of(id, document), { state: 'refused', detail: /damaged/ });
  t.match(await fleet.of(id, keyless), { state: 'refused' });
  t.match(await fleet.of(id, answer), { state: 'sent' });
  await fleet.answer(good, { version: 1 });
  await fleet.becomes(id, good, 'applied');
  await fleet.answer(answer, { version: 1 });
  await fleet.ends(id);
  await end();
});

t.test('no answer is lost when the index fails between two batches', async (t) => {
  const ids = await fleet.devices(25, 'device_info');
  const id = await fleet.start(ids, PATCH);
  const pause = fleet.run();
  for (const deviceId of ids) await fleet.becomes(id, deviceId, 'sent');
  await pause();
  const { store } = house;
  const { rollouts } = store;
  let asked = 0;
  const failing = {
    running: () => rollouts.running(),
    everSent: async () => [],
    devicesOf: (rolloutId: number) => rollouts.devicesOf(rolloutId),
    sentTo: async (deviceIds: readonly string[]) => {
      asked += 1;
      if (asked === 1) throw new LenscapError('STORE_LOCKED', 'by another process');
      return rollouts.sentTo(deviceIds);
    },
  };
  for (const deviceId of ids) await fleet.answer(deviceId, { version: 1 });
  const end = fleet.run({ store: { ...store, rollouts: failing } });
  for (const deviceId of ids) fleet.reported(deviceId);
  await fleet.ends(id);
  t.match(fleet.errors.at(-1), /by another process/);
  await end();
});

t.test('one rollout that fails does not hold up another', async (t) => {
  const [deviceId = ''] = await fleet.devices(1, 'device_info');
  const broken = await fleet.start([deviceId], PATCH);
  const id = await fleet.start([deviceId], { log: { level: 'debug' } });
  await house.store.index
    .updateTable('rollouts')
    .set({ patch: 'no JSON' })
    .where('rollout_id', '=', broken)
    .execute();
  const end = fleet.run();
  await fleet.becomes(id, deviceId, 'sent');
  t.match(fleet.errors.at(-1), /a rollout could not be carried on/);
  for (const running of [broken, id]) await house.rollouts.stop(running, 'it was seen');
  await end();
});

t.test('what may not be known is `unknown`, and nobody waits for it', async (t) => {
  const [later = ''] = await fleet.devices(1, 'device_info');
  await fleet.publish(2, (parts) => parts.filter((part) => part !== 'configuration'));
  const [under = ''] = await fleet.devices(1, 'device_info');
  const end = fleet.run();
  const id = await fleet.start([under, later], PATCH);
  await fleet.becomes(id, under, 'unknown');
  await fleet.becomes(id, later, 'sent');
  t.equal(await fleet.answer(later, { version: 1, state: 'accepted', detail: 'on' }), 'stored');
  await fleet.becomes(id, later, 'accepted');
  await house.consent.withdraw(await house.device(later), ['device_info'], by);
  t.match(await fleet.of(id, later), { state: 'unknown', detail: '' });
  fleet.reported(later);
  await fleet.ends(id);
  t.match(await fleet.of(id, later), { state: 'unknown' }, 'nothing of before is noted');
  await fleet.publish(3, (parts) => parts);
  await fleet.grant(under, 'device_info');
  t.match(await fleet.of(id, under), { state: 'unknown' });
  await fleet.answer(under, { version: 1 });
  await fleet.becomes(id, under, 'applied');
  await end();
});

t.test('an answer that was read before consent ended is not noted after it', async (t) => {
  const [deviceId = ''] = await fleet.devices(1, 'device_info');
  const pause = fleet.run();
  const id = await fleet.start([deviceId], PATCH);
  await fleet.becomes(id, deviceId, 'sent');
  await pause();
  await fleet.answer(deviceId, { version: 1, detail: 'private' });
  const withdrawn: unknown[] = [];
  const inTransaction: typeof house.store.inTransaction = async (work) => {
    const device = await house.device(deviceId);
    if (withdrawn.length === 0)
      withdrawn.push(await house.consent.withdraw(device, ['device_info'], by));
    return house.store.inTransaction(work);
  };
  const end = fleet.run({ store: { ...house.store, inTransaction } });
  fleet.reported(deviceId);
  await fleet.ends(id);
  t.equal(withdrawn.length, 1);
  t.match(await fleet.of(id, deviceId), { state: 'unknown', detail: '' });
  await end();
});

t.test('what its owner has set is not told with a refusal', async (t) => {
  const { consent, configuration } = house;
  const [shy = '', open = ''] = await fleet.devices(2, 'audio');
  await fleet.grant(open, 'device_info');
  for (const deviceId of [shy, open]) {
    const device = await house.device(deviceId);
    await configuration.update(device, { patch: { audio: { on: true } }, seen: 0 }, by);
    await consent.withdraw(device, ['audio'], by);
  }
  const end = fleet.run();
  const id = await fleet.start([shy, open], PATCH);
  await fleet.ends(id);
  t.match(await fleet.of(id, open), { state: 'refused', detail: /\/audio\/on: needs/ });
  const hidden = await fleet.of(id, shy);
  t.match(hidden, { state: 'refused', detail: /consent/ });
  t.notMatch(hidden?.detail, /audio/);
  await consent.withdraw(await house.device(open), ['device_info'], by);
  t.match(await fleet.of(id, open), { state: 'refused', detail: '' });
  await end();
});

t.test(
  'what is given away meanwhile is not reached, and the next owner sees nothing of it',
  async (t) => {
    const [first = '', given = ''] = await fleet.devices(2, 'device_info');
    const wish = { patch: { label: { name: 'nursery' } }, seen: 0 };
    await house.configuration.update(await house.device(given), wish, by);
    await house.rollouts.label(given, ['site=north']);
    const end = fleet.run();
    const id = await fleet.start([first, given], PATCH, '1,2');
    await fleet.becomes(id, first, 'sent');
    await house.lifecycle.release({ device_id: given }, 'keep', by);
    await fleet.answer(first, { version: 1 });
    await fleet.ends(id);
    t.match(await fleet.of(id, given), { state: 'refused', version: null, detail: /released/ });
    t.same(await house.configuration.history(await house.device(given), 9, 9), []);
    t.same(await house.rollouts.label(given, []), {});
    t.notOk(fleet.told.includes(given));
    await end();
  },
);

t.test('of two rollouts over each other each tells what became of its own change', async (t) => {
  const [one = '', two = ''] = await fleet.devices(2, 'device_info');
  const end = fleet.run();
  const first = await fleet.start([one, two], PATCH);
  for (const deviceId of [one, two]) await fleet.becomes(first, deviceId, 'sent');
  const patch = { video: { bitrateKbps: 1200 }, log: { level: 'debug' } };
  const second = await fleet.start([one, two], patch);
  for (const deviceId of [one, two]) await fleet.becomes(second, deviceId, 'sent');
  await fleet.answer(one, { version: 2, state: 'applied', inForce: 2 });
  await fleet.answer(two, { version: 2, state: 'reverted', inForce: 0, detail: 'dark' });
  await fleet.ends(first);
  await fleet.ends(second);
  t.match(
    [await fleet.of(first, one), await fleet.of(second, one)],
    [
      { state: 'applied', version: 1 },
      { state: 'applied', version: 2 },
    ],
  );
  t.match(
    [await fleet.of(first, two), await fleet.of(second, two)],
    [
      { state: 'superseded', version: 1 },
      { state: 'reverted', version: 2, detail: 'dark' },
    ],
  );
  await end();
});

t.test('labels changed after its start change nothing of a rollout', async (t) => {
  const [one = '', two = ''] = await fleet.devices(2);
  const id = await fleet.start([one], PATCH);
  const [label = ''] = Object.keys(await house.rollouts.label(one, []));
  await house.rollouts.label(two, [`${label}=1`]);
  await house.rollouts.label(one, [`${label}-`]);
  const end = fleet.run();
  await fleet.ends(id);
  t.match(await fleet.of(id, one), { state: 'unknown', version: 1 });
  t.equal(await fleet.of(id, two), undefined);
  await end();
});

t.test('what its owner set beside it stays, and what is so already is not sent', async (t) => {
  const [deviceId = ''] = await fleet.devices(1, 'device_info');
  const device = await house.device(deviceId);
  const wish = { overlay: { clock: true }, video: { width: 640, bitrateKbps: 700 } };
  await house.configuration.update(device, { patch: wish, seen: 0 }, by);
  const end = fleet.run();
  const id = await fleet.start([deviceId], PATCH);
  await fleet.becomes(id, deviceId, 'sent');
  t.match(await house.configuration.current(device), {
    document: { overlay: { clock: true }, video: { width: 640, bitrateKbps: 900 } },
    written: { actor: 'operator', how: `rollout ${id}` },
  });
  await fleet.answer(deviceId, { version: 2, state: 'reverted', inForce: 1, detail: 'no light' });
  await fleet.ends(id);
  t.match(await fleet.of(id, deviceId), { state: 'reverted', detail: 'no light' });
  const again = await fleet.start([deviceId], PATCH);
  await fleet.ends(again);
  t.match(await fleet.of(again, deviceId), { state: 'unchanged', version: 2 });
  t.equal(fleet.told.filter((told) => told === deviceId).length, 1);
  await end();
});

t.test('a rollout that is stopped within a stage reaches nobody else until resumed', async (t) => {
  const { rollouts } = house;
  const ids = await fleet.devices(22);
  const id = await fleet.start(ids, PATCH);
  const stopping: Promise<void>[] = [];
  const end = fleet.run({
    changed: (deviceId) => {
      fleet.told.push(deviceId);
      if (stopping.length === 0) stopping.push(rollouts.stop(id, 'by the operator'));
    },
  });
  await fleet.ends(id, 'stopped');
  const other = await fleet.start(ids.slice(0, 1), { log: { level: 'debug' } });
  await fleet.ends(other);
  t.same(await fleet.counts(id), { unknown: 20, pending: 2 }, 'a batch, and nobody after it');
  await t.rejects(rollouts.stop(id, 'again'), { code: 'STATE_INVALID' });
  await rollouts.resume(id);
  await fleet.ends(id);
  t.same(await fleet.counts(id), { unknown: 22 });
  await t.rejects(rollouts.resume(id), { code: 'STATE_INVALID' });
  await t.rejects(rollouts.resume(999), { code: 'NOT_FOUND' });
  await end();
});

t.test(
  'a server that ends within a stage is followed by one that sends the rest, once',
  async (t) => {
    const ids = await fleet.devices(22);
    const id = await fleet.start(ids, PATCH);
    const ending: Promise<void>[] = [];
    const end = fleet.run({
      changed: () => {
        if (ending.length === 0) ending.push(end());
      },
    });
    await eventually('its end', () => ending.length > 0);
    await Promise.all(ending);
    t.same(await fleet.counts(id), { unknown: 20, pending: 2 });
    const endOfNext = fleet.run();
    await fleet.ends(id);
    for (const deviceId of ids)
      t.equal((await house.configuration.current(await house.device(deviceId))).version, 1);
    await endOfNext();
  },
);
