// Commands about recordings: list, play, delete.
import type { Command } from 'commander';
import { LenscapError } from '../../../proto/errors.ts';
import { confirmed } from '../confirm.ts';
import { exportRange } from '../export.ts';
import type { SegmentPage } from '../recording-answers.ts';
import { listing, stretchRows, totalRows } from '../recording-lines.ts';
import { connect, findDevice, rangeOf, type Session, type TimeOptions } from '../session.ts';
import { parseTime } from '../times.ts';

const FROM = ['--from <time>', 'ISO 8601, now, or back from now: -90s, -10m, -2h, -1d'] as const;
const TO = ['--to <time>', 'the same; exclusive'] as const;
const DEVICE = ['<device>', 'id or name of a camera'] as const;

export function recordingCommands(program: Command, session: Session): void {
  const server = (): string | undefined => program.opts<{ server?: string }>().server;
  segmentCommands(program, session, server);
  program
    .command('play')
    .description('print an address (HLS) for a player such as ffplay, mpv or VLC')
    .argument(...DEVICE)
    .option(...FROM)
    .option(...TO)
    .option('--minutes <number>', 'the last minutes, going on live')
    .addHelpText('after', '\nExample:\n  ffplay "$(lenscap play garden --minutes 5)"')
    .action((named: string, options: PlayOptions) => play(session, server(), named, options));
  program
    .command('export')
    .description(
      'one MP4 of a stretch of time, and beside it FILE.json: what is in it and what not',
    )
    .argument(...DEVICE)
    .requiredOption(...FROM)
    .requiredOption(...TO)
    .requiredOption('-o, --output <file>', 'file to write')
    .addHelpText('after', '\nExample:\n  lenscap export garden --from -1h --to now -o garden.mp4')
    .action(async (named: string, options: Required<TimeOptions> & { output: string }) => {
      const client = await connect(session, server());
      const device = await findDevice(client, named);
      await exportRange(session, client, device, rangeOf(session, options), options.output);
    });
  program
    .command('delete')
    .description('delete for good: one piece, or every piece that begins in a stretch of time')
    .argument(...DEVICE)
    .option('--segment <stream/sequence>', 'one piece, as `segments list` shows it')
    .option(...FROM)
    .option(...TO)
    .option('--yes', 'do not ask')
    .action((named: string, options: DeleteOptions) => remove(session, server(), named, options));
}

function segmentCommands(
  program: Command,
  session: Session,
  server: () => string | undefined,
): void {
  const segments = program.command('segments').description('what is stored, and what is not');
  segments
    .command('list')
    .description('pieces stored and gaps, in order of time')
    .argument(...DEVICE)
    .option(...FROM)
    .option(...TO)
    .option('--json', 'as JSON: {segments, gaps}')
    .action((named: string, options: TimeOptions & { json?: boolean }) =>
      list(session, server(), named, options),
    );
  segments
    .command('timeline')
    .description('what became of every second: recorded, or why not')
    .argument(...DEVICE)
    .option(FROM[0], `${FROM[1]}; default: since the camera is yours`)
    .option(TO[0], `${TO[1]}; default: now`)
    .option('--json', 'as JSON: {stretches, totals}')
    .addHelpText('after', '\nExample:\n  lenscap segments timeline garden --from -1d')
    .action((named: string, options: TimeOptions & { json?: boolean }) =>
      timeline(session, server(), named, options),
    );
}

interface PlayOptions extends TimeOptions {
  readonly minutes?: string;
}

interface DeleteOptions extends TimeOptions {
  readonly segment?: string;
  readonly yes?: boolean;
}

async function list(
  session: Session,
  server: string | undefined,
  named: string,
  options: TimeOptions & { json?: boolean },
): Promise<void> {
  const client = await connect(session, server);
  const { id } = await findDevice(client, named);
  const segments: SegmentPage['segments'][number][] = [];
  const gaps: SegmentPage['gaps'][number][] = [];
  for await (const page of client.segments(id, rangeOf(session, options))) {
    segments.push(...page.segments);
    gaps.push(...page.gaps);
  }
  const { terminal } = session;
  if (options.json) return terminal.json({ segments, gaps });
  const rows = listing(segments, gaps);
  if (rows.length === 0) return terminal.note('nothing is stored of that time');
  terminal.table([['START', 'LENGTH', 'SIZE', 'HOLDS', 'PIECE', 'CLOCK'], ...rows]);
}

async function timeline(
  session: Session,
  server: string | undefined,
  named: string,
  options: TimeOptions & { json?: boolean },
): Promise<void> {
  const client = await connect(session, server);
  const { id } = await findDevice(client, named);
  const account = await client.timeline(id, rangeOf(session, options));
  const { terminal } = session;
  if (options.json) return terminal.json(account);
  terminal.table([['FROM', 'TO', 'LENGTH', 'WHAT', 'WHY'], ...stretchRows(account)]);
  terminal.print();
  terminal.table([['WHAT', 'TOGETHER', 'SHARE'], ...totalRows(account)]);
}

async function play(
  session: Session,
  server: string | undefined,
  named: string,
  { minutes, ...times }: PlayOptions,
): Promise<void> {
  if (minutes !== undefined && (times.from !== undefined || times.to !== undefined))
    throw new LenscapError('REQUEST_INVALID', 'give either --minutes, or --from and --to');
  const asked =
    minutes === undefined
      ? rangeOf(session, times)
      : { from: parseTime('--minutes', `-${minutes}m`, session.nowMs()) };
  const client = await connect(session, server);
  const { url, expiresAt, live } = await client.play((await findDevice(client, named)).id, asked);
  session.terminal.print(url);
  session.terminal.note(
    `${live ? 'goes on live; ' : ''}whoever has it can watch until ${expiresAt}`,
  );
}

async function remove(
  session: Session,
  server: string | undefined,
  named: string,
  { segment, yes, ...times }: DeleteOptions,
): Promise<void> {
  const isRange = times.from !== undefined && times.to !== undefined;
  if ((segment === undefined) === !isRange || (segment !== undefined && (times.from ?? times.to)))
    throw new LenscapError('REQUEST_INVALID', 'give either --segment, or both --from and --to');
  const [, stream, sequence] = /^([0-9a-f]{32})\/(\d{1,15})$/.exec(segment ?? '') ?? [];
  if (segment !== undefined && stream === undefined)
    throw new LenscapError('REQUEST_INVALID', `${segment} is no piece; see \`segments list\``);
  const range = rangeOf(session, times);
  const client = await connect(session, server);
  const { id, name } = await findDevice(client, named);
  const what = segment ?? `everything from ${range.from} to ${range.to}`;
  const question = `Delete ${what} of ${name} for good?`;
  await confirmed(session, question, yes === true, 'nothing has been deleted');
  const count =
    stream === undefined
      ? await client.deleteRange(id, range)
      : await client.deleteSegment(id, stream, Number(sequence));
  session.terminal.print(`deleted ${count} ${count === 1 ? 'piece' : 'pieces'}`);
}
