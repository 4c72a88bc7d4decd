#!/usr/bin/env node
// The command line of the agent: the only file of it that reads arguments, takes signals and exits.
import { readFileSync } from 'node:fs';
import { Command } from 'commander';
import { type Logger, pino } from 'pino';
import { ERRORS, toLenscapError } from '../proto/errors.ts';
import { runAgent } from './agent.ts';
import { loadAgentConfig } from './config/load.ts';
import { type Identity, loadIdentity } from './identity/identity.ts';

const USAGE_EXIT = 64;
const SIGNAL_EXIT = 128;
const DAY_MS = 86_400_000;
const WARN_BEFORE_MS = 30 * DAY_MS;
/** Signals that ask for an orderly end, with their numbers. */
const STOP_SIGNALS = { SIGINT: 2, SIGTERM: 15 } as const;

function main(): void {
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
      '\nExit status: 0 stopped as asked, 64 wrong usage, 70 a bug, 74 the state folder cannot be\n' +
        'used, 78 the configuration or the identity is not valid (restarting does not help).',
    );
  program
    .command('run')
    .description('capture and send until SIGTERM or SIGINT; a second signal ends it at once')
    .requiredOption('--config <file>', 'configuration file (JSON)')
    .action(({ config }: { config: string }) => run(config));
  program
    .command('check')
    .description(
      'check the configuration and the identity bundle, name every fault, change nothing',
    )
    .requiredOption('--config <file>', 'configuration file (JSON)')
    .action(({ config }: { config: string }) => check(config));
  program.parseAsync().catch((error: unknown) => fail(error));
}

async function run(configPath: string): Promise<void> {
  const config = loadAgentConfig(configPath);
  const identity = loadIdentity(config.identity);
  const log = makeLog(config.log.level).child({ deviceId: identity.deviceId });
  endOnBug(log);
  warnOfOldCertificate(identity, log);
  log.info({ version: readVersion(), source: config.source.type }, 'started');
  await runAgent(config, identity, log, stopSignal(log));
  log.info('stopped');
  process.exit(0);
}

function check(configPath: string): void {
  const config = loadAgentConfig(configPath);
  const { deviceId, server, certificateEndsAtUs } = loadIdentity(config.identity);
  const until = new Date(certificateEndsAtUs / 1000).toISOString();
  process.stdout.write(
    `${configPath}: valid\n${config.identity}: ${deviceId}, server ${server.host}:${server.port}, certificate until ${until}\n`,
  );
}

/** Aborted by the first signal that asks for an end; the second one ends the process. */
function stopSignal(log: Logger): AbortSignal {
  const stop = new AbortController();
  for (const [name, number] of Object.entries(STOP_SIGNALS))
    process.on(name, () => {
      if (stop.signal.aborted) process.exit(SIGNAL_EXIT + number);
      log.info({ signal: name }, 'stopping');
      stop.abort();
    });
  process.on('SIGHUP', () => log.debug('SIGHUP is ignored'));
  return stop.signal;
}

/** A state nobody thought of is left at once; the service manager starts anew. */
function endOnBug(log: Logger): void {
  const end = (error: unknown) => {
    log.fatal({ err: error, code: 'BUG' }, ERRORS.BUG.message);
    process.exit(ERRORS.BUG.exit);
  };
  process.on('uncaughtException', end);
  process.on('unhandledRejection', end);
}

/** At start and once a day, from a month before the end on. */
function warnOfOldCertificate({ certificateEndsAtUs }: Identity, log: Logger): void {
  const warn = () => {
    const leftMs = certificateEndsAtUs / 1000 - Date.now();
    const until = new Date(certificateEndsAtUs / 1000).toISOString();
    if (leftMs < 0)
      log.warn({ until }, 'the certificate has ended, or the clock is wrong; get a new bundle');
    else if (leftMs < WARN_BEFORE_MS)
      log.warn({ until }, 'the certificate ends soon; ask the operator for a new bundle');
  };
  warn();
  setInterval(warn, DAY_MS).unref();
}

function makeLog(level: string): Logger {
  return pino(
    {
      level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      redact: ['privateKey', '*.privateKey', 'password', '*.password', 'identity', 'payload'],
    },
    pino.destination({ fd: 2, sync: true }),
  );
}

function fail(error: unknown): void {
  const { code, message } = toLenscapError(error);
  process.stderr.write(`lenscap-agent: ${message}\n`);
  process.exit(ERRORS[code].exit);
}

function readVersion(): string {
  const text = readFileSync(new URL('../package.json', import.meta.url), 'utf8');
  const manifest: unknown = JSON.parse(text);
  const hasVersion = typeof manifest === 'object' && manifest !== null && 'version' in manifest;
  return hasVersion ? String(manifest.version) : 'unknown';
}

main();
