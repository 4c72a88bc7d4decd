// The versions of a configuration: of writers in two processes one wins, what an earlier schema allowed
// does not come back, and what is given away is gone.
import { generateKeyPairSync } from 'node:crypto';
import t from 'tap';
import { Configuration } from '../../../broker/fleet/configuration.ts';
import { openInstallation } from '../../../broker/installation.ts';
import { configIdentity } from '../../../broker/store/identities.ts';
import { seal } from '../../../broker/store/seal.ts';
import { toLenscapError } from '../../../proto/errors.ts';
import { by, fleetHouse, testConfig } from './house.ts';

const house = await fleetHouse(t);
const { configuration, store } = house;

async function camera() {
  const { deviceId } = await house.claimed();
  return house.device(deviceId);
}

/** What came of a change: the version, or the code of the refusal. */
async function outcome(change: Promise<{ readonly version: number }>): Promise<number | string> {
  return change.then(
    ({ version }) => version,
    (error: unknown) => toLenscapError(error).code,
  );
}

t.test('of writers over two connections to one index exactly one wins, each time', async (t) => {
  const device = await camera();
  const other = await openInstallation(house.folder, testConfig());
  t.teardown(() => other.store.close());
  for (let seen = 0; seen < 8; seen++) {
    const writers = [configuration, other.configuration, configuration, other.configuration];
    const outcomes = await Promise.all(
      writers.map((writer, at) => {
        const patch = { video: { bitrateKbps: 900 + 10 * seen + at } };
        return outcome(writer.update(device, { patch, seen }, by));
      }),
    );
    t.same(outcomes.filter((one) => one === seen + 1).length, 1, outcomes.join(', '));
    t.same(outcomes.filter((one) => one === 'CONFIG_STALE').length, 3, outcomes.join(', '));
  }
  t.equal((await other.configuration.current(device)).version, 8);
});

t.test('consent that ends before the row is written counts', async (t) => {
  const device = await camera();
  const { sha256 } = await house.consent.policy();
  await house.consent.grant(device, ['audio'], sha256, by);
  const told: string[] = [];
  const late = new Configuration({
    store: {
      ...store,
      inTransaction: async (work) => {
        await house.consent.withdraw(device, ['audio'], by);
        return store.inTransaction(work);
      },
    },
    key: generateKeyPairSync('ed25519').privateKey,
    nowUs: house.nowUs,
    changed: (deviceId) => told.push(deviceId),
  });
  const loud = { patch: { audio: { on: true } }, seen: 0 };
  await t.rejects(late.update(device, loud, by), { code: 'CONSENT_MISSING' });
  t.same(await configuration.current(device), { version: 0, document: {}, written: null });
  t.same(told, []);
});

t.test('what an earlier schema allowed is not brought back, and can be removed', async (t) => {
  const device = await camera();
  const { device_id, account_id } = device;
  const old = { dewarp: { on: true }, video: { width: 640 } };
  const key = await store.keys.account(account_id);
  const sealed = Buffer.concat(
    seal(key, configIdentity(device, 1), Buffer.from(JSON.stringify(old))),
  );
  const row = {
    device_id,
    version: 1,
    at_us: house.nowUs(),
    actor: account_id,
    how: 'api',
    sealed,
  };
  await store.config.add(row);
  const wish = { patch: { video: { width: 320 } }, seen: 1 };
  await t.rejects(configuration.update(device, wish, by), {
    code: 'CONFIG_INVALID',
    message: /\(dewarp\)/,
  });
  const mended = await configuration.update(device, { patch: { dewarp: null }, seen: 1 }, by);
  t.match(mended, { version: 2, document: { video: { width: 640 } } });
  await t.rejects(configuration.restore(device, { version: 1, seen: 2 }, by), {
    code: 'CONFIG_INVALID',
    message: /\(dewarp\)/,
  });
  t.equal((await configuration.current(device)).version, 2);
});

t.test(
  'a row is of one device, one version and one account; another one does not open',
  async (t) => {
    const [mine, yours] = [await camera(), await camera()];
    await configuration.update(mine, { patch: { label: { name: 'nursery' } }, seen: 0 }, by);
    const row = await store.config.latest(mine.device_id);
    if (!row) throw new Error('no row');
    for (const over of [{ device_id: yours.device_id }, { version: 2 }]) {
      await store.config.add({ ...row, ...over });
      const device = over.device_id === undefined ? mine : yours;
      await t.rejects(configuration.current(device), { code: 'STORE_CORRUPT' });
      const change = configuration.update(device, { patch: {}, seen: 1 }, by);
      await t.rejects(change, { code: 'STORE_CORRUPT' });
    }
  },
);
