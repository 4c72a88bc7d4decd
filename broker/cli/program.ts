// The command line `lenscap`: its commands and how they end. It talks to the HTTP API and to nothing
// else.
import { Command, CommanderError } from 'commander';
import { ERRORS, toLenscapError } from '../../proto/errors.ts';
import { accountCommands } from './commands/account.ts';
import { claimCommands } from './commands/claims.ts';
import { configCommands } from './commands/config.ts';
import { consentCommands } from './commands/consent.ts';
import { deviceCommands } from './commands/devices.ts';
import { eventCommands } from './commands/events.ts';
import { logCommands } from './commands/logs.ts';
import { recordingCommands } from './commands/recordings.ts';
import { snapshotCommands } from './commands/snapshots.ts';
import type { Session } from './session.ts';

const EXAMPLES = `
Examples:
  lenscap login https://cam.example.org --email me@example.org
  lenscap claim new --name garden --wait
  lenscap devices
  lenscap consent grant garden video
  lenscap config set garden overlay.clock=true --wait
  lenscap segments list garden --from -1h
  lenscap export garden --from -10m --to now -o garden.mp4
  lenscap snapshot take garden -o garden.jpg
  lenscap events list garden --follow
  lenscap consent withdraw garden

Exit status: 0 done; 64 wrong usage; 66 not there; 69 server not reachable; 77 not allowed.`;

/** Runs one command line, without the name of the program; answers its exit status. */
export async function runCommand(args: readonly string[], session: Session): Promise<number> {
  const program = new Command('lenscap')
    .description('your cameras: consent, recordings, export')
    .option('--server <url>', 'another server than the one logged in at')
    .showHelpAfterError('(see lenscap help)')
    .exitOverride()
    .configureOutput({
      writeOut: (text) => session.terminal.print(text.trimEnd()),
      writeErr: (text) => session.terminal.note(text.trimEnd()),
    })
    .addHelpText('after', EXAMPLES);
  accountCommands(program, session);
  claimCommands(program, session);
  deviceCommands(program, session);
  consentCommands(program, session);
  configCommands(program, session);
  recordingCommands(program, session);
  logCommands(program, session);
  eventCommands(program, session);
  snapshotCommands(program, session);
  try {
    await program.parseAsync([...args], { from: 'user' });
    return 0;
  } catch (error) {
    return exitStatus(error, session);
  }
}

function exitStatus(error: unknown, { terminal }: Session): number {
  // Help and mistakes in usage have been printed by then.
  if (error instanceof CommanderError)
    return error.exitCode === 0 ? 0 : ERRORS.REQUEST_INVALID.exit;
  const { code, message } = toLenscapError(error);
  terminal.note(`lenscap: ${message}`);
  return ERRORS[code].exit;
}
