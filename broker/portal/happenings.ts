// Events and snapshots as the API answers them, in lists and in the manifest of an export. Pure.
import type { EventRow } from '../store/event-rows.ts';
import type { SnapshotRow } from '../store/snapshot-rows.ts';
import type { Estimated } from './manifest.ts';
import { isoTime } from './times.ts';

export function eventOf(row: EventRow, { boots }: Estimated): Record<string, unknown> {
  return {
    eventId: row.event_id,
    kind: row.kind,
    startAt: isoTime(row.start_at_us),
    startAtUs: row.start_at_us,
    durationUs: row.duration_us,
    lasts: row.lasts === 1,
    peak: row.peak,
    code: row.code,
    detail: row.detail,
    alert: row.is_alert === 1,
    epoch: row.epoch,
    timeCorrectedUs: row.corrected_us,
    timeEstimated: boots.has(row.boot_id),
    receivedAt: isoTime(row.received_at_us),
  };
}

export function snapshotOf(row: SnapshotRow, { boots }: Estimated): Record<string, unknown> {
  return {
    snapshotId: row.snapshot_id,
    startAt: isoTime(row.start_at_us),
    startAtUs: row.start_at_us,
    cause: row.cause,
    causeId: row.cause_id,
    width: row.width,
    height: row.height,
    bytes: row.media_bytes,
    sha256: row.sha256,
    epoch: row.epoch,
    timeCorrectedUs: row.corrected_us,
    timeEstimated: boots.has(row.boot_id),
    receivedAt: isoTime(row.received_at_us),
  };
}
