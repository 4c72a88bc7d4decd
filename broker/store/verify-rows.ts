// What verify looks at besides objects: rows that are sealed themselves open with the key of their account,
// and every row bears an epoch of consent that its device had. Reads only.
import { sql } from 'kysely';
import { decodeReported } from '../../proto/desired-config.ts';
import { decodeHealth } from '../../proto/health.ts';
import { decodeInfo } from '../../proto/info.ts';
import { uncoveredEvents, uncoveredTold } from './covered.ts';
import type { Finding, SealedName } from './findings.ts';
import { configIdentity, logIdentity, toldIdentity } from './identities.ts';
import type { Index } from './schema.ts';
import { type Identity, unseal } from './seal.ts';

/** Account and key by device; absent where the key, or the device, is not there. */
export type DeviceKeys = ReadonlyMap<string, { readonly accountId: string; readonly key: Buffer }>;

interface Owned {
  readonly device_id: string;
  readonly account_id: string;
}

interface Sealed {
  /** Column that tells the rows of a device apart. */
  readonly name: string;
  readonly identity: (device: Owned, name: string) => Identity;
  /** Reads what was opened; the epoch it bears, where it does. */
  readonly read?: (opened: Buffer, name: string) => number;
}

const DECODERS: Readonly<Record<string, (opened: Buffer) => { readonly epoch: number }>> = {
  info: decodeInfo,
  health: decodeHealth,
  reported: decodeReported,
};

/** Tables whose rows are sealed themselves. */
const SEALED: Readonly<Record<SealedName['table'], Sealed>> = {
  told: {
    name: 'noun',
    identity: toldIdentity,
    read: (opened, noun) => DECODERS[noun]?.(opened).epoch ?? 0,
  },
  config_versions: {
    name: 'version',
    identity: (device, version) => configIdentity(device, Number(version)),
  },
  log_batches: { name: 'batch_id', identity: logIdentity },
};
/** A batch of lines may have a quarter of a megabyte. */
const PAGE = 32;

/** Tables of what was sent, each row under an epoch. */
const OF_EPOCH = ['streams', 'segments', 'gaps', 'told', 'events', 'snapshots', 'log_batches'];

/** Every sealed row that does not open, and every row without its consent. */
export async function rowFaults(index: Index, keys: DeviceKeys): Promise<Finding[]> {
  const findings: Finding[] = [];
  for (const table of SEALED_TABLES)
    for await (const row of sealedRows(index, table)) {
      const why = faultOf(SEALED[table], row, keys);
      const { device_id, name } = row;
      const what = `${table} ${device_id}/${name}: ${why}`;
      if (why !== undefined)
        findings.push({ kind: 'row_damaged', sealed: { table, device_id, name }, what });
    }
  return [...findings, ...(await unknownEpochs(index)), ...(await uncovered(index))];
}

const SEALED_TABLES = Object.keys(SEALED).filter(
  (name): name is SealedName['table'] => name in SEALED,
);

interface SealedRow {
  readonly rowid: number;
  readonly device_id: string;
  readonly name: string;
  /** Null where rows have none. */
  readonly epoch: number | null;
  readonly sealed: Uint8Array;
}

async function* sealedRows(index: Index, table: SealedName['table']): AsyncIterable<SealedRow> {
  const epoch = table === 'config_versions' ? sql`null` : sql`epoch`;
  for (let rowid = 0; ; ) {
    const { rows } = await sql<SealedRow>`select rowid, device_id,
        cast(${sql.ref(SEALED[table].name)} as text) as name, ${epoch} as epoch, sealed
      from ${sql.table(table)} where rowid > ${rowid} order by rowid limit ${PAGE}`.execute(index);
    yield* rows;
    const last = rows.at(-1);
    if (!last) return;
    rowid = last.rowid;
  }
}

/** Where the key is lost, that is said once, and nothing is said of what it would open. */
function faultOf({ identity, read }: Sealed, row: SealedRow, keys: DeviceKeys): string | undefined {
  const { device_id, name, epoch, sealed } = row;
  const known = keys.get(device_id);
  if (known === undefined) return undefined;
  try {
    const opened = unseal(
      known.key,
      identity({ device_id, account_id: known.accountId }, name),
      sealed,
    );
    const said = read?.(opened, name);
    return said === undefined || said === epoch
      ? undefined
      : `it is of epoch ${said}, not ${epoch}`;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/** An epoch that the ledger never had: the row is of another index, or somebody made it. */
async function unknownEpochs(index: Index): Promise<Finding[]> {
  const findings: Finding[] = [];
  for (const table of OF_EPOCH) {
    const { rows } = await sql<{ device_id: string; count: number }>`
      select d.device_id, count(*) as count from ${sql.table(table)} t join devices d
        on d.device_id = t.device_id
      where t.epoch > d.epoch or t.epoch < 1 group by d.device_id`.execute(index);
    for (const { device_id, count } of rows)
      findings.push({
        kind: 'epoch_unknown',
        what: `${table} of ${device_id}: ${count} rows of an epoch that its ledger does not have`,
      });
  }
  return findings;
}

/** What a withdrawal erases at once, and is there. */
async function uncovered(index: Index): Promise<Finding[]> {
  const told = await uncoveredTold(index);
  const events = await uncoveredEvents(index);
  return [
    ...told.map((deviceId): Finding => {
      const what = `told of ${deviceId}: it shares no device information`;
      return { kind: 'told_uncovered', deviceId, what };
    }),
    ...events.map((deviceId): Finding => {
      const what = `events of ${deviceId} itself that are still to be forgotten`;
      return { kind: 'forgetting_pending', deviceId, what };
    }),
  ];
}
