// The command about the log of a camera: read, follow, delete.
import { setTimeout as sleep } from 'node:timers/promises';
import type { Command } from 'commander';
import { LenscapError } from '../../../proto/errors.ts';
import type { Client } from '../client.ts';
import { confirmed } from '../confirm.ts';
import { jsonLines, textLines } from '../log-lines.ts';
import { connect, findDevice, rangeOf, type Session, type TimeOptions } from '../session.ts';

/** Between two looks while following. */
const LOOK_MS = 1000;
const LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal'];

interface LogOptions extends TimeOptions {
  readonly level?: string;
  readonly follow?: boolean;
  readonly json?: boolean;
  readonly delete?: boolean;
  readonly yes?: boolean;
}

export function logCommands(program: Command, session: Session): void {
  const server = (): string | undefined => program.opts<{ server?: string }>().server;
  program
    .command('logs')
    .description('what a camera notes about itself, while you share its log')
    .argument('<device>', 'id or name of a camera')
    .option('--from <time>', 'ISO 8601, now, or back from now: -90s, -10m, -2h, -1d; default: -1h')
    .option('--to <time>', 'the same; exclusive')
    .option('--level <level>', `least level: ${LEVELS.join(', ')}`)
    .option('--follow', 'go on with what comes, until Ctrl-C')
    .option('--json', 'one JSON object for each line')
    .option('--delete', 'delete it for good, all of it unless --from or --to is given')
    .option('--yes', 'do not ask')
    .addHelpText('after', '\nExample:\n  lenscap logs garden --from -1d --level warn')
    .action((named: string, options: LogOptions) =>
      options.delete === true
        ? remove(session, server(), named, options)
        : show(session, server(), named, options),
    );
}

async function show(
  session: Session,
  server: string | undefined,
  named: string,
  options: LogOptions,
): Promise<void> {
  const { level, follow, json, ...times } = options;
  if (level !== undefined && !LEVELS.includes(level))
    throw new LenscapError('REQUEST_INVALID', `--level has to be one of ${LEVELS.join(', ')}`);
  if (follow && times.to !== undefined)
    throw new LenscapError('REQUEST_INVALID', 'give either --follow or --to');
  const client = await connect(session, server);
  const { id } = await findDevice(client, named);
  const range = rangeOf(session, { from: times.from ?? '-1h', ...(times.to && { to: times.to }) });
  const print = { session, client, id, level, toLines: json ? jsonLines : textLines };
  if (follow) return followFrom(print, range);
  const { count } = await printPages(print, range, undefined);
  if (count === 0) session.terminal.note('nothing is stored of that time');
}

/** Goes on until Ctrl-C, which is its end and no failure. */
async function followFrom(print: Printing, range: { readonly from?: string }): Promise<void> {
  const { signal } = print.session;
  try {
    let { next } = await printPages(print, range, undefined);
    // What comes from now on is shown whatever the clock of the camera says.
    for (;;) {
      await sleep(LOOK_MS, undefined, { signal });
      ({ next } = await printPages(print, {}, next));
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}

interface Printing {
  readonly session: Session;
  readonly client: Client;
  readonly id: string;
  readonly level: string | undefined;
  readonly toLines: typeof textLines;
}

/** Prints what there is after a cursor; answers where to go on, and how many lines it was. */
async function printPages(
  { session, client, id, level, toLines }: Printing,
  range: { readonly from?: string; readonly to?: string },
  after: string | undefined,
): Promise<{ next: string; count: number }> {
  let count = 0;
  for (let cursor = after; ; ) {
    const page = await client.logs(id, { ...range, level, cursor });
    const lines = page.batches.flatMap(toLines);
    for (const line of lines) session.terminal.print(line);
    count += lines.length;
    if (!page.more) return { next: page.next, count };
    cursor = page.next;
  }
}

async function remove(
  session: Session,
  server: string | undefined,
  named: string,
  { yes, follow, level, ...times }: LogOptions,
): Promise<void> {
  if (follow || level !== undefined)
    throw new LenscapError('REQUEST_INVALID', '--delete goes with --from and --to alone');
  const { from, to } = rangeOf(session, times);
  const client = await connect(session, server);
  const { id, name } = await findDevice(client, named);
  const what =
    from === undefined && to === undefined
      ? 'the whole log'
      : `the log from ${from ?? 'the beginning'} to ${to ?? 'now'}`;
  const question = `Delete ${what} of ${name} for good?`;
  await confirmed(session, question, yes === true, 'nothing has been deleted');
  const count = await client.deleteLogs(id, { from, to });
  session.terminal.print(`deleted ${count} ${count === 1 ? 'line' : 'lines'}`);
}
