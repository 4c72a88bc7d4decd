// The operator's verbs about devices and boards, as a command line.
import type { Command } from 'commander';
import { harmless } from '../../proto/harmless.ts';
import { readServerConfig } from '../installation.ts';
import { addDevice } from '../operator.ts';
import { type BoardListing, enrollBoards, labelOf, listBoards } from './boards.ts';
import {
  type DeviceListing,
  listDevices,
  resumeDevice,
  revokeDevice,
  showDevice,
  suspendDevice,
} from './devices.ts';
import { labelVerb } from './rollout-commands.ts';
import { type AsJson, type Common, type Desk, printJson, verb } from './verb.ts';

export { type Common, opened, verb } from './verb.ts';

export function deviceVerbs(program: Command, desk: Desk): void {
  const { print, opened } = desk;
  const device = program.command('device').description('cameras');
  verb(device, 'add', 'make a device of an account and write its identity bundle; prints its id')
    .requiredOption('--account <email>', 'account of its owner')
    .requiredOption('--name <name>', 'what the owner calls it')
    .requiredOption('--out <file>', 'where the bundle is written, mode 0600; it holds the key')
    .option('--server <host:port>', 'where the device connects; default: as configured')
    .action(
      async (options: Common & { account: string; name: string; out: string; server?: string }) => {
        const config = await readServerConfig(options.data, options.config);
        const { account: email, name, out, server } = options;
        const request = { email, name, out, server };
        print(await opened(options, (house) => addDevice(house, config, request)));
      },
    );
  verb(device, 'list', 'list devices, and boards that wait: states and certificates, no media')
    .option('--json', 'as JSON: {devices, boards}')
    .action((options: AsJson) =>
      opened(options, async (house) => {
        const devices = await listDevices(house);
        const boards = (await listBoards(house)).filter(({ deviceId }) => deviceId === null);
        if (options.json) printJson(desk, { devices, boards });
        else for (const line of [...devices.map(lineOf), ...boards.map(boardLine)]) print(line);
      }),
    );
  verb(device, 'show', 'one device')
    .argument('<device>', 'device id')
    .option('--json', 'as JSON')
    .action(async (deviceId: string, options: AsJson) => {
      const found = await opened(options, (house) => showDevice(house, deviceId));
      if (options.json) printJson(desk, found);
      else for (const line of linesOf(found)) print(line);
    });
  stateVerbs(device, desk);
  labelVerb(device, desk);
}

function stateVerbs(device: Command, desk: Desk): void {
  const { print, opened } = desk;
  const argument = ['<device>', 'device id'] as const;
  verb(device, 'suspend', 'stop a device; it is cut off within a second, and its consent ends')
    .argument(...argument)
    .action(async (deviceId: string, options: Common) => {
      await opened(options, (house) => suspendDevice(house, deviceId));
      print(`${deviceId} is suspended; \`device resume\` lets it connect again`);
    });
  verb(device, 'resume', 'let a suspended device connect again; its owner has to consent anew')
    .argument(...argument)
    .action(async (deviceId: string, options: Common) => {
      await opened(options, (house) => resumeDevice(house, deviceId));
      print(`${deviceId} may connect again`);
    });
  verb(device, 'revoke', 'declare the identity of a device void, for good; it is cut off')
    .argument(...argument)
    .action(async (deviceId: string, options: Common) => {
      const count = await opened(options, (house) => revokeDevice(house, deviceId));
      print(`${count} certificates revoked`);
    });
}

