// Commands about cameras themselves: how they are, giving one away, declaring its identity void.
import { setTimeout as sleep } from 'node:timers/promises';
import { type Command, Option } from 'commander';
import type { Client } from '../client.ts';
import { confirmed } from '../confirm.ts';
import type { Device } from '../device-answers.ts';
import { linesOf } from '../device-lines.ts';
import { remarksOn } from '../device-remarks.ts';
import { connect, findDevice, type Session } from '../session.ts';
import { duration, size } from '../times.ts';
import { toldLines } from '../told-lines.ts';

/** How long a connected camera is waited for. */
const CONFIRM_MS = 10_000;
const POLL_MS = 250;
const DEVICE = ['<device>', 'id or name of a camera'] as const;

export function deviceCommands(program: Command, session: Session): void {
  const server = (): string | undefined => program.opts<{ server?: string }>().server;
  program
    .command('devices')
    .description('your cameras, and whether their cap is on')
    .option('--json', 'as JSON')
    .action(async ({ json }: { json?: boolean }) => {
      const found = await (await connect(session, server())).devices();
      if (json) session.terminal.json(found);
      else listDevices(session, found);
    });
  const device = program.command('device').description('one camera: show, give away, or revoke it');
  device
    .command('show')
    .description('how a camera is')
    .argument(...DEVICE)
    .option('--json', 'as JSON')
    .action((named: string, { json }: { json?: boolean }) =>
      show(session, server(), named, json === true),
    );
  device
    .command('info')
    .description('all that is held of what a camera told of itself, to see, take along or erase')
    .argument(...DEVICE)
    .option('--erase', 'erase it; while you consent, the camera tells anew what changes')
    .option('--yes', 'do not ask')
    .option('--json', 'as JSON')
    .addHelpText('after', '\nExample:\n  lenscap device info garden --json > garden.json')
    .action((named: string, options: InfoOptions) => info(session, server(), named, options));
  device
    .command('release')
    .description('give a camera away: consent ends, it forgets everything, others can claim it')
    .argument(...DEVICE)
    .addOption(
      new Option('--recordings <what>', 'what becomes of what is stored of it')
        .choices(['keep', 'delete'])
        .makeOptionMandatory(),
    )
    .option('--yes', 'do not ask')
    .option('--json', 'as JSON')
    .addHelpText('after', '\nExample:\n  lenscap device release garden --recordings delete')
    .action((named: string, options: ReleaseOptions) => release(session, server(), named, options));
  device
    .command('revoke')
    .description('declare the identity of a lost camera void, for good; recordings stay')
    .argument(...DEVICE)
    .option('--yes', 'do not ask')
    .option('--json', 'as JSON')
    .action((named: string, options: Sure) => revoke(session, server(), named, options));
}

interface Sure {
  readonly yes?: boolean;
  readonly json?: boolean;
}
interface InfoOptions extends Sure {
  readonly erase?: boolean;
}
interface ReleaseOptions extends Sure {
  readonly recordings: 'keep' | 'delete';
}

async function show(
  session: Session,
  server: string | undefined,
  named: string,
  isJson: boolean,
): Promise<void> {
  const { terminal, nowMs } = session;
  const client = await connect(session, server);
  const device = await findDevice(client, named);
  if (isJson) return terminal.json(device);
  for (const line of linesOf(device)) terminal.print(line);
  for (const line of toldLines(device, await client.told(device.id), nowMs())) terminal.print(line);
  for (const remark of remarksOn(device, nowMs())) terminal.print(`\n${remark}`);
}

async function info(
  session: Session,
  server: string | undefined,
  named: string,
  { erase, yes, json }: InfoOptions,
): Promise<void> {
  const { terminal, nowMs } = session;
  const client = await connect(session, server);
  const device = await findDevice(client, named);
  if (!erase) {
    const held = await client.told(device.id);
    if (json) return terminal.json(held);
    for (const line of toldLines(device, held, nowMs())) terminal.print(line);
    return;
  }
  const question = `Erase what ${device.name} (${device.id}) told of itself?`;
  await confirmed(session, question, yes === true, 'nothing has changed');
  const deleted = await client.eraseTold(device.id);
  if (json) return terminal.json({ id: device.id, deleted });
  terminal.print(deleted === 0 ? 'nothing was held' : 'erased');
}

