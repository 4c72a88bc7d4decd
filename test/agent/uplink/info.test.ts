// What the server is told of the camera itself: what the grant names, when it changes, and nothing else.
import { setTimeout as sleep } from 'node:timers/promises';
import t, { type Test } from 'tap';
import type { Line } from '../../../agent/uplink/errand.ts';
import { Info } from '../../../agent/uplink/info.ts';
import { type DeviceInfo, decodeInfo, type Info as Message } from '../../../proto/info.ts';
import { eventually } from '../../e2e/processes.ts';
import { grant, makeGate, silent } from '../consent/grants.ts';

const LOOK_MS = 20;
const ALL: DeviceInfo = {
  model: 'Lenscap One',
  serial: 'A-1',
  firmwareVersion: 'Image 7',
  agentVersion: '1.2.3',
  interfaces: [{ name: 'eth0', mac: '02:00:00:00:00:01', addresses: ['192.0.2.7'] }],
  storage: { totalBytes: 1000, freeBytes: 500 },
};
const NOTHING: DeviceInfo = {
  model: null,
  serial: null,
  firmwareVersion: null,
  agentVersion: null,
  interfaces: null,
  storage: null,
};

function camera(t: Test) {
  const { gate } = makeGate(t.testdir());
  const told: Message[] = [];
  const board = { now: ALL, looks: 0 };
  const describe = async () => {
    board.looks += 1;
    return board.now;
  };
  const line: Line = {
    publish: async (noun, payload) => {
      t.equal(noun, 'info');
      told.push(decodeInfo(payload));
    },
    reconnect: () => t.fail('no reason to'),
  };
  const info = new Info({ gate, describe, log: silent, lookMs: LOOK_MS });
  const connect = () => {
    const end = new AbortController();
    const running = info.run(line, end.signal);
    const disconnect = async () => {
      end.abort();
      await running;
    };
    t.teardown(disconnect);
    return disconnect;
  };
  return { gate, told, board, connect };
}

t.test('it is told on each connection and when it changes, no other', async (t) => {
  const { gate, told, board, connect } = camera(t);
  gate.accept(grant(1, ['device_info']));
  const disconnect = connect();
  await eventually('looked again', () => board.looks > 3);
  t.same(told, [{ epoch: 1, ...ALL }]);
  board.now = { ...ALL, storage: { totalBytes: 1000, freeBytes: 450 } };
  await eventually('told of the change', () => told.length === 2);
  t.same(told[1], { epoch: 1, ...board.now });
  await disconnect();
  connect();
  await eventually('told again', () => told.length === 3);
});

t.test(
  'only what the grant names leaves, and a narrower one is told by what is left',
  async (t) => {
    const { gate, told, connect } = camera(t);
    gate.accept(grant(1, ['device_info'], { infoFields: ['model', 'storage', 'health'] }));
    connect();
    await eventually('told', () => told.length === 1);
    t.same(told[0], { ...NOTHING, epoch: 1, model: ALL.model, storage: ALL.storage });
    const since = { device_info: 1 };
    gate.accept(grant(2, ['device_info'], { infoFields: ['model'] }, since));
    await eventually('told anew', () => told.length === 2);
    t.same(told[1], { ...NOTHING, epoch: 2, model: ALL.model });
  },
);

t.test('without consent the board is not even looked at', async (t) => {
  const { gate, told, board, connect } = camera(t);
  gate.accept(grant(1, ['video']));
  connect();
  await sleep(LOOK_MS * 5);
  t.same([board.looks, told], [0, []]);
  gate.accept(grant(2, ['video', 'device_info'], {}, { video: 1 }));
  await eventually('told', () => told.length === 1);
  gate.accept(grant(3, ['video'], {}, { video: 1 }));
  board.now = NOTHING;
  await sleep(LOOK_MS * 5);
  t.equal(told.length, 1);
});

t.test('a policy that names nothing of it hears nothing', async (t) => {
  const { gate, told, board, connect } = camera(t);
  gate.accept(grant(1, ['device_info'], { infoFields: ['health'] }));
  connect();
  await eventually('looked', () => board.looks > 2);
  t.same(told, []);
});
