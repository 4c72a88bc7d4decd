// Commands about the configuration of a camera: shown, changed, its history, a version brought back.
// A change says which version it was made upon, so that nobody's change is lost unseen.
import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Command } from 'commander';
import { LenscapError } from '../../../proto/errors.ts';
import type { Client } from '../client.ts';
import type { ConfigState } from '../config-answers.ts';
import { configLines, historyRows } from '../config-lines.ts';
import { bothPatches, parsePatch, patchOf } from '../config-patch.ts';
import { settingRows } from '../config-settings.ts';
import { connect, findDevice, type Session } from '../session.ts';
import { editConfig } from './config-edit.ts';

const POLL_MS = 250;
const WAIT_S = 60;
const CAMERA = ['<camera>', 'id or name of a camera'] as const;

interface Output {
  readonly json?: boolean;
}
interface Waiting extends Output {
  readonly wait?: boolean;
  readonly waitS: string;
}
interface SetOptions extends Waiting {
  readonly unset: readonly string[];
  readonly file?: string;
}

const EXAMPLES = `
Examples:
  lenscap config set garden video.bitrateKbps=1500 overlay.clock=true --wait
  lenscap config set garden label.name='Garden door' label.location=
  lenscap config set garden 'masks=[[[0,0],[0.5,0],[0.5,0.3],[0,0.3]]]'
  lenscap config set garden --file patch.json --unset recording.schedule
  lenscap config settings video

A value is read as JSON where it is JSON, else as text; text that looks like JSON goes in quotes,
e.g. 'label.name="2"'. NAME= and --unset remove a setting, so that the board decides. A file holds a
merge patch (RFC 7396); what is typed beside it goes over it.`;

type Server = () => string | undefined;

export function configCommands(program: Command, session: Session): void {
  const server: Server = () => program.opts<{ server?: string }>().server;
  const config = program.command('config').description('show and change how a camera works');
  config
    .command('show')
    .description('what is wanted, what the camera says, where they differ and since when')
    .argument(...CAMERA)
    .option('--json', 'as JSON')
    .action((named: string, { json }: Output) => show(session, server(), named, json === true));
  config
    .command('history')
    .description('who changed what, and when; as JSON with each whole document, to take along')
    .argument(...CAMERA)
    .option('--json', 'as JSON')
    .action(async (named: string, { json }: Output) => {
      const client = await connect(session, server());
      const entries = await client.configHistory((await findDevice(client, named)).id);
      if (json) session.terminal.json(entries);
      else session.terminal.table(historyRows(entries));
    });
  config
    .command('settings')
    .description('what can be set: names, values, meaning')
    .argument('[group]', 'only this one, e.g. video')
    .action(async (group?: string) => {
      const schema = await (await connect(session, server())).configSchema();
      const rows = settingRows(schema, group);
      if (rows.length === 1)
        throw new LenscapError('NOT_FOUND', `no settings ${group}; see \`config settings\``);
      session.terminal.table(rows);
    });
  changeCommands(config, session, server);
}

function changeCommands(config: Command, session: Session, server: Server): void {
  waiting(
    config
      .command('set')
      .description('change settings; what is removed is as the board says')
      .argument(...CAMERA)
      .argument('[settings...]', 'NAME=VALUE, the value as JSON or text; NAME= removes it')
      .option('--unset <name...>', 'remove a setting', [])
      .option('--file <file>', 'a merge patch as JSON; - for standard input'),
  )
    .addHelpText('after', EXAMPLES)
    .action((named: string, settings: string[], options: SetOptions) =>
      set(session, server(), named, settings, options),
    );
  waiting(
    config
      .command('edit')
      .description('change it in an editor ($VISUAL, $EDITOR); what is wrong is shown there')
      .argument(...CAMERA),
  ).action(async (named: string, options: Waiting) => {
    const client = await connect(session, server());
    const device = await findDevice(client, named);
    const before = await client.config(device.id);
    const after = await editConfig(session, client, device, before);
    await told(session, client, device.id, after, after.version > before.version, options);
  });
  waiting(
    config
      .command('restore')
      .description('bring a version of the history back')
      .argument(...CAMERA)
      .argument('<version>', 'of the history'),
  ).action(async (named: string, typed: string, options: Waiting) => {
    const version = Number(typed);
    if (!Number.isSafeInteger(version) || version < 1)
      throw new LenscapError('REQUEST_INVALID', `no version: ${typed}; see \`config history\``);
    const client = await connect(session, server());
    const { id } = await findDevice(client, named);
    const { version: seen } = await client.config(id);
    const after = await client.restoreConfig(id, version, seen);
    await told(session, client, id, after, after.version > seen, options);
  });
}

