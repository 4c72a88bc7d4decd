#!/usr/bin/env node
// lenscap-server: the composition root of the cloud side, and the operator's command line.
import { readFileSync } from 'node:fs';
import { Command } from 'commander';
import { pino } from 'pino';
import manifest from '../package.json' with { type: 'json' };
import { ERRORS, toLenscapError } from '../proto/errors.ts';
import { readServerConfig } from './installation.ts';
import {
  addAccount,
  addDevice,
  listDevices,
  revokeDevice,
  verify,
  withInstallation,
} from './operator.ts';
import { serve } from './serve.ts';

interface Common {
  readonly data: string;
  readonly config?: string;
}

const print = (line: string): void => {
  process.stdout.write(`${line}\n`);
};

function verb(parent: Command, name: string, description: string): Command {
  return parent
    .command(name)
    .description(description)
    .requiredOption('--data <dir>', 'data folder; made on first use')
    .option('--config <file>', 'configuration; default: config.json in the data folder');
}

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
  await serve(data, config, log, stopSignal(), ({ mqttPort, httpUrl }) => {
    print(`devices: mqtts://${config.mqtt.publicHost}:${mqttPort}`);
    print(`owners:  ${httpUrl}`);
  });
}

async function runVerify({ data, config: file, json }: Common & { json?: true }): Promise<void> {
  const config = await readServerConfig(data, file);
  const report = await withInstallation(data, config, (installation) =>
    verify(installation, (segments) => {
      if (process.stderr.isTTY) process.stderr.write(`\r${segments} segments checked`);
    }),
  );
  if (json) print(JSON.stringify(report, null, 2));
  else {
    for (const fault of report.faults) print(`FAULT ${fault}`);
    for (const blobId of report.leftOver)
      print(`left over from a crash, never acknowledged: ${blobId}`);
    print(
      `${report.segments} segments, ${report.bytes} bytes, ${report.faults.length} faults, ${report.leftOver.length} left over`,
    );
  }
  if (report.faults.length > 0) process.exitCode = ERRORS.STORE_CORRUPT.exit;
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

function deviceVerbs(program: Command): void {
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
        print(
          await withInstallation(options.data, config, (house) =>
            addDevice(house, config, { email, name, out, server }),
          ),
        );
      },
    );
  verb(device, 'list', 'list devices: certificates and connections, no media, no consent')
    .option('--json', 'as JSON')
    .action(async (options: Common & { json?: true }) => {
      const config = await readServerConfig(options.data, options.config);
      const devices = await withInstallation(options.data, config, listDevices);
      if (options.json) print(JSON.stringify(devices, null, 2));
      else
        for (const { deviceId, name, account: email, lastSeenAt, certificateEnd } of devices)
          print(
            `${deviceId}  ${name}  ${email}  seen ${lastSeenAt ?? 'never'}  certificate ${certificateEnd ?? 'revoked'}`,
          );
    });
  verb(device, 'revoke', 'revoke the certificate of a device; it is cut off within a second')
    .argument('<device>', 'device id')
    .action(async (deviceId: string, options: Common) => {
      const config = await readServerConfig(options.data, options.config);
      const count = await withInstallation(options.data, config, (house) =>
        revokeDevice(house, deviceId),
      );
      print(`${count} certificates revoked`);
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
deviceVerbs(program);
policyVerbs(program);
verb(program, 'verify', 'compare index, objects and ledger and report every disagreement')
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
