// How the tables of the index come to be; what their columns mean is in tables.ts.
import { type Kysely, sql } from 'kysely';
import type { Tables } from './tables.ts';

export type { Tables } from './tables.ts';

export type Index = Kysely<Tables>;

/** Of an index that this server makes and reads. */
export const VERSION = '4';

const STATEMENTS = [
  'create table if not exists meta (key text primary key, value text not null) strict, without rowid',
  `create table accounts (account_id text primary key, email text not null unique,
    password_hash text not null, created_at_us integer not null) strict`,
  `create table logins (token_sha256 text primary key, account_id text not null references accounts,
    created_at_us integer not null, expires_at_us integer not null) strict`,
  `create table devices (device_id text primary key, account_id text not null references accounts,
    name text not null, created_at_us integer not null, last_seen_at_us integer,
    epoch integer not null, applied_epoch integer not null default 0, applied_at_us integer,
    state text not null, state_at_us integer not null, state_reason text, released_at_us integer,
    serial text) strict`,
  `create table certificates (serial text primary key, device_id text not null references devices,
    fingerprint text not null, key_sha256 text not null unique, pem text not null,
    issued_at_us integer not null, not_after_us integer not null, used_at_us integer,
    revoked_at_us integer) strict`,
  'create index certificates_of_device on certificates (device_id)',
  `create table claims (claim_id text primary key, account_id text not null references accounts,
    name text not null, sealed_proof_key blob not null, created_at_us integer not null,
    expires_at_us integer not null, failures integer not null, last_failure text,
    device_id text references devices, is_readmission integer not null, key_sha256 text,
    used_at_us integer, cancelled_at_us integer) strict`,
  'create index claims_of_account on claims (account_id, created_at_us)',
  'create index claims_by_key on claims (key_sha256) where key_sha256 is not null',
  `create table boards (serial text primary key, model text not null,
    key_sha256 text not null unique, enrolled_at_us integer not null, last_seen_at_us integer,
    state text not null, account_id text references accounts, name text,
    device_id text references devices) strict`,
  'create index boards_of_device on boards (device_id) where device_id is not null',
  `create table policies (version integer primary key, sha256 text not null unique,
    document text not null, published_at_us integer not null) strict`,
  `create table ledger (device_id text not null references devices, epoch integer not null,
    record text not null, prev_hash text not null, hash text not null, signature text not null,
    primary key (device_id, epoch)) strict`,
  `create table granted (device_id text not null references devices, scope text not null,
    since_epoch integer not null, primary key (device_id, scope)) strict, without rowid`,
  `create table streams (device_id text not null references devices, stream_id text not null,
    boot_id text not null, start_at_us integer not null, start_mono_us integer not null,
    epoch integer not null, scopes text not null, tracks text not null, sealed_init blob not null,
    init_sha256 text not null, received_at_us integer not null, time_estimated integer not null,
    corrected_us integer not null default 0, primary key (device_id, stream_id)) strict`,
  'create index streams_of_boot on streams (device_id, boot_id)',
  'create index streams_estimated on streams (device_id) where time_estimated = 1',
  `create table segments (device_id text not null, stream_id text not null,
    sequence integer not null, start_at_us integer not null, start_mono_us integer not null,
    duration_us integer not null, decode_start_us integer not null, epoch integer not null,
    scopes text not null, sha256 text not null, media_bytes integer not null,
    blob_id text not null unique, received_at_us integer not null,
    corrected_us integer not null default 0, primary key (device_id, stream_id, sequence),
    foreign key (device_id, stream_id) references streams) strict`,
  'create index segments_by_time on segments (device_id, start_at_us)',
  'create index segments_by_receipt on segments (device_id, received_at_us)',
  `create table totals (device_id text primary key, segments integer not null,
    bytes integer not null) strict, without rowid`,
  `create trigger count_stored after insert on segments begin
    insert into totals values (new.device_id, 1, new.media_bytes) on conflict (device_id)
    do update set segments = segments + 1, bytes = bytes + excluded.bytes; end`,
  `create trigger count_deleted after delete on segments begin
    update totals set segments = segments - 1, bytes = bytes - old.media_bytes
    where device_id = old.device_id; end`,
  `create table gaps (device_id text not null references devices, gap_id text not null,
    boot_id text not null, start_at_us integer not null, start_mono_us integer not null,
    duration_us integer not null, reason text not null, epoch integer not null, code text,
    received_at_us integer not null, corrected_us integer not null default 0,
    primary key (device_id, gap_id)) strict`,
  'create index gaps_by_time on gaps (device_id, start_at_us)',
  'create index gaps_of_boot on gaps (device_id, boot_id)',
  `create table anchors (device_id text not null references devices, boot_id text not null,
    offset_us integer not null, source text not null, at_us integer not null,
    primary key (device_id, boot_id)) strict, without rowid`,
  `create table told (device_id text not null references devices, noun text not null,
    epoch integer not null, received_at_us integer not null, sealed blob not null,
    primary key (device_id, noun)) strict`,
  `create table config_versions (device_id text not null references devices,
    version integer not null, at_us integer not null, actor text not null, how text not null,
    sealed blob not null, primary key (device_id, version)) strict`,
  `create table events (device_id text not null references devices, event_id text not null,
    kind text not null, boot_id text not null, start_at_us integer not null,
    start_mono_us integer not null, duration_us integer not null, lasts integer not null,
    epoch integer not null, peak integer not null, code text, detail text not null,
    received_at_us integer not null, corrected_us integer not null default 0,
    is_alert integer not null, primary key (device_id, event_id)) strict`,
  'create index events_by_time on events (device_id, start_at_us)',
  'create index events_of_boot on events (device_id, boot_id)',
  `create table alert_kinds (device_id text not null references devices, kind text not null,
    primary key (device_id, kind)) strict, without rowid`,
  `create table snapshots (device_id text not null references devices, snapshot_id text not null,
    boot_id text not null, start_at_us integer not null, start_mono_us integer not null,
    epoch integer not null, cause text not null, cause_id text, width integer not null,
    height integer not null, sha256 text not null, media_bytes integer not null,
    blob_id text not null unique, received_at_us integer not null,
    corrected_us integer not null default 0, primary key (device_id, snapshot_id)) strict`,
  'create index snapshots_by_time on snapshots (device_id, start_at_us)',
  'create index snapshots_by_receipt on snapshots (device_id, received_at_us)',
  'create index snapshots_of_boot on snapshots (device_id, boot_id)',
  `create table log_batches (device_id text not null references devices, batch_id text not null,
    first_at_us integer not null, last_at_us integer not null, lines integer not null,
    dropped integer not null, epoch integer not null, sealed blob not null,
    received_at_us integer not null, primary key (device_id, batch_id)) strict`,
  'create index log_batches_by_time on log_batches (device_id, first_at_us)',
  'create index log_batches_by_receipt on log_batches (device_id, received_at_us)',
  `create table device_labels (device_id text not null references devices, key text not null,
    value text not null, primary key (device_id, key)) strict, without rowid`,
  'create index device_labels_by_value on device_labels (key, value)',
  `create table rollouts (rollout_id integer primary key, created_at_us integer not null,
    actor text not null, selector text not null, patch text not null, stages text not null,
    stop_percent integer not null, wait_s integer not null, settle_s integer not null,
    state text not null, state_at_us integer not null, why text) strict`,
  `create table rollout_devices (rollout_id integer not null references rollouts,
    device_id text not null references devices, stage integer not null, version integer,
    state text not null, state_at_us integer not null, detail text not null,
    primary key (rollout_id, device_id)) strict, without rowid`,
  'create index rollout_devices_of_device on rollout_devices (device_id)',
  `create table tombstones (device_id text not null references devices, stream_id text not null,
    sequence integer not null, blob_id text, deleted_at_us integer not null,
    start_at_us integer, duration_us integer, primary key (device_id, stream_id, sequence)) strict`,
  'create index tombstones_pending on tombstones (blob_id) where blob_id is not null',
  'create index tombstones_by_time on tombstones (device_id, start_at_us) where start_at_us is not null',
  `create table deleted_ranges (device_id text not null references devices,
    from_us integer not null, to_us integer not null, deleted_at_us integer not null) strict`,
  `create table deleted_log_ranges (device_id text not null references devices,
    from_us integer not null, to_us integer not null, deleted_at_us integer not null) strict`,
  'create index deleted_log_ranges_of_device on deleted_log_ranges (device_id, from_us)',
  `create trigger ledger_is_append_only before update on ledger
    begin select raise(abort, 'the ledger is append-only'); end`,
  `create trigger ledger_is_never_deleted before delete on ledger
    begin select raise(abort, 'the ledger is append-only'); end`,
  `create trigger ledger_is_never_replaced before insert on ledger
    when exists (select 1 from ledger where device_id = new.device_id and epoch = new.epoch)
    begin select raise(abort, 'the ledger is append-only'); end`,
];

/** Makes the tables of an empty index. Returns the version of an index that this server cannot read. */
export function migrate(index: Index, nowUs: number, uuid: string): Promise<string | undefined> {
  return index.transaction().execute(async (trx) => {
    await sql.raw(STATEMENTS[0] ?? '').execute(trx);
    const found = await trx
      .selectFrom('meta')
      .select('value')
      .where('key', '=', 'schema')
      .executeTakeFirst();
    if (found) return found.value === VERSION ? undefined : found.value;
    for (const statement of STATEMENTS.slice(1)) await sql.raw(statement).execute(trx);
    await trx
      .insertInto('meta')
      .values([
        { key: 'schema', value: VERSION },
        { key: 'uuid', value: uuid },
        { key: 'created_at_us', value: String(nowUs) },
      ])
      .execute();
    return undefined;
  });
}

export const joinScopes = (scopes: readonly string[]): string => scopes.join(',');
