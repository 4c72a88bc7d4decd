// Every state and every event, by the table, by the README, and on a real index.
import { generateKeyPairSync } from 'node:crypto';
import { readFileSync } from 'node:fs';
import t from 'tap';
import {
  EVENTS,
  type Event,
  isState,
  MAY,
  nextState,
  STATES,
  type State,
  TRANSITIONS,
} from '../../../broker/fleet/states.ts';
import { newId } from '../../../broker/store/ids.ts';
import { Board, by, FactoryBoard, type FleetHouse, fleetHouse, said, serialOf } from './house.ts';

const readme = readFileSync(new URL('../../../broker/fleet/README.md', import.meta.url), 'utf8');

/** Rows of the table in the README whose header begins with these cells. */
function tableOf(...head: string[]): string[][] {
  const lines = readme.split('\n').map((line) => line.split('|').map((cell) => cell.trim()));
  const start = lines.findIndex((cells) => head.every((cell, at) => cells[at + 1] === cell));
  const rows = lines.slice(start);
  const end = rows.findIndex((cells) => cells.length < 3);
  return rows.slice(0, end).map((cells) => cells.slice(1, -1));
}

t.test('the README shows the table as it is', async (t) => {
  const [head, , ...rows] = tableOf('state', 'seen');
  t.same(head, ['state', ...EVENTS]);
  t.same(
    rows,
    STATES.map((state) => [state, ...EVENTS.map((event) => TRANSITIONS[state][event] ?? '')]),
  );
  const [, , ...may] = tableOf('state', 'may connect');
  t.same(
    may,
    STATES.map((state) => [state, MAY[state].connect, MAY[state].beGranted ? 'yes' : 'no']),
  );
});

t.test('what is not in the table is refused', async (t) => {
  for (const state of STATES)
    for (const event of EVENTS) {
      const next = TRANSITIONS[state][event];
      if (next) t.equal(nextState(state, event), next);
      else t.throws(() => nextState(state, event), { code: 'STATE_INVALID' }, `${state} ${event}`);
    }
  for (const state of STATES)
    t.equal(MAY[state].beGranted, TRANSITIONS[state].consented !== undefined, state);
  t.notOk(isState('toString'));
});

/** What brings an event about, for a device that may be in any state. */
const CAUSES: Readonly<
  Record<Exclude<Event, 'seen'>, (house: FleetHouse, deviceId: string) => Promise<void>>
> = {
  connected: async ({ store, certificates }, deviceId) => {
    const fresh = (await store.certificates.ofDevice(deviceId)).find((one) => !one.used_at_us);
    await certificates.used(fresh?.serial ?? '');
  },
  consented: async (house, deviceId) => {
    const { sha256 } = await house.consent.policy();
    await house.consent.grant(await house.device(deviceId), ['video'], sha256, by);
  },
  suspended: (house, device_id) => house.lifecycle.suspend({ device_id }, 'operator', by),
  resumed: (house, device_id) => house.lifecycle.resume({ device_id }),
  readmitted: async (house, deviceId) => {
    const answer = await (await Board.make()).claim(house, await house.newCode({ deviceId }));
    await house.certificates.used(serialOf(answer));
  },
  released: (house, device_id) => house.lifecycle.release({ device_id }, 'delete', by),
  revoked: async (house, device_id) => {
    await house.lifecycle.revoke({ device_id }, by);
  },
};

/** Everything in the index that tells of a device. */
async function told({ store }: FleetHouse, deviceId: string): Promise<unknown> {
  return [
    await store.devices.byId(deviceId),
    await store.certificates.ofDevice(deviceId),
    await store.consent.log(deviceId),
    await store.consent.standing(deviceId),
    await store.index.selectFrom('claims').selectAll().execute(),
  ];
}

/** A device put into a state, with a certificate that it uses and, while waiting, one that it does not. */
async function deviceIn(house: FleetHouse, state: State): Promise<string> {
  const { deviceId } = await house.claimed();
  await house.store.devices.setState(deviceId, { state, state_at_us: 1, state_reason: null });
  if (state !== 'waiting') return deviceId;
  const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
  await house.store.certificates.add(await house.certificates.issue(deviceId, { key: publicKey }));
  return deviceId;
}

t.test('every edge on a real index: allowed ones move, others change nothing', async (t) => {
  const house = await fleetHouse(t);
  for (const state of STATES)
    for (const event of EVENTS) {
      if (event === 'seen') continue;
      const deviceId = await deviceIn(house, state);
      const before = await told(house, deviceId);
      const failure = await CAUSES[event](house, deviceId).catch((error: unknown) => error);
      const next = TRANSITIONS[state][event];
      const edge = `${state} ${event}`;
      if (next) t.same([failure, (await house.device(deviceId)).state], [undefined, next], edge);
      else t.same(await told(house, deviceId), before, `${edge} changes nothing`);
      // To connect is no request that could be refused here: who may is checked before.
      if (!next && event !== 'connected') t.match(failure, { code: 'STATE_INVALID' }, edge);
    }
});

t.test('a board is seen before it is owned, and never once it is revoked', async (t) => {
  const house = await fleetHouse(t);
  for (const state of ['factory', 'waiting', 'revoked'] as const) {
    const factory = new FactoryBoard(newId());
    await house.boards.enroll([factory.row]);
    await house.store.boards.setState(factory.serial, state);
    const answer = await factory.ask(house, await Board.make());
    t.equal(said(answer), state === 'revoked' ? 'CLAIM_REFUSED' : 'CLAIM_WAITING');
    const next = TRANSITIONS[state].seen ?? state;
    t.match(await house.boards.bySerial(factory.serial), { state: next });
  }
});
