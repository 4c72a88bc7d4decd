// Many boards claimed on one server: each gets an identity of its own, the one that its owner made the
// code for, and can use no other.
import t, { type Test } from 'tap';
import { newDeviceId } from '../../broker/store/ids.ts';
import { type Claimed, claim, makeBoard } from '../bench/load/claimer.ts';
import { House } from './house.ts';

// The benchmark takes 500 of each.
const ONE_AFTER_ANOTHER = 30;
const IN_PARALLEL = 120;
/** Fewer than find room at the same time: the others would be told to come later. */
const AT_A_TIME = 50;

t.setTimeout(180_000);

interface Code {
  readonly name: string;
  readonly code: string;
}

/** Codes made through the API. */
async function askForCodes(house: House, count: number): Promise<Code[]> {
  const codes: Code[] = [];
  for (let i = 0; i < count; i++) {
    const name = `alone ${i}`;
    codes.push({ name, ...(await house.ask<{ code: string }>('POST', '/api/claims', { name })) });
  }
  return codes;
}

/** Codes of the owner who has cameras already, made in this process: quicker, since no QR is drawn. */
async function makeCodes(house: House, count: number): Promise<Code[]> {
  return house.inside(async ({ store, claims }) => {
    const accountId = (await store.devices.all())[0]?.account_id ?? '';
    const codes: Code[] = [];
    for (let i = 0; i < count; i++) {
      const name = `together ${i}`;
      codes.push({ name, ...(await claims.create(accountId, { name, deviceId: null })) });
    }
    return codes;
  });
}

/** What the owner sees has to be what the boards got. */
async function compare(t: Test, house: House, got: ReadonlyMap<string, Claimed>): Promise<void> {
  const ids = new Set([...got.values()].map(({ deviceId }) => deviceId));
  t.equal(ids.size, ONE_AFTER_ANOTHER + IN_PARALLEL, 'no two have the same id');
  const { devices } = await house.ask<{ devices: { id: string; name: string; state: string }[] }>(
    'GET',
    '/api/devices',
  );
  t.equal(devices.length, got.size, 'there is not one camera more');
  const mixedUp = devices.filter(({ id, name }) => got.get(name)?.deviceId !== id);
  t.same(mixedUp, [], 'each bears the name of its code');
  const others = devices.filter(({ state }) => state !== 'claimed');
  t.same(others, [], 'each has been connected with its identity');
  const { claims } = await house.ask<{ claims: { state: string }[] }>('GET', '/api/claims');
  const open = claims.filter(({ state }) => state !== 'used');
  t.same(open, [], 'no code can be used again');
}

t.test('hundreds of boards are claimed, and none is mixed up with another', async (t) => {
  const house = await House.open(t, { claims: { maxOpen: ONE_AFTER_ANOTHER } });
  const claimed = new Map<string, Claimed>();
  const ending = new AbortController();
  t.teardown(() => ending.abort());
  let neighbour = newDeviceId();
  const claimAll = async (codes: Code[]): Promise<void> => {
    for (let next = codes.pop(); next; next = codes.pop()) {
      const one = await claim(next.code, await makeBoard(), neighbour, ending.signal);
      neighbour = one.deviceId;
      claimed.set(next.name, one);
    }
  };
  await claimAll(await askForCodes(house, ONE_AFTER_ANOTHER));
  t.equal(claimed.size, ONE_AFTER_ANOTHER, 'one after another');
  const codes = await makeCodes(house, IN_PARALLEL);
  await Promise.all(Array.from({ length: AT_A_TIME }, () => claimAll(codes)));
  t.equal(claimed.size, ONE_AFTER_ANOTHER + IN_PARALLEL, 'in parallel');
  await compare(t, house, claimed);
  t.same((await house.check()).faults, [], 'index and ledger are whole');
});
