// The rows of the index. Times are microseconds since 1970, ids are text, scopes are comma-separated.
// Rows of the ledger are inserted and never changed.

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
  /** What a device told of itself, the last of each kind; only while device_info is granted. */
  told: {
    device_id: string;
    /** `info`, `health` or `reported`. */
    noun: string;
    epoch: number;
    received_at_us: number;
    /** The message, without what the policy does not name. */
    sealed: Uint8Array;
  };
  /** The desired configuration: every version there was, the highest is the one that is wanted. */
  config_versions: {
    device_id: string;
    version: number;
    at_us: number;
    /** Account id of the owner, or the operator's system user. */
    actor: string;
    /** By what means, e.g. `api`, `rollout 7`, `restored from 3`. */
    how: string;
    /** The document, JSON. */
    sealed: Uint8Array;
  };
  events: {
    device_id: string;
    event_id: string;
    kind: string;
    boot_id: string;
    start_at_us: number;
    start_mono_us: number;
    duration_us: number;
    /** 1: it had not ended when it was last told. */
    lasts: number;
    epoch: number;
    peak: number;
    code: string | null;
    detail: string;
    received_at_us: number;
    corrected_us: number;
    /** 1: of a kind that its owner wants to be alerted of. */
    is_alert: number;
  };
  /** Kinds of events that the owner wants to be alerted of. */
  alert_kinds: { device_id: string; kind: string };
  snapshots: {
    device_id: string;
    snapshot_id: string;
    boot_id: string;
    /** When it was taken. */
    start_at_us: number;
    start_mono_us: number;
    epoch: number;
    cause: string;
    cause_id: string | null;
    width: number;
    height: number;
    sha256: string;
    media_bytes: number;
    blob_id: string;
    received_at_us: number;
    corrected_us: number;
  };
  log_batches: {
    device_id: string;
    batch_id: string;
    first_at_us: number;
    last_at_us: number;
    lines: number;
    dropped: number;
    epoch: number;
    /** JSON lines, packed with zstd. */
    sealed: Uint8Array;
    received_at_us: number;
  };
  /** Stretches of a device's log that its owner erased: nothing of them is taken in any more. */
  deleted_log_ranges: { device_id: string; from_us: number; to_us: number; deleted_at_us: number };
  /** What the operator calls devices by, e.g. `site` = `north`. */
  device_labels: { device_id: string; key: string; value: string };
  rollouts: {
    rollout_id: number;
    created_at_us: number;
    actor: string;
    /** JSON: labels that a device has to bear. */
    selector: string;
    /** JSON: a merge patch. */
    patch: string;
    /** JSON: how many devices, or percent of them, each stage reaches in total. */
    stages: string;
    /** It stops when more than this share of the devices reached rejected or reverted it. */
    stop_percent: number;
    /** How long a device may take to answer before the next stage begins without it. */
    wait_s: number;
    /** How long it has to be applied on every device of a stage before the next begins. */
    settle_s: number;
    state: string;
    state_at_us: number;
    /** Why, where the state alone does not say it. */
    why: string | null;
  };
  rollout_devices: {
    rollout_id: number;
    device_id: string;
    stage: number;
    /** The version it led to; null before its stage. */
    version: number | null;
    state: string;
    state_at_us: number;
    detail: string;
  };
}
