#!/usr/bin/env node
// The command line of the agent: the only file of it that reads arguments, takes signals and exits.
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline/promises';
import { Command } from 'commander';
import type { Logger } from 'pino';
import type { AgentConfig } from '../proto/agent-config.ts';
import { ERRORS, LenscapError, toLenscapError } from '../proto/errors.ts';
import { runAgent } from './agent.ts';
import { lightOff } from './board/commands.ts';
import { KnownTime, systemClock } from './clock.ts';
import { showConfiguration } from './config/commands.ts';
import { loadAgentConfig } from './config/load.ts';
import { type CommandDeps, claimBoard, resetBoard } from './identity/commands.ts';
import { keepOutOfCoreDumps } from './identity/core-dump.ts';
import { findIdentity, loadFactoryIdentity } from './identity/identity.ts';
import type { Journal } from './journal/journal.ts';
import { makeLog } from './journal/logger.ts';
import { makeJournal } from './journal/made.ts';
import { Notifier } from './service/notifier.ts';
import { checkSpool, listSpool } from './spool/commands.ts';
import { RELEASED_AT_US, readVersion } from './version.ts';

const USAGE_EXIT = 64;
const SIGNAL_EXIT = 128;
/** Signals that ask for an orderly end, with their numbers. */
const STOP_SIGNALS = { SIGINT: 2, SIGTERM: 15 } as const;

interface Options {
  readonly config: string;
}

interface JsonOptions extends Options {
  readonly json?: true;
}

function main(): void {
  keepOutOfCoreDumps();
  const program = new Command('lenscap-agent')
    .description(
      'Records a camera to its cloud, while its owner consents. Until then, and after a\n' +
        'withdrawal, the lens cap is on: the camera and the microphone are not opened.',
    )
    .version(readVersion(), '--version', 'print the version')
    .helpOption('--help', 'print this help')
    .helpCommand(false)
    .exitOverride(({ exitCode }) => process.exit(exitCode === 0 ? 0 : USAGE_EXIT))
    .addHelpText(
      'after',
      '\nExit status: 0 done, or stopped as asked; 64 wrong usage, 65 the code cannot be read,\n' +
        '69 or 75 the server or the agent is not to be had now, 70 a bug, 73 the board has an\n' +
        'identity, 74 the state folder cannot be used or the spool is damaged, 77 refused,\n' +
        '78 the configuration or the identity is not valid (restarting does not help).',
    );
  withConfig(program.command('run'), 'capture and send until SIGTERM or SIGINT').action(run);
  withConfig(
    program.command('check'),
    'check the configuration and the identity, name every fault, change nothing',
  ).action(check);
  withConfig(
    program.command('claim').argument('<code...>', 'setup code; - reads it from standard input'),
    'get an identity from the server that the setup code of the owner names',
  ).action(claim);
  withConfig(program.command('reset'), 'forget the owner: queue, consent and identity')
    .option('--yes', 'do not ask')
    .action(reset);
  const spool = program
    .command('spool')
    .description('look at what waits on flash, change nothing')
    .helpCommand(false);
  const asJson = ['--json', 'print one JSON document'] as const;
  withConfig(spool.command('list'), 'list the records, without opening their media')
    .option(...asJson)
    .action(({ config, json }: JsonOptions) =>
      listSpool(loadAgentConfig(config).stateDir, json === true, say),
    );
  withConfig(spool.command('check'), 'open every record with its media, name each damaged one')
    .option(...asJson)
    .action(({ config, json }: JsonOptions) =>
      checkSpool(loadAgentConfig(config).stateDir, json === true, say),
    );
  addLightCommand(program);
  const pushed = program
    .command('config')
    .description('look at what was pushed to the board, change nothing')
    .helpCommand(false);
  withConfig(pushed.command('show'), 'print the version, what became of it, settings in force')
    .option(...asJson)
    .action(({ config, json }: JsonOptions) =>
      showConfiguration(loadAgentConfig(config), json === true, say),
    );
  program.parseAsync().catch((error: unknown) => fail(error));
}

function addLightCommand(program: Command): void {
  const light = program
    .command('light')
    .description('the indicator light, while no agent runs')
    .helpCommand(false);
  withConfig(light.command('off'), 'turn it off after an agent that ended without doing so').action(
    turnLightOff,
  );
}

function withConfig(command: Command, description: string): Command {
  return command
    .description(description)
    .requiredOption('--config <file>', 'configuration file (JSON)');
}

