// Commands about claiming: a setup code made, shown once, waited for; and boards claimed by a label.
import { setTimeout as sleep } from 'node:timers/promises';
import type { Command } from 'commander';
import { type ErrorCode, LenscapError } from '../../../proto/errors.ts';
import type { Client } from '../client.ts';
import { writeWhole } from '../credentials.ts';
import type { Claim, MadeClaim } from '../device-answers.ts';
import { connect, findDevice, type Session } from '../session.ts';
import { duration } from '../times.ts';

const POLL_MS = 1000;
/** States in which a code is at its end without a camera, as errors. */
const ENDS: Readonly<Record<string, ErrorCode>> = {
  expired: 'CLAIM_EXPIRED',
  void: 'CLAIM_EXHAUSTED',
  cancelled: 'CLAIM_REFUSED',
};

interface NewOptions {
  readonly name?: string;
  readonly device?: string;
  readonly png?: string;
  readonly svg?: string;
  readonly qr: boolean;
  readonly wait?: boolean;
  readonly json?: boolean;
}

export function claimCommands(program: Command, session: Session): void {
  const server = (): string | undefined => program.opts<{ server?: string }>().server;
  const claim = program.command('claim').description('make a camera yours');
  claim
    .command('new')
    .description('make a setup code for a camera; it is shown once and ends soon')
    .option('--name <name>', 'what the camera is to be called')
    .option('--device <device>', 'let this camera of yours in again; it keeps id and recordings')
    .option('--png <file>', 'write the QR code as PNG')
    .option('--svg <file>', 'write the QR code as SVG')
    .option('--no-qr', 'no QR code in the terminal')
    .option('--wait', 'wait until the camera is there')
    .option('--json', 'as JSON; with --wait the camera follows as a second document')
    .addHelpText(
      'after',
      '\nExamples:\n  lenscap claim new --name garden --wait\n  lenscap claim new --device garden',
    )
    .action((options: NewOptions) => make(session, server(), options));
  claim
    .command('label')
    .description('claim a camera by the code on its label')
    .argument('<code>', 'as printed; case, spaces and hyphens do not matter')
    .requiredOption('--name <name>', 'what the camera is to be called')
    .option('--json', 'as JSON')
    .action(async (code: string, { name, json }: { name: string; json?: boolean }) => {
      const claimed = await (await connect(session, server())).claimLabel(code, name);
      if (json) return session.terminal.json(claimed);
      const { serial, model } = claimed;
      session.terminal.print(`${name} is yours: ${model}, serial number ${serial}`);
      session.terminal.print('It gets its identity when it is switched on and connected.');
    });
  keepingCommands(claim, session, server);
}

function keepingCommands(claim: Command, session: Session, server: () => string | undefined): void {
  const { terminal, nowMs } = session;
  claim
    .command('list')
    .description('your setup codes of the last days, without the codes themselves')
    .option('--json', 'as JSON')
    .action(async ({ json }: { json?: boolean }) => {
      const found = await (await connect(session, server())).claims();
      if (json) return terminal.json(found);
      if (found.length === 0)
        return terminal.note('no setup codes; see `lenscap claim new --help`');
      terminal.table([
        ['ID', 'NAME', 'STATE', 'ENDS', 'FAILED', 'LAST FAILURE', 'CAMERA'],
        ...found.map((row) => [
          row.claimId,
          row.name,
          row.state,
          row.state === 'open' ? left(row.expiresAt, nowMs()) : '',
          String(row.failures),
          row.lastFailure ?? '',
          row.deviceId ?? '',
        ]),
      ]);
    });
  claim
    .command('cancel')
    .description('cancel a setup code')
    .argument('<id>', 'as `claim list` shows it')
    .action(async (id: string) => {
      await (await connect(session, server())).cancelClaim(id);
      terminal.print(`${id} is cancelled`);
    });
}

