// Commands about consent. Granting shows what is consented to and wants a typed yes, or the version
// of the policy in scripts; nothing is selected beforehand. Withdrawing asks nothing.
import { readFile } from 'node:fs/promises';
import type { Command } from 'commander';
import { LenscapError } from '../../../proto/errors.ts';
import { SCOPES } from '../../../proto/scopes.ts';
import type { ConsentState, PolicyAnswer } from '../consent-answers.ts';
import { writeWhole } from '../credentials.ts';
import { connect, findDevice, type Session } from '../session.ts';

export function consentCommands(program: Command, session: Session): void {
  const server = (): string | undefined => program.opts<{ server?: string }>().server;
  const consent = program.command('consent').description('show, give and withdraw consent');
  const device = ['<device>', 'id or name of a camera'] as const;
  const kinds = `kinds of data: ${SCOPES.join(', ')}`;
  consent
    .command('show')
    .description('what you have consented to')
    .argument(...device)
    .option('--json', 'as JSON')
    .action(async (named: string, { json }: { json?: boolean }) => {
      const client = await connect(session, server());
      const state = await client.consent((await findDevice(client, named)).id);
      if (json) session.terminal.json(state);
      else showState(session, state);
    });
  consent
    .command('grant')
    .description('consent to kinds of data, besides those given before')
    .argument(...device)
    .argument('<scopes...>', kinds)
    .option('--agree <version>', 'agree to this version of the policy without being asked')
    .addHelpText('after', '\nExample:\n  lenscap consent grant "Front door" video audio')
    .action((named: string, scopes: string[], { agree }: { agree?: string }) =>
      grant(session, server(), named, scopes, agree),
    );
  consent
    .command('withdraw')
    .description('withdraw kinds of data, or everything; takes effect at once')
    .argument(...device)
    .argument('[scopes...]', kinds)
    .action(async (named: string, scopes: string[]) => {
      checkScopes(scopes);
      const client = await connect(session, server());
      const { id } = await findDevice(client, named);
      showState(session, await client.withdraw(id, scopes.length > 0 ? scopes : undefined));
    });
  recordCommands(consent, session, server);
}

function recordCommands(
  consent: Command,
  session: Session,
  server: () => string | undefined,
): void {
  const { terminal } = session;
  consent
    .command('log')
    .description('every record of your consent')
    .argument('<device>', 'id or name of a camera')
    .option('--json', 'as JSON')
    .action(async (named: string, { json }: { json?: boolean }) => {
      const client = await connect(session, server());
      const records = await client.consentLog((await findDevice(client, named)).id);
      if (json) return terminal.json(records);
      terminal.table([
        ['EPOCH', 'AT', 'EVENT', 'IN FORCE', 'POLICY', 'BY'],
        ...records.map(({ epoch, at, event, scopes, policy, actor, how }) => [
          String(epoch),
          at,
          event,
          scopes.join(',') || 'nothing',
          policy ? `version ${policy.version}` : '',
          `${actor} (${how})`,
        ]),
      ]);
    });
  consent
    .command('receipt')
    .description('take along the proof of your consent, or check one')
    .argument('[device]', 'id or name of a camera')
    .option('-o, --output <file>', 'write it to a file')
    .option('--check <file>', 'check a receipt, without any server')
    .action(async (named: string | undefined, options: { output?: string; check?: string }) => {
      if (options.check !== undefined) return checkFile(session, options.check);
      if (named === undefined)
        throw new LenscapError('REQUEST_INVALID', 'name a camera, or a file with --check');
      const client = await connect(session, server());
      const receipt = await client.receipt((await findDevice(client, named)).id);
      if (options.output === undefined) return terminal.json(receipt);
      await writeWhole(options.output, `${JSON.stringify(receipt, null, 2)}\n`);
      terminal.print(`${options.output}: ${receipt.chain.length} records of ${receipt.deviceId}`);
    });
}