export function fleetVerbs(program: Command, desk: Desk): void {
  const { print, opened } = desk;
  const fleet = program.command('fleet').description('boards enrolled by their maker');
  verb(fleet, 'enroll', 'take in a production batch, all of it or nothing')
    .argument('<file>', 'CSV with the header serial,model,key_sha256')
    .option('--json', 'as JSON')
    .action(async (file: string, options: AsJson) => {
      const summary = await opened(options, (house) => enrollBoards(house, file));
      if (options.json) print(JSON.stringify(summary));
      else print(`${summary.added} boards enrolled, ${summary.unchanged} were there already`);
    });
  verb(fleet, 'list', 'list boards')
    .option('--json', 'as JSON')
    .action(async (options: AsJson) => {
      const boards = await opened(options, listBoards);
      if (options.json) printJson(desk, boards);
      else for (const board of boards) print(boardLine(board));
    });
  verb(fleet, 'revoke', 'declare a factory identity void: the board cannot be claimed any more')
    .argument('<serial>', 'serial number')
    .action(async (serial: string, options: Common) => {
      const { device_id } = await opened(options, ({ boards }) => boards.revokeBoard(serial));
      print(`${serial} is revoked`);
      if (device_id !== null)
        print(`its owner's device ${device_id} goes on; see \`device revoke\``);
    });
  verb(fleet, 'unclaim', 'free a board that was claimed by its label and never came')
    .argument('<serial>', 'serial number')
    .action(async (serial: string, options: Common) => {
      await opened(options, ({ boards }) => boards.unclaim(serial));
      print(`${serial} may be claimed by its label again`);
    });
  verb(fleet, 'label', 'print the code for the label of a board; whoever reads it can claim it')
    .argument('<serial>', 'serial number')
    .option('--png <file>', 'write it as a QR code, PNG')
    .option('--svg <file>', 'write it as a QR code, SVG')
    .action(async (serial: string, options: Common & { png?: string; svg?: string }) => {
      print(await opened(options, (house) => labelOf(house, serial, options)));
    });
}

function stateOf({ state, stateReason, releasedAt }: DeviceListing): string {
  if (state === 'released') return releasedAt === null ? 'released, unconfirmed' : 'released';
  return stateReason === null ? state : `${state} (${stateReason})`;
}

function connectionOf({ connected }: DeviceListing): string {
  if (connected === null) return 'no server runs';
  return connected ? 'connected' : 'not connected';
}

function lineOf(device: DeviceListing): string {
  const { deviceId, name, account, lastSeenAt, certificateEnd, agentVersion } = device;
  return [
    deviceId,
    harmless(name),
    account,
    stateOf(device),
    connectionOf(device),
    `seen ${lastSeenAt ?? 'never'}`,
    `certificate ${certificateEnd ?? 'revoked'}`,
    `agent ${harmless(agentVersion ?? '-')}`,
  ].join('  ');
}

function linesOf(device: DeviceListing): string[] {
  return [
    `device:       ${device.deviceId}`,
    `name:         ${harmless(device.name)}`,
    `account:      ${device.account}`,
    `state:        ${stateOf(device)}`,
    `serial:       ${device.serial ?? 'not enrolled by a maker'}`,
    `made:         ${device.createdAt}`,
    `connection:   ${connectionOf(device)}`,
    `last seen:    ${device.lastSeenAt ?? 'never'} (when it last connected or disconnected)`,
    `certificate:  ${device.certificateEnd === null ? 'revoked' : `until ${device.certificateEnd}`}`,
    `agent:        ${harmless(device.agentVersion ?? 'not known; its owner shares no device information')}`,
    `spool:        ${spoolOf(device)}`,
  ];
}

function spoolOf({ spool }: DeviceListing): string {
  if (spool === null) return 'not known';
  const waiting = `${spool.items} waiting, ${spool.bytes} bytes`;
  if (spool.state === 'on_flash') return `on flash, ${waiting}`;
  return `in memory only (${spool.code ?? spool.state}): a power cut loses it; ${waiting}`;
}

function boardLine(board: BoardListing): string {
  const { serial, model, state, isClaimed, deviceId, lastSeenAt } = board;
  const owned = deviceId ?? (isClaimed ? 'claimed by its label' : 'unclaimed');
  return `${serial}  ${harmless(model)}  ${state}  ${owned}  seen ${lastSeenAt ?? 'never'}`;
}