async function make(
  session: Session,
  server: string | undefined,
  options: NewOptions,
): Promise<void> {
  const { terminal } = session;
  const client = await connect(session, server);
  const made = await client.newClaim(await requestOf(client, options));
  const { png, svg } = made.qr;
  if (options.json) terminal.json(made);
  else await show(session, made, options.qr);
  // After it was shown: a file that cannot be written does not cost the code.
  if (options.png !== undefined) await writeSecret(options.png, Buffer.from(png, 'base64'));
  if (options.svg !== undefined) await writeSecret(options.svg, svg);
  if (!options.wait) return;
  const { deviceId } = await arrival(session, client, made);
  const device = await client.device(deviceId ?? '');
  if (options.json) terminal.json(device);
  else terminal.print(`${device.name} is yours: ${device.id}`);
}

async function requestOf(
  client: Client,
  { name, device }: NewOptions,
): Promise<{ name: string; deviceId?: string }> {
  if (device !== undefined) {
    const found = await findDevice(client, device);
    return { name: name ?? found.name, deviceId: found.id };
  }
  if (name === undefined)
    throw new LenscapError(
      'REQUEST_INVALID',
      'say --name NAME for a new camera, or --device ID for one of yours',
    );
  return { name };
}

async function show(
  { terminal, nowMs }: Session,
  { code, expiresAt, claimId }: MadeClaim,
  withQr: boolean,
): Promise<void> {
  if (withQr) {
    // Loaded when needed: every other command starts quicker without it.
    const { qrCharacters } = await import('../qr.ts');
    terminal.picture(await qrCharacters(code));
  }
  terminal.print(`Setup code: ${code}`);
  terminal.print(`It ends in ${left(expiresAt, nowMs())} (${expiresAt}) and works once.`);
  terminal.print('Whoever has it can make a camera yours; it is not shown again.\n');
  terminal.print('On the board, one of:');
  terminal.print(`  type         lenscap-agent claim ${code}`);
  terminal.print(
    `  show         ${withQr ? 'this QR code' : 'the QR code (--png, --svg)'} to its lens, a hand's width away`,
  );
  terminal.print('  plug in      a USB stick with the code in a file lenscap-claim.txt');
  terminal.print(`\nTo cancel it: lenscap claim cancel ${claimId}`);
}

/** Polls until the camera has connected with what it was issued. */
async function arrival(
  { terminal, signal, nowMs }: Session,
  client: Client,
  { claimId, expiresAt }: MadeClaim,
): Promise<Claim> {
  let failures = 0;
  for (;;) {
    const claim = (await client.claims()).find((row) => row.claimId === claimId);
    if (claim?.state !== 'open' && claim?.state !== 'answered') {
      terminal.endProgress();
      return arrived(claimId, claim);
    }
    if (claim.failures > failures)
      terminal.note(`a board was refused: ${claim.lastFailure ?? 'wrong code'}`);
    failures = claim.failures;
    terminal.progress(
      claim.state === 'answered'
        ? 'the board has its identity; waiting until it connects with it'
        : `waiting for the board; ${left(expiresAt, nowMs())} left`,
    );
    await sleep(POLL_MS, undefined, { signal }).catch(() => {
      const detail = `no longer waited for; the code works until ${expiresAt}`;
      throw new LenscapError('REQUEST_INVALID', detail);
    });
  }
}

/** @throws CLAIM_EXPIRED, CLAIM_EXHAUSTED, CLAIM_REFUSED where it ended without a camera. */
function arrived(claimId: string, claim: Claim | undefined): Claim {
  if (claim?.state === 'used') return claim;
  const state = claim?.state ?? 'gone';
  throw new LenscapError(ENDS[state] ?? 'CLAIM_REFUSED', `${claimId} is ${state}; make a new one`);
}

/** For its owner alone: the picture is the code. */
async function writeSecret(path: string, content: string | Buffer): Promise<void> {
  await writeWhole(path, content, 0o600).catch((cause: unknown) => {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new LenscapError('REQUEST_INVALID', `${path} cannot be written: ${why}`, { cause });
  });
}

function left(expiresAt: string, nowMs: number): string {
  return duration(Math.max(0, Date.parse(expiresAt) - nowMs) * 1000);
}