async function run({ config: path }: Options): Promise<void> {
  const config = loadAgentConfig(path);
  const { log, setLevel, journal } = makeJournal(config);
  endOnBug(log, journal);
  log.info({ version: readVersion(), source: config.source.type }, 'started');
  const notifier = new Notifier({ socket: process.env.NOTIFY_SOCKET, log });
  const stop = stopSignal(log);
  stop.addEventListener('abort', () => void notifier.tell('STOPPING=1'), { once: true });
  void notifier.tell('READY=1');
  await runAgent(config, log, stop, {
    notifier,
    watchdogPeriodMs: periodOf(process.env.WATCHDOG_USEC),
    journal,
    setLogLevel: setLevel,
    onReload: (take) => onReload(path, take, notifier, log),
  });
  log.info('stopped');
  journal.flush();
  process.exit(0);
}

/** Half of what the service manager waits for a sign of life, milliseconds; null: it does not wait. */
function periodOf(watchdogUsec: string | undefined): number | null {
  const usec = Number(watchdogUsec);
  return Number.isSafeInteger(usec) && usec > 0 ? usec / 2000 : null;
}

/** SIGHUP: the configuration file is read again. One that is not valid changes nothing. */
function onReload(
  path: string,
  take: (config: AgentConfig) => void,
  notifier: Notifier,
  log: Logger,
): () => void {
  const reload = () => {
    void notifier.tell('RELOADING=1');
    try {
      const config = loadAgentConfig(path);
      log.info('the configuration file was read again');
      take(config);
    } catch (error) {
      const { code, message } = toLenscapError(error, 'CONFIG_INVALID');
      log.error({ code }, `${message}; the configuration in force stays`);
    }
    void notifier.tell('READY=1');
  };
  process.on('SIGHUP', reload);
  return () => process.off('SIGHUP', reload);
}

function check({ config: path }: Options): void {
  const config = loadAgentConfig(path);
  if (config.factory !== null) {
    const { serial, server } = loadFactoryIdentity(config.factory);
    say(`${config.factory}: board ${serial}, server ${server.host}:${server.port}`);
  }
  const identity = findIdentity(config.identity);
  say(`${path}: valid`);
  if (identity === null) {
    say(`${config.identity}: no identity yet`);
    return;
  }
  const { deviceId, server, certificateEndsAtUs } = identity;
  const until = new Date(certificateEndsAtUs / 1000).toISOString();
  say(
    `${config.identity}: ${deviceId}, server ${server.host}:${server.port}, certificate until ${until}`,
  );
}

async function claim(words: readonly string[], { config }: Options): Promise<void> {
  const text = words.join(' ') === '-' ? readFileSync(0, 'utf8') : words.join(' ');
  const deps = commandDeps(config);
  await claimBoard(deps, text, stopSignal(deps.log));
  process.exit(0);
}

async function reset({ config, yes }: Options & { readonly yes?: true }): Promise<void> {
  const deps = commandDeps(config);
  if (yes !== true && !(await isSure()))
    throw new LenscapError('REQUEST_INVALID', 'not confirmed; say yes, or give --yes');
  await resetBoard(deps, stopSignal(deps.log));
  process.exit(0);
}

async function turnLightOff({ config }: Options): Promise<void> {
  await lightOff(loadAgentConfig(config), say);
  // A lamp that does not answer would keep the process.
  process.exit(0);
}

async function isSure(): Promise<boolean> {
  if (!process.stdin.isTTY) return false;
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  const answer = await terminal.question(
    'All recordings that wait, the consent and the identity are erased from this board. Sure? [yes/no] ',
  );
  terminal.close();
  return answer.trim() === 'yes';
}

function commandDeps(path: string): CommandDeps {
  const time = new KnownTime(systemClock, RELEASED_AT_US);
  return { config: loadAgentConfig(path), time, log: makeLog('warn', null).log, say };
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

/** Aborted by the first signal that asks for an end; the second one ends the process. */
function stopSignal(log: Logger): AbortSignal {
  const stop = new AbortController();
  for (const [name, number] of Object.entries(STOP_SIGNALS))
    process.on(name, () => {
      if (stop.signal.aborted) process.exit(SIGNAL_EXIT + number);
      log.info({ signal: name }, 'stopping');
      stop.abort(new LenscapError('UPLINK_LOST', `stopped by ${name}`));
    });
  return stop.signal;
}

/** A state nobody thought of is left at once; the service manager starts anew. */
function endOnBug(log: Logger, journal: Pick<Journal, 'flush'>): void {
  const end = (error: unknown) => {
    log.fatal({ err: error, code: 'BUG' }, ERRORS.BUG.message);
    journal.flush(true);
    process.exit(ERRORS.BUG.exit);
  };
  process.on('uncaughtException', end);
  process.on('unhandledRejection', end);
}

function fail(error: unknown): void {
  const { code, message } = toLenscapError(error);
  process.stderr.write(`lenscap-agent: ${message}\n`);
  process.exit(ERRORS[code].exit);
}

main();
