// Commands about the account: log in and out, policy.
import { readFile } from 'node:fs/promises';
import type { Command } from 'commander';
import { LenscapError } from '../../../proto/errors.ts';
import { Client } from '../client.ts';
import { connect, type Session } from '../session.ts';

export function accountCommands(program: Command, session: Session): void {
  const server = (): string | undefined => program.opts<{ server?: string }>().server;
  program
    .command('login')
    .description('log in; the token is kept for the other commands')
    .argument('<url>', 'address of the server')
    .requiredOption('--email <address>', 'address of the account')
    .option('--password-file <file>', 'read the password from a file; - = standard input')
    .action((url: string, options: LoginOptions) => login(session, url, options));
  program
    .command('logout')
    .description('end the login, and with it the addresses to play that it made')
    .action(async () => {
      const client = await connect(session, server());
      // What is saved goes even when the server is gone.
      try {
        await client.logout();
      } finally {
        await session.credentials.remove();
      }
      session.terminal.print('logged out');
    });
  program
    .command('policy')
    .description('what is collected, for what, how long, who gets it, how to stop it')
    .option('--json', 'as JSON')
    .action(async ({ json }: { json?: boolean }) => {
      const { terminal } = session;
      const found = await (await connect(session, server())).policy();
      if (json) return terminal.json(found);
      const { title, controller, text, scopes } = found.document;
      terminal.print(`${title}\nversion ${found.version}, SHA-256 ${found.sha256}`);
      terminal.print(`${controller.name}. ${controller.contact}`);
      for (const paragraph of text) terminal.print(`\n${paragraph}`);
      for (const [scope, { purpose }] of Object.entries(scopes))
        terminal.print(`\n${scope}: ${purpose}`);
    });
}

interface LoginOptions {
  readonly email: string;
  readonly passwordFile?: string;
}

async function login(session: Session, url: string, options: LoginOptions): Promise<void> {
  const { terminal, credentials, signal } = session;
  const server = checkServer(url);
  const password = await readPassword(session, options.passwordFile);
  const { token, expiresAt } = await new Client({ server, signal }).login(options.email, password);
  await credentials.write({ server, token, email: options.email, expiresAt });
  terminal.print(`logged in at ${server} as ${options.email} until ${expiresAt}`);
}

/** A password travels only over TLS, or not over a network at all. */
function checkServer(typed: string): string {
  const url = URL.canParse(typed) ? new URL(typed) : undefined;
  const isLocal = ['127.0.0.1', '[::1]', 'localhost'].includes(url?.hostname ?? '');
  if (url?.protocol === 'https:' || (url?.protocol === 'http:' && isLocal))
    return `${url.origin}${url.pathname}`.replace(/\/+$/, '');
  throw new LenscapError(
    'REQUEST_INVALID',
    `${typed} has to be an https:// address, or http:// of this machine`,
  );
}

async function readPassword({ terminal }: Session, file: string | undefined): Promise<string> {
  if (file === undefined) return terminal.secret('Password: ');
  const content =
    file === '-' ? await terminal.readAll() : await readFile(file, 'utf8').catch(cannotRead);
  return content.replace(/\r?\n$/, '');
}

function cannotRead(error: unknown): never {
  const why = error instanceof Error ? error.message : String(error);
  throw new LenscapError('REQUEST_INVALID', why, { cause: error });
}