function waiting(command: Command): Command {
  return command
    .option('--wait', 'until the camera has applied it, or why not')
    .option('--wait-s <seconds>', 'at most so long', String(WAIT_S))
    .option('--json', 'as JSON');
}

async function show(
  session: Session,
  server: string | undefined,
  named: string,
  isJson: boolean,
): Promise<void> {
  const client = await connect(session, server);
  const state = await client.config((await findDevice(client, named)).id);
  if (isJson) session.terminal.json(state);
  else for (const line of configLines(state)) session.terminal.print(line);
}

async function set(
  session: Session,
  server: string | undefined,
  named: string,
  settings: readonly string[],
  options: SetOptions,
): Promise<void> {
  const typed = patchOf(settings, options.unset);
  const filed = options.file === undefined ? {} : await patchFrom(session, options.file);
  const patch = bothPatches(filed, typed);
  if (Object.keys(patch).length === 0)
    throw new LenscapError('REQUEST_INVALID', 'say what is to be changed, e.g. overlay.clock=true');
  const client = await connect(session, server);
  const { id } = await findDevice(client, named);
  const { version: seen } = await client.config(id);
  const after = await client.patchConfig(id, seen, patch);
  await told(session, client, id, after, after.version > seen, options);
}

async function patchFrom({ terminal }: Session, file: string) {
  const text = file === '-' ? terminal.readAll() : readFile(file, 'utf8');
  const read = await text.catch((error: unknown) => {
    throw new LenscapError('REQUEST_INVALID', `${file} cannot be read`, { cause: error });
  });
  return parsePatch(read, file);
}

/** Says what came of a change. @throws what the camera says against it, when it is waited for. */
async function told(
  session: Session,
  client: Client,
  deviceId: string,
  state: ConfigState,
  isNew: boolean,
  { wait, waitS, json }: Waiting,
): Promise<void> {
  const { terminal } = session;
  if (!json)
    terminal.print(
      isNew
        ? `version ${state.version} is wanted`
        : `nothing changes; version ${state.version} stays`,
    );
  const after = wait ? await answer(session, client, deviceId, state, secondsOf(waitS)) : state;
  if (json) terminal.json(after);
  else if (wait) terminal.print(`the camera has applied version ${after.reported?.version}`);
  else if (isNew && !state.connected)
    terminal.print('the camera is not connected; it is told when it connects');
}

function secondsOf(typed: string): number {
  const seconds = Number(typed);
  if (seconds > 0 && seconds <= 86_400) return seconds;
  throw new LenscapError('REQUEST_INVALID', `--wait-s: seconds from 1 to 86400, not ${typed}`);
}

/**
 * Until the camera has applied a version, or a later one.
 * @throws CONSENT_MISSING when its answer may not be known; CONFIG_INVALID, CONFIG_UNHEALTHY with what
 * it said; DEVICE_OFFLINE when it has said nothing in time.
 */
async function answer(
  { terminal, signal }: Session,
  client: Client,
  deviceId: string,
  { version }: ConfigState,
  seconds: number,
): Promise<ConfigState> {
  const endMs = performance.now() + seconds * 1000;
  for (;;) {
    const state = await client.config(deviceId);
    if (isAnswered(state, version)) return state;
    if (performance.now() >= endMs) break;
    terminal.progress('waiting for the camera to apply it');
    await sleep(POLL_MS, undefined, { signal });
  }
  terminal.endProgress();
  throw new LenscapError('DEVICE_OFFLINE', `it has not applied version ${version} in ${seconds} s`);
}

function isAnswered({ shared, reported, version: wanted }: ConfigState, version: number): boolean {
  if (!shared || version === 0)
    throw new LenscapError(
      'CONSENT_MISSING',
      shared
        ? 'nothing was ever changed, so nothing is answered'
        : 'whether it is applied is not known, since you share no device information',
    );
  if (!reported || reported.version < version) return false;
  const { state, code, detail, faults } = reported;
  if (state === 'applied') return true;
  if (state === 'accepted') return false;
  const lines = faults.map(({ path, message }) => `\n  ${path}: ${message}`).join('');
  const what = `version ${reported.version} was ${state}${wanted > version ? ', a later one' : ''}`;
  throw new LenscapError(
    state === 'rejected' ? 'CONFIG_INVALID' : 'CONFIG_UNHEALTHY',
    `${what}: ${[code, detail].filter(Boolean).join(': ')}${lines}`,
  );
}
