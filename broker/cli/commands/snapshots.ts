// Commands about still pictures: take, list, get, delete.
import type { Command } from 'commander';
import { LenscapError } from '../../../proto/errors.ts';
import type { Client } from '../client.ts';
import { confirmed } from '../confirm.ts';
import { writeWhole } from '../credentials.ts';
import type { Snapshot } from '../recording-answers.ts';
import { snapshotRow } from '../recording-lines.ts';
import { connect, findDevice, rangeOf, type Session, type TimeOptions } from '../session.ts';
import { size } from '../times.ts';

const DEVICE = ['<device>', 'id or name of a camera'] as const;
const SNAPSHOT = ['<snapshot>', 'id, as `snapshot list` shows it'] as const;
const FROM = ['--from <time>', 'ISO 8601, now, or back from now: -90s, -10m, -2h, -1d'] as const;
const TO = ['--to <time>', 'the same; exclusive'] as const;
const OUTPUT = ['-o, --output <file>', 'file to write, JPEG'] as const;
const HEAD = ['TAKEN', 'SIZE', 'PIXELS', 'WHY', 'SNAPSHOT', 'CLOCK'];

interface DeleteOptions extends TimeOptions {
  readonly snapshot?: string;
  readonly yes?: boolean;
}

export function snapshotCommands(program: Command, session: Session): void {
  const server = (): string | undefined => program.opts<{ server?: string }>().server;
  const snapshot = program.command('snapshot').description('still pictures');
  snapshot
    .command('take')
    .description('have the camera take one now')
    .argument(...DEVICE)
    .requiredOption(...OUTPUT)
    .addHelpText('after', '\nExample:\n  lenscap snapshot take garden -o garden.jpg')
    .action(async (named: string, { output }: { output: string }) => {
      const client = await connect(session, server());
      const { id } = await findDevice(client, named);
      const { snapshotId } = await client.takeSnapshot(id);
      await save(session, client, { deviceId: id, snapshotId }, output);
    });
  snapshot
    .command('get')
    .description('one that is stored')
    .argument(...DEVICE)
    .argument(...SNAPSHOT)
    .requiredOption(...OUTPUT)
    .action(async (named: string, snapshotId: string, { output }: { output: string }) => {
      const client = await connect(session, server());
      const { id } = await findDevice(client, named);
      await save(session, client, { deviceId: id, snapshotId }, output);
    });
  snapshot
    .command('list')
    .description('those stored, in order of time')
    .argument(...DEVICE)
    .option(...FROM)
    .option(...TO)
    .option('--json', 'as JSON: {snapshots}')
    .action((named: string, options: TimeOptions & { json?: boolean }) =>
      list(session, server(), named, options),
    );
  snapshot
    .command('delete')
    .description('delete for good: one, or every one taken in a stretch of time')
    .argument(...DEVICE)
    .option('--snapshot <id>', 'one, as `snapshot list` shows it')
    .option(...FROM)
    .option(...TO)
    .option('--yes', 'do not ask')
    .action((named: string, options: DeleteOptions) => remove(session, server(), named, options));
}

async function save(
  { terminal }: Session,
  client: Client,
  { deviceId, snapshotId }: { readonly deviceId: string; readonly snapshotId: string },
  path: string,
): Promise<void> {
  const picture = await client.picture(deviceId, snapshotId);
  await writeWhole(path, Buffer.from(picture)).catch((error: unknown) => {
    const why = error instanceof Error ? error.message : String(error);
    throw new LenscapError('REQUEST_INVALID', `${path} cannot be written: ${why}`);
  });
  terminal.print(`${path}: ${size(picture.byteLength)}, snapshot ${snapshotId}`);
}

async function list(
  session: Session,
  server: string | undefined,
  named: string,
  { json, ...times }: TimeOptions & { json?: boolean },
): Promise<void> {
  const client = await connect(session, server);
  const { id } = await findDevice(client, named);
  const snapshots: Snapshot[] = [];
  for await (const page of client.snapshots(id, rangeOf(session, times)))
    snapshots.push(...page.snapshots);
  const { terminal } = session;
  if (json) return terminal.json({ snapshots });
  if (snapshots.length === 0) return terminal.note('no snapshot is stored of that time');
  terminal.table([HEAD, ...snapshots.map(snapshotRow)]);
}

async function remove(
  session: Session,
  server: string | undefined,
  named: string,
  { snapshot, yes, ...times }: DeleteOptions,
): Promise<void> {
  const isRange = times.from !== undefined && times.to !== undefined;
  if ((snapshot === undefined) === !isRange || (snapshot !== undefined && (times.from ?? times.to)))
    throw new LenscapError('REQUEST_INVALID', 'give either --snapshot, or both --from and --to');
  const range = rangeOf(session, times);
  const client = await connect(session, server);
  const { id, name } = await findDevice(client, named);
  const what = snapshot ?? `every snapshot from ${range.from} to ${range.to}`;
  await confirmed(
    session,
    `Delete ${what} of ${name} for good?`,
    yes === true,
    'nothing has been deleted',
  );
  const count =
    snapshot === undefined
      ? await client.deleteSnapshots(id, range)
      : await client.deleteSnapshot(id, snapshot);
  session.terminal.print(`deleted ${count} ${count === 1 ? 'snapshot' : 'snapshots'}`);
}
