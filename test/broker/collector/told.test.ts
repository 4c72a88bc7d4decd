// What a device tells, taken in: cut to what the policy names, decided anew when consent changes in
// between, and told on only once it is stored.
import { pino } from 'pino';
import t from 'tap';
import { Tellings, type TellingsDeps } from '../../../broker/collector/told.ts';
import type { Telling } from '../../../broker/store/told.ts';
import { encodeReported } from '../../../proto/desired-config.ts';
import { encodeHealth } from '../../../proto/health.ts';
import { encodeInfo, type InfoField } from '../../../proto/info.ts';
import { healthOf, infoOf, reportedOf } from '../../proto/tellings.ts';
import { putEpoch, storeHouse } from '../store/house.ts';

async function opened(t: Parameters<typeof storeHouse>[0], parts: readonly InfoField[]) {
  const house = await storeHouse(t);
  const { store, deviceId } = house;
  const epoch = await putEpoch(store, deviceId, ['video', 'device_info']);
  const heard: Telling[] = [];
  const deps: TellingsDeps = {
    gate: { mayTakeIn: () => true },
    consent: {
      infoInForce: async () => ({ epoch: (await store.consent.standing(deviceId)).epoch, parts }),
    },
    told: store.told,
    toldListeners: [(_, telling) => heard.push(telling)],
    nowUs: () => 5,
    log: pino({ level: 'silent' }),
  };
  const device = await store.devices.byId(deviceId);
  if (!device) throw new Error('no device');
  return { ...house, epoch, heard, deps, device };
}

t.test('only what the policy names is kept, and only that is told on', async (t) => {
  const { deps, epoch, heard, store, device, ...sender } = await opened(t, ['model']);
  const tellings = new Tellings(deps);
  t.equal(await tellings.take(sender, 'info', encodeInfo(infoOf(epoch))), 'stored');
  t.equal(await tellings.take(sender, 'health', encodeHealth(healthOf(epoch))), 'dropped');
  t.equal(await tellings.take(sender, 'reported', encodeReported(reportedOf(epoch))), 'dropped');
  const only = { model: 'Bench camera 2', serial: null, interfaces: null, agentVersion: null };
  t.match(heard, [{ noun: 'info', message: only }]);
  t.equal(heard.length, 1);
  t.match(await store.told.of(device), {
    info: { receivedAtUs: 5, message: only },
    health: null,
    reported: null,
  });
});

t.test(
  'where nothing of device information is named, not even that it was told is kept',
  async (t) => {
    const { deps, epoch, heard, store, device, ...sender } = await opened(t, ['health']);
    const tellings = new Tellings(deps);
    t.equal(await tellings.take(sender, 'info', encodeInfo(infoOf(epoch))), 'dropped');
    t.equal((await store.told.of(device)).info, null);
    t.equal(heard.length, 0);
  },
);

t.test('consent that changes while a message is sealed is what decides', async (t) => {
  const { deps, epoch, heard, store, device, ...sender } = await opened(t, ['health']);
  const { deviceId } = sender;
  let asked = 0;
  const consent: TellingsDeps['consent'] = {
    infoInForce: async () => {
      const found = await deps.consent.infoInForce(deviceId);
      asked += 1;
      // The owner is quicker: what was found does not hold any more.
      if (asked === 1) await putEpoch(store, deviceId, ['audio', 'device_info']);
      if (asked === 3) await putEpoch(store, deviceId, ['audio']);
      return found;
    },
  };
  const tellings = new Tellings({ ...deps, consent });
  const payload = encodeHealth(healthOf(epoch));
  t.equal(await tellings.take(sender, 'health', payload), 'stored', 'decided twice');
  t.equal(asked, 2);
  t.equal(await tellings.take(sender, 'health', payload), 'dropped', 'withdrawn meanwhile');
  t.equal((await store.told.of(device)).health, null);
  t.equal(heard.length, 1);
});

t.test(
  'what is no message of its kind ends the connection, and a damaged row is an error',
  async (t) => {
    const { deps, epoch, store, device, ...sender } = await opened(t, ['health']);
    const tellings = new Tellings(deps);
    await t.rejects(tellings.take(sender, 'health', Buffer.from('x')), { code: 'DECODE_INVALID' });
    await tellings.take(sender, 'health', encodeHealth(healthOf(epoch)));
    await store.index.updateTable('told').set({ noun: 'info' }).execute();
    await t.rejects(store.told.of(device), { code: 'STORE_CORRUPT' }, 'of another kind');
  },
);
