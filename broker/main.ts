#!/usr/bin/env node
// lenscap-server: the composition root of the cloud side, and the operator's command line.
import { readFileSync } from 'node:fs';
import { Command } from 'commander';
import { pino } from 'pino';
import manifest from '../package.json' with { type: 'json' };
import { ERRORS, LenscapError, toLenscapError } from '../proto/errors.ts';
import { readServerConfig } from './installation.ts';
import { type Common, deviceVerbs, fleetVerbs, opened, verb } from './operator/commands.ts';
import { rolloutVerbs } from './operator/rollout-commands.ts';
import { addAccount, verify, withInstallation } from './operator.ts';
import { serve } from './serve.ts';
import type { Report } from './store/findings.ts';

const print = (line: string): void => {
  process.stdout.write(`${line}\n`);
};

function secretFrom(file: string): string {
  const text = readFileSync(file === '-' ? 0 : file, 'utf8');
  return text.replace(/\r?\n$/, '');
}

function stopSignal(): AbortSignal {
  const stop = new AbortController();
  for (const name of ['SIGTERM', 'SIGINT'] as const)
    process.once(name, () => {
      stop.abort();
      // Whoever asks twice does not want to wait.
      process.once(name, () => process.exit(130));
    });
  process.on('SIGHUP', () => undefined);
  return stop.signal;
}

async function runServer({ data, config: file }: Common): Promise<void> {
  const config = await readServerConfig(data, file);
  const log = pino(
    { level: config.log.level, base: null },
    pino.destination({ dest: 2, sync: true }),
  );
  await serve(data, config, log, stopSignal(), ({ mqttPort, httpUrl, metricsUrl }) => {
    print(`devices: mqtts://${config.mqtt.publicHost}:${mqttPort}`);
    print(`owners:  ${httpUrl}`);
    print(`figures: ${metricsUrl}`);
  });
}

type VerifyAsked = Common & { json?: true; repair?: true; acceptLoss?: true };

async function runVerify({ data, config: file, json, ...asked }: VerifyAsked): Promise<void> {
  const options = { repair: asked.repair === true, acceptLoss: asked.acceptLoss === true };
  if (options.acceptLoss && !options.repair)
    throw new LenscapError('REQUEST_INVALID', '--accept-loss goes with --repair');
  const config = await readServerConfig(data, file);
  const progress = (segments: number): void => {
    if (process.stderr.isTTY) process.stderr.write(`\r${segments} segments checked`);
  };
  const report = await withInstallation(data, config, (installation) =>
    verify(installation, progress, options),
  );
  for (const line of json ? [JSON.stringify(report, null, 2)] : reportLines(report)) print(line);
  if (report.faults.length > 0) process.exitCode = ERRORS.STORE_CORRUPT.exit;
}

function reportLines({ faults, leftOver, mended, remedies, ...counts }: Report): string[] {
  return [
    ...mended.map((line) => `mended: ${line}`),
    ...faults.map((fault) => `FAULT ${fault}`),
    ...leftOver.map((line) => `left over: ${line}`),
    ...remedies.map((remedy) => `to do about ${remedy}`),
    `${counts.segments} segments, ${counts.snapshots} snapshots, ${counts.bytes} bytes, ${mended.length} mended, ${faults.length} faults, ${leftOver.length} left over`,
  ];
}

function accountVerbs(program: Command): void {
  const account = program.command('account').description("owners' accounts");
  verb(account, 'add', 'make an account for an owner; prints its id')
    .argument('<email>', 'e-mail address of the owner')
    .requiredOption('--password-file <file>', 'file with the password, or - for standard input')
    .action(async (email: string, options: Common & { passwordFile: string }) => {
      const config = await readServerConfig(options.data, options.config);
      const password = secretFrom(options.passwordFile);
      print(
        await withInstallation(
          options.data,
          config,
          (house) => addAccount(house, email, password),
          {
            mayMake: true,
          },
        ),
      );
    });
}

function policyVerbs(program: Command): void {
  const policy = program.command('policy').description('what owners consent to');
  verb(policy, 'publish', 'publish a policy; suspends what it widens until owners agree anew')
    .argument('<file>', 'policy as JSON; see broker/consent/default-policy.json')
    .action(async (file: string, options: Common) => {
      const config = await readServerConfig(options.data, options.config);
      const bytes = readFileSync(file, 'utf8');
      const { policy: published, suspended } = await withInstallation(
        options.data,
        config,
        (house) => house.consent.publish(bytes, { actor: 'operator', how: 'policy publish' }),
      );
      print(`version ${published.document.version}, SHA-256 ${published.sha256}`);
      print(`${suspended.length} devices wait for their owner's consent: ${suspended.join(' ')}`);
    });
}

process.umask(0o077);
// Whoever reads the output may stop reading.
process.stdout.on('error', () => process.exit(0));
const program = new Command('lenscap-server')
  .description(
    'Takes in what cameras record with the consent of their owners, and gives it back to them.',
  )
  .version(manifest.version)
  .showHelpAfterError()
  .exitOverride(({ exitCode }) => process.exit(exitCode === 0 ? 0 : ERRORS.REQUEST_INVALID.exit));
verb(program, 'serve', 'run the server; the first start makes authority, keys and database').action(
  runServer,
);
accountVerbs(program);
const desk = { print, opened };
deviceVerbs(program, desk);
fleetVerbs(program, desk);
rolloutVerbs(program, desk);
policyVerbs(program);
verb(program, 'verify', 'compare index, objects and ledger and report every disagreement')
  .option('--repair', 'mend what is safe to mend; the server has to be stopped')
  .option('--accept-loss', 'with --repair: note as lost what only a backup could bring back')
  .option('--json', 'as JSON')
  .action(runVerify);

try {
  await program.parseAsync();
} catch (thrown) {
  const error = toLenscapError(thrown);
  const trace = error.code === 'BUG' ? `\n${error.stack}` : '';
  process.stderr.write(`lenscap-server: ${error.code}: ${error.message}${trace}\n`);
  // Not by the exit code alone: whatever was started before the fault is not waited for.
  process.exit(ERRORS[error.code].exit);
}
