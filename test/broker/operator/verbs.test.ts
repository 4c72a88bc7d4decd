// The operator's verbs on a data folder: what they show, do and refuse.
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Command } from 'commander';
import t from 'tap';
import { openInstallation } from '../../../broker/installation.ts';
import type { BoardListing } from '../../../broker/operator/boards.ts';
import { deviceVerbs, fleetVerbs } from '../../../broker/operator/commands.ts';
import type { DeviceListing } from '../../../broker/operator/devices.ts';
import { rolloutVerbs } from '../../../broker/operator/rollout-commands.ts';
import { opened } from '../../../broker/operator/verb.ts';
import { addAccount, verify } from '../../../broker/operator.ts';
import { checkServerConfig } from '../../../proto/server-config.ts';
import { Board, FactoryBoard, type FleetHouse } from '../fleet/house.ts';
import { ready, server } from './verbs.ts';

async function stateOf(house: FleetHouse, deviceId: string): Promise<string> {
  return (await house.device(deviceId)).state;
}

t.test(
  'devices are listed and shown with state, certificate and version, and boards that wait',
  async (t) => {
    const { house, run } = await ready(t);
    const { deviceId } = await house.claimed();
    const board = new FactoryBoard('LX-0001');
    await house.boards.enroll([board.row]);
    await board.ask(house, await Board.make());
    const list = await run('device', 'list');
    t.equal(list.status, 0, list.err);
    t.match(
      list.out,
      new RegExp(
        `^${deviceId}  hall  \\S+@example.org  claimed  no server runs  seen never  certificate 2\\S+Z  agent -$`,
        'm',
      ),
    );
    t.match(list.out, /^LX-0001 {2}Lens 1 {2}waiting {2}unclaimed {2}seen 2\S+Z$/m);
    const json: { devices: DeviceListing[]; boards: BoardListing[] } = JSON.parse(
      (await run('device', 'list', '--json')).out,
    );
    t.match(json.devices, [{ deviceId, state: 'claimed', agentVersion: null, serial: null }]);
    t.match(json.boards, [{ serial: 'LX-0001', state: 'waiting', isClaimed: false }]);
    const shown = await run('device', 'show', deviceId);
    t.match(shown.out, /^state: +claimed$/m);
    t.match(shown.out, /^agent: +not known; its owner shares no device information$/m);
    t.match(shown.out, /^spool: +not known$/m);
    t.match(JSON.parse((await run('device', 'show', deviceId, '--json')).out), { deviceId });
    t.match(await run('device', 'show', 'cam-x'), { status: 66, err: /NOT_FOUND.*device list/ });
  },
);

t.test(
  'a device is suspended, resumed and revoked; a clone is for its owner to let in',
  async (t) => {
    const { house, run } = await ready(t);
    const { deviceId } = await house.claimed();
    t.match(await run('device', 'suspend', deviceId), { status: 0, out: /is suspended/ });
    t.match(await run('device', 'list'), { out: /suspended \(operator\)/ });
    t.match(await run('device', 'suspend', deviceId), { status: 73, err: /STATE_INVALID/ });
    t.match(await run('device', 'resume', deviceId), { status: 0 });
    t.equal(await stateOf(house, deviceId), 'claimed');
    await house.lifecycle.suspend({ device_id: deviceId }, 'clone', { actor: 'server', how: 'x' });
    t.match(await run('device', 'resume', deviceId), { status: 73, err: /setup code/ });
    t.match(await run('device', 'revoke', deviceId), {
      status: 0,
      out: '1 certificates revoked\n',
    });
    t.equal(await stateOf(house, deviceId), 'revoked');
    t.match(await run('device', 'revoke', deviceId), { status: 73 });
  },
);

t.test('no verb makes a setup code, grants consent or shows media', async (t) => {
  const program = new Command();
  const desk = { print: () => undefined, opened };
  for (const verbs of [deviceVerbs, fleetVerbs, rolloutVerbs]) verbs(program, desk);
  t.strictSame(
    program.commands.map((group) => [group.name(), ...group.commands.map((verb) => verb.name())]),
    [
      ['device', 'add', 'list', 'show', 'suspend', 'resume', 'revoke', 'label'],
      ['fleet', 'enroll', 'list', 'revoke', 'unclaim', 'label'],
      ['rollout', 'start', 'list', 'show', 'stop', 'resume'],
    ],
  );
});

t.test('verify finds states of no table', async (t) => {
  const { house } = await ready(t);
  const { deviceId } = await house.claimed();
  t.strictSame((await verify(house, () => undefined)).faults, []);
  const note = { state: 'sleeping', state_at_us: 0, state_reason: null };
  await house.store.devices.setState(deviceId, note);
  const { faults } = await verify(house, () => undefined);
  t.strictSame(faults, [`device ${deviceId}: no device can be sleeping`]);
});

t.test('verify finds a state in which nothing may be granted', async (t) => {
  const { house } = await ready(t);
  const { deviceId } = await house.claimed();
  const { sha256 } = await house.consent.policy();
  const device = await house.device(deviceId);
  await house.consent.grant(device, ['video'], sha256, { actor: 'owner', how: 'test' });
  t.strictSame((await verify(house, () => undefined)).faults, []);
  const note = { state: 'suspended', state_at_us: 0, state_reason: null };
  await house.store.devices.setState(deviceId, note);
  const { faults } = await verify(house, () => undefined);
  t.strictSame(faults, [`device ${deviceId}: it is suspended, and something is granted`]);
});

t.test('a device is added where the port is known, and nowhere else', async (t) => {
  const folder = t.testdir();
  const config = checkServerConfig({ mqtt: { port: 0 } }, 'test');
  const installation = await openInstallation(folder, config);
  await addAccount(installation, 'a@example.org', 'correct horse battery');
  await installation.store.close();
  await writeFile(join(folder, 'config.json'), JSON.stringify({ mqtt: { port: 0 } }));
  const out = join(folder, 'bundle.json');
  const add = ['device', 'add', '--account', 'a@example.org', '--name', 'x', '--out', out];
  t.match(await server(folder, ...add), { status: 64, err: /port is not known/ });
  const added = await server(folder, ...add, '--server', 'cam.example:8883');
  t.match(added.out, /^cam-/, added.err);
  t.match(JSON.parse(await readFile(out, 'utf8')), { server: { host: 'cam.example', port: 8883 } });
});