async function release(
  session: Session,
  server: string | undefined,
  named: string,
  { recordings, yes, json }: ReleaseOptions,
): Promise<void> {
  const { terminal } = session;
  const client = await connect(session, server);
  const { id, name, connected } = await findDevice(client, named);
  const what = recordings === 'keep' ? 'are kept for you' : 'are DELETED for good';
  const question = `Give ${name} (${id}) away? It forgets everything; its recordings ${what}.`;
  await confirmed(session, question, yes === true, 'nothing has changed');
  await client.release(id, recordings);
  const after = await confirmation(session, client, id, connected ? CONFIRM_MS : 0);
  if (json) return terminal.json(after);
  terminal.print(`${name} (${id}) is released; its recordings ${what}`);
  if (after.releasedAt !== null) {
    terminal.print(`confirmed by the camera at ${after.releasedAt}: it has forgotten everything`);
    return;
  }
  terminal.print(
    connected
      ? 'not confirmed by the camera within 10 s; it is told again whenever it connects'
      : 'not confirmed: the camera is not connected; it is told when it connects',
  );
  terminal.print(
    'Nothing of it is taken in from now on. What it still holds stays on it until it connects, or is reset: lenscap-agent reset',
  );
}

/** The camera, once it has confirmed or the time is over. */
async function confirmation(
  { signal, terminal }: Session,
  client: Client,
  deviceId: string,
  waitMs: number,
): Promise<Device> {
  const endMs = performance.now() + waitMs;
  let device = await client.device(deviceId);
  const isWaiting = device.releasedAt === null && waitMs > 0;
  while (device.releasedAt === null && performance.now() < endMs) {
    terminal.progress('waiting for the camera to confirm');
    await sleep(POLL_MS, undefined, { signal });
    device = await client.device(deviceId);
  }
  if (isWaiting) terminal.endProgress();
  return device;
}

async function revoke(
  session: Session,
  server: string | undefined,
  named: string,
  { yes, json }: Sure,
): Promise<void> {
  const { terminal } = session;
  const client = await connect(session, server);
  const { id, name } = await findDevice(client, named);
  const question = `Declare the identity of ${name} (${id}) void, for good? It can never connect again as this camera; its recordings stay.`;
  await confirmed(session, question, yes === true, 'nothing has changed');
  const certificates = await client.revoke(id);
  if (json) return terminal.json({ id, certificates });
  const count = `${certificates} ${certificates === 1 ? 'certificate' : 'certificates'}`;
  terminal.print(`${name} (${id}) is revoked; ${count}. It is cut off within a second.`);
  terminal.print('To use the board again: lenscap-agent reset on it, then lenscap claim new');
}

function listDevices({ terminal, nowMs }: Session, found: readonly Device[]): void {
  if (found.length === 0) {
    terminal.note('no cameras yet; see `lenscap claim new --help`');
    return;
  }
  terminal.table([
    ['ID', 'NAME', 'STATE', 'CAP', 'CONNECTED', 'CONSENT', 'PIECES', 'STORED', 'LAST PICTURE'],
    ...found.map((device) => [
      device.id,
      device.name,
      device.state,
      device.cap,
      device.connected ? 'yes' : 'no',
      device.scopes.join(',') || 'none',
      String(device.segments),
      size(device.bytes),
      ago(device.lastSegmentEndAt, nowMs()),
    ]),
  ]);
  for (const remark of found.flatMap((device) => remarksOn(device, nowMs())))
    terminal.print(`\n${remark}`);
}

function ago(at: string | null, nowMs: number): string {
  if (at === null) return 'none';
  return `${duration(Math.max(0, nowMs - Date.parse(at)) * 1000)} ago`;
}
