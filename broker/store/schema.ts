// The tables of the index and how they come to be. Times are microseconds since 1970, ids are text,
// scopes are comma-separated. Rows of the ledger are inserted and never changed.
import { type Kysely, sql } from 'kysely';

export interface Tables {
  meta: { key: string; value: string };
  accounts: {
    account_id: string;
    email: string;
    password_hash: string;
    created_at_us: number;
  };
  logins: {
    token_sha256: string;
    account_id: string;
    created_at_us: number;
    expires_at_us: number;
  };
  devices: {
    device_id: string;
    account_id: string;
    name: string;
    created_at_us: number;
    last_seen_at_us: number | null;
    epoch: number;
    applied_epoch: number;
    applied_at_us: number | null;
    /** Of fleet/states.ts. */
    state: string;
    state_at_us: number;
    /** Why, where the state alone does not say it, e.g. `clone`. */
    state_reason: string | null;
    /** When the device confirmed that it forgot everything; null before. */
    released_at_us: number | null;
    /** Of the board, if its maker enrolled it. */
    serial: string | null;
    /** These only under the scope device_info. */
    agent_version: string | null;
    spool_state: string | null;
    /** Why the camera's flash takes nothing. */
    spool_code: string | null;
    spool_items: number | null;
    spool_bytes: number | null;
  };
  certificates: {
    /** Lower-case hex. */
    serial: string;
    device_id: string;
    /** SHA-256 of the certificate (DER), lower-case hex. */
    fingerprint: string;
    /** SHA-256 of its key (SPKI DER), lower-case hex; no key is certified twice. */
    key_sha256: string;
    pem: string;
    issued_at_us: number;
    not_after_us: number;
    /** First connection with it. */
    used_at_us: number | null;
    revoked_at_us: number | null;
  };
  /** Setup codes: of the secret only what checks a proof. */
  claims: {
    claim_id: string;
    account_id: string;
    /** What the owner calls the camera. */
    name: string;
    sealed_proof_key: Uint8Array;
    created_at_us: number;
    expires_at_us: number;
    failures: number;
    last_failure: string | null;
    /** For re-admission: the device that it is for. Else the one it led to, once it did. */
    device_id: string | null;
    is_readmission: number;
    /** The key that it was answered for; only that one may ask again. */
    key_sha256: string | null;
    /** First connection of the device with what it was issued. */
    used_at_us: number | null;
    cancelled_at_us: number | null;
  };
  /** Boards that their maker enrolled. Once owned, the state is the device's. */
  boards: {
    serial: string;
    model: string;
    /** SHA-256 of the factory key (SPKI DER), lower-case hex. */
    key_sha256: string;
    enrolled_at_us: number;
    last_seen_at_us: number | null;
    state: string;
    /** Owner who claimed it by its label, and the name he gave it; null before. */
    account_id: string | null;
    name: string | null;
    /** The device it became; null before and after an ownership. */
    device_id: string | null;
  };
  policies: { version: number; sha256: string; document: string; published_at_us: number };
  ledger: {
    device_id: string;
    epoch: number;
    record: string;
    prev_hash: string;
    hash: string;
    signature: string;
  };
  granted: { device_id: string; scope: string; since_epoch: number };
  streams: {
    device_id: string;
    stream_id: string;
    boot_id: string;
    start_at_us: number;
    start_mono_us: number;
    epoch: number;
    scopes: string;
    tracks: string;
    sealed_init: Uint8Array;
    init_sha256: string;
    received_at_us: number;
    /** 1: the camera estimated start_at_us, and there is no anchor of its boot. */
    time_estimated: number;
    /** What was added to the camera's start_at_us; see anchors.ts. */
    corrected_us: number;
  };
  segments: {
    device_id: string;
    stream_id: string;
    sequence: number;
    start_at_us: number;
    start_mono_us: number;
    duration_us: number;
    decode_start_us: number;
    epoch: number;
    scopes: string;
    sha256: string;
    media_bytes: number;
    blob_id: string;
    received_at_us: number;
    corrected_us: number;
  };
  /** Kept by triggers, so that asking does not count hundreds of thousands of rows. */
  totals: { device_id: string; segments: number; bytes: number };
  gaps: {
    device_id: string;
    gap_id: string;
    boot_id: string;
    start_at_us: number;
    start_mono_us: number;
    duration_us: number;
    reason: string;
    epoch: number;
    code: string | null;
    received_at_us: number;
    corrected_us: number;
  };
  /** Wall time of a boot, less its monotonic time. */
  anchors: {
    device_id: string;
    boot_id: string;
    offset_us: number;
    /** Whose wall clock it is: `camera` or `server`. */
    source: string;
    /** When it was learned. */
    at_us: number;
  };
  /** A deleted segment; blob_id is set until its file is gone for good. */
  tombstones: {
    device_id: string;
    stream_id: string;
    sequence: number;
    blob_id: string | null;
    deleted_at_us: number;
    /** Its time, where no deleted range covers it. */
    start_at_us: number | null;
    duration_us: number | null;
  };
  deleted_ranges: { device_id: string; from_us: number; to_us: number; deleted_at_us: number };
}

export type Index = Kysely<Tables>;

/** What a row of a device holds while its owner does not consent to device_info. */
export const NO_DEVICE_INFO = {
  agent_version: null,
  spool_state: null,
  spool_code: null,
  spool_items: null,
  spool_bytes: null,
} as const satisfies Partial<Tables['devices']>;

/** Of an index that this server makes and reads. */
export const VERSION = '3';

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
    serial text, agent_version text, spool_state text, spool_code text, spool_items integer,
    spool_bytes integer) strict`,
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
  `create table tombstones (device_id text not null references devices, stream_id text not null,
    sequence integer not null, blob_id text, deleted_at_us integer not null,
    start_at_us integer, duration_us integer, primary key (device_id, stream_id, sequence)) strict`,
  'create index tombstones_pending on tombstones (blob_id) where blob_id is not null',
  'create index tombstones_by_time on tombstones (device_id, start_at_us) where start_at_us is not null',
  `create table deleted_ranges (device_id text not null references devices,
    from_us integer not null, to_us integer not null, deleted_at_us integer not null) strict`,
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