async function grant(
  session: Session,
  server: string | undefined,
  named: string,
  scopes: readonly string[],
  agree: string | undefined,
): Promise<void> {
  checkScopes(scopes);
  const client = await connect(session, server);
  const { id, name } = await findDevice(client, named);
  const policy = await client.policy();
  session.terminal.print(`For ${name} (${id}) you are asked to consent to:\n`);
  showPolicy(session, policy, scopes);
  await agreed(session, policy, agree);
  showState(session, await client.grant(id, scopes, policy.sha256));
}

/** @throws CONSENT_MISSING, POLICY_STALE, REQUEST_INVALID. */
async function agreed(
  { terminal }: Session,
  { version }: PolicyAnswer,
  agree: string | undefined,
): Promise<void> {
  if (agree === String(version)) return;
  if (agree !== undefined)
    throw new LenscapError('POLICY_STALE', `version ${version} is in force, not ${agree}; read it`);
  if (!terminal.isInteractive)
    throw new LenscapError('CONSENT_MISSING', `read the policy and say --agree ${version}`);
  const answer = await terminal.question('Do you consent? Type yes, or anything else for no: ');
  if (answer !== 'yes') throw new LenscapError('CONSENT_MISSING', 'nothing has changed');
}

function checkScopes(scopes: readonly string[]): void {
  const unknown = scopes.find((scope) => !(SCOPES as readonly string[]).includes(scope));
  if (unknown !== undefined)
    throw new LenscapError('REQUEST_INVALID', `no kind of data: ${unknown}; ${SCOPES.join(', ')}`);
}

function showPolicy({ terminal }: Session, policy: PolicyAnswer, scopes: readonly string[]): void {
  terminal.print(`${policy.document.title}, version ${policy.version}`);
  terminal.print(`SHA-256 ${policy.sha256}; the whole text: lenscap policy\n`);
  for (const scope of scopes) {
    const found = policy.document.scopes[scope];
    if (!found) continue;
    const { purpose, fields, retentionDays, recipients } = found;
    terminal.print(`${scope}: ${purpose}`);
    terminal.print(`  what: ${fields.join('; ')}`);
    terminal.print(`  how long: ${retentionDays === 0 ? 'not kept' : `${retentionDays} days`}`);
    terminal.print(`  who gets it: ${recipients.join('; ') || 'nobody but you'}\n`);
  }
}

function showState({ terminal }: Session, state: ConsentState): void {
  const { scopes, epoch, policy, policyInForce, appliedEpoch, event, at } = state;
  const isOff = scopes.includes('video') || scopes.includes('snapshot');
  terminal.print(`cap: ${isOff ? 'off' : 'on'}`);
  terminal.print(`in force: ${scopes.join(', ') || 'nothing'}`);
  terminal.print(`since: ${at} (${event}, epoch ${epoch})`);
  if (policy) terminal.print(`policy agreed to: version ${policy.version}`);
  if (policy?.sha256 !== policyInForce.sha256)
    terminal.print(`policy now: version ${policyInForce.version}`);
  terminal.print(
    appliedEpoch >= epoch
      ? 'the camera has confirmed it'
      : 'the camera has not confirmed it yet; the server takes in nothing beyond it',
  );
}

async function checkFile({ terminal }: Session, path: string): Promise<void> {
  const content = await readFile(path, 'utf8').catch((error: unknown) => {
    throw new LenscapError('REQUEST_INVALID', `${path} cannot be read`, { cause: error });
  });
  // Loaded when needed: every other command starts quicker without it.
  const { checkReceipt } = await import('../receipt-check.ts');
  const { deviceId, records, keyId, faults } = checkReceipt(content, path);
  if (faults.length > 0) throw new LenscapError('REQUEST_INVALID', `${path}: ${faults.join('; ')}`);
  terminal.print(`${path}: sound; ${records} records of ${deviceId}, signed by key ${keyId}`);
}
