// Commands about what happens: list, follow, delete, and which kinds become alerts.
import { setTimeout as sleep } from 'node:timers/promises';
import type { Command } from 'commander';
import { LenscapError } from '../../../proto/errors.ts';
import { EVENT_KINDS, isEventKind } from '../../../proto/event.ts';
import type { Client, EventsAsked } from '../client.ts';
import { confirmed } from '../confirm.ts';
import type { Happening } from '../recording-answers.ts';
import { eventRow } from '../recording-lines.ts';
import { connect, findDevice, rangeOf, type Session, type TimeOptions } from '../session.ts';

const DEVICE = ['<device>', 'id or name of a camera'] as const;
const FROM = ['--from <time>', 'ISO 8601, now, or back from now: -90s, -10m, -2h, -1d'] as const;
const TO = ['--to <time>', 'the same; exclusive'] as const;
const NONE = 'none';
const HEAD = ['BEGIN', 'LENGTH', 'WHAT', 'PEAK', 'WHY', 'CLOCK'];
const LOOK_MS = 1000;
/** So far back something may begin that a camera tells only now. */
const LATE_MS = 600_000;

interface ListOptions extends TimeOptions {
  readonly kind?: string;
  readonly alerts?: boolean;
  readonly follow?: boolean;
  readonly json?: boolean;
}

export function eventCommands(program: Command, session: Session): void {
  const server = (): string | undefined => program.opts<{ server?: string }>().server;
  const events = program.command('events').description('what happened at a camera or before it');
  events
    .command('list')
    .description('events in order of time')
    .argument(...DEVICE)
    .option(...FROM)
    .option(...TO)
    .option('--kind <kind>', `one of ${EVENT_KINDS.join(', ')}`)
    .option('--alerts', 'only those of kinds that you wanted to be alerted of')
    .option('--follow', 'go on with what happens, until Ctrl-C')
    .option('--json', 'as JSON: {events}; with --follow one line each')
    .addHelpText('after', '\nExample:\n  lenscap events list garden --kind motion --from -1d')
    .action((named: string, options: ListOptions) => list(session, server(), named, options));
  events
    .command('delete')
    .description('delete for good every event that begins in a stretch of time')
    .argument(...DEVICE)
    .requiredOption(...FROM)
    .requiredOption(...TO)
    .option('--yes', 'do not ask')
    .action((named: string, options: TimeOptions & { yes?: boolean }) =>
      remove(session, server(), named, options),
    );
  alertCommands(program, session, server);
}

function alertCommands(program: Command, session: Session, server: () => string | undefined): void {
  const alerts = program.command('alerts').description('which events you want to be alerted of');
  alerts
    .command('show')
    .argument(...DEVICE)
    .description('kinds of events that are alerts')
    .action(async (named: string) => {
      const client = await connect(session, server());
      tell(session, await client.alerts((await findDevice(client, named)).id));
    });
  alerts
    .command('set')
    .argument(...DEVICE)
    .argument('<kinds>', `separated by commas, or ${NONE}: ${EVENT_KINDS.join(', ')}`)
    .description('choose the kinds, for what happens from now on')
    .addHelpText('after', '\nExample:\n  lenscap alerts set garden motion,covered')
    .action(async (named: string, typed: string) => {
      const kinds = kindsOf(typed);
      const client = await connect(session, server());
      tell(session, await client.setAlerts((await findDevice(client, named)).id, kinds));
    });
}

function tell({ terminal }: Session, kinds: readonly string[]): void {
  terminal.print(kinds.length === 0 ? NONE : kinds.join(','));
}

/** @throws REQUEST_INVALID. */
function kindsOf(typed: string): string[] {
  if (typed === NONE) return [];
  return [...new Set(typed.split(',').map((kind) => checkedKind(kind.trim())))];
}

function checkedKind(kind: string): string {
  if (isEventKind(kind)) return kind;
  throw new LenscapError('REQUEST_INVALID', `no kind of an event: ${kind}; see --help`);
}

async function list(
  session: Session,
  server: string | undefined,
  named: string,
  { kind, alerts, follow, json, ...times }: ListOptions,
): Promise<void> {
  if (follow && times.to !== undefined)
    throw new LenscapError('REQUEST_INVALID', 'give either --follow or --to');
  const asked: EventsAsked = {
    ...rangeOf(session, times),
    kind: kind === undefined ? undefined : checkedKind(kind),
    alert: alerts ? 'true' : undefined,
  };
  const client = await connect(session, server);
  const { id } = await findDevice(client, named);
  if (follow) return followed(session, client, id, asked, json === true);
  const events = await all(client, id, asked);
  const { terminal } = session;
  if (json) return terminal.json({ events });
  if (events.length === 0) return terminal.note('nothing has happened in that time');
  terminal.table([HEAD, ...events.map(eventRow)]);
}

async function all(client: Client, deviceId: string, asked: EventsAsked): Promise<Happening[]> {
  const events: Happening[] = [];
  for await (const page of client.events(deviceId, asked)) events.push(...page.events);
  return events;
}

/** Prints each event once, and once more when it has ended. */
async function followed(
  { terminal, signal, nowMs }: Session,
  client: Client,
  deviceId: string,
  asked: EventsAsked,
  json: boolean,
): Promise<void> {
  const told = new Set<string>();
  const nameOf = ({ eventId, lasts }: Happening): string => `${eventId} ${lasts}`;
  let from = asked.from;
  if (from === undefined) {
    from = new Date(nowMs() - LATE_MS).toISOString();
    for (const event of await all(client, deviceId, { ...asked, from })) told.add(nameOf(event));
  }
  while (!signal.aborted) {
    const events = await all(client, deviceId, { ...asked, from });
    for (const event of events.filter((one) => !told.has(nameOf(one)))) {
      told.add(nameOf(event));
      if (json) terminal.print(JSON.stringify(event));
      else terminal.print(eventRow(event).join('  ').trimEnd());
    }
    from = later(from, events, nowMs());
    await sleep(LOOK_MS, undefined, { signal }).catch(() => undefined);
  }
}

/** From when on to look next: what lasts may still end, and what is new may be told late. */
function later(from: string, events: readonly Happening[], nowMs: number): string {
  const lasting = events.filter(({ lasts }) => lasts).map(({ startAtUs }) => startAtUs / 1000);
  const next = Math.floor(Math.min(nowMs - LATE_MS, ...lasting));
  return next > Date.parse(from) ? new Date(next).toISOString() : from;
}

async function remove(
  session: Session,
  server: string | undefined,
  named: string,
  { yes, ...times }: TimeOptions & { yes?: boolean },
): Promise<void> {
  const range = rangeOf(session, times);
  const client = await connect(session, server);
  const { id, name } = await findDevice(client, named);
  const question = `Delete the events of ${name} from ${range.from} to ${range.to} for good?`;
  await confirmed(session, question, yes === true, 'nothing has been deleted');
  const count = await client.deleteEvents(id, range);
  session.terminal.print(`deleted ${count} ${count === 1 ? 'event' : 'events'}`);
}
