// Opens what is stored of a device: rows page by page, segments and inits unsealed. Nothing is handed
// out whose SHA-256 is not that of its row.
import { createHash } from 'node:crypto';
import { LenscapError } from '../../proto/errors.ts';
import type { DeviceRow } from '../store/devices.ts';
import { initIdentity, segmentIdentity, snapshotIdentity } from '../store/identities.ts';
import type { SegmentRow, Span, StreamRow } from '../store/media-rows.ts';
import { unseal } from '../store/seal.ts';
import type { SnapshotRow } from '../store/snapshot-rows.ts';
import type { Store } from '../store/store.ts';

const PAGE = 1000;

/** Where a listing has come to. */
export type Position = Pick<SegmentRow, 'start_at_us' | 'stream_id' | 'sequence'>;

export class Recordings {
  readonly #store: Pick<Store, 'blobs' | 'keys' | 'media' | 'snapshots'>;

  constructor(store: Pick<Store, 'blobs' | 'keys' | 'media' | 'snapshots'>) {
    this.#store = store;
  }

  /** At most `limit` segments of a span after a position, in order of time. */
  async page(span: Span, limit: number, after?: Position): Promise<SegmentRow[]> {
    const fromUs = after ? Math.max(span.fromUs, after.start_at_us) : span.fromUs;
    const found: SegmentRow[] = [];
    for (let offset = 0; found.length < limit; offset += limit) {
      const rows = await this.#store.media.segments({ ...span, fromUs }, limit, offset);
      found.push(...rows.filter((row) => !after || isAfter(row, after)));
      if (rows.length < limit) break;
    }
    return found.slice(0, limit);
  }

  /** All segments of a span, in order of time; holds one page at a time. */
  async *rows(span: Span): AsyncGenerator<SegmentRow, void> {
    for (let after: Position | undefined; ; ) {
      const rows = await this.page(span, PAGE, after);
      yield* rows;
      after = rows.at(-1);
      if (rows.length < PAGE) return;
    }
  }

  /** @throws NOT_FOUND, STORE_CORRUPT. */
  async stream(device: DeviceRow, streamId: string): Promise<{ row: StreamRow; init: Buffer }> {
    const row = await this.#store.media.stream(device.device_id, streamId);
    if (!row) throw new LenscapError('NOT_FOUND', `stream ${streamId}`);
    const key = await this.#store.keys.account(device.account_id);
    const identity = initIdentity(device.account_id, device.device_id, streamId);
    const init = unseal(key, identity, row.sealed_init);
    checkSha256(`the init of stream ${streamId}`, init, row.init_sha256);
    return { row, init };
  }

  /** Media of a segment. @throws NOT_FOUND when it was deleted meanwhile, STORE_CORRUPT. */
  async media(device: DeviceRow, row: SegmentRow): Promise<Buffer> {
    const key = await this.#store.keys.account(device.account_id);
    const name = `segment ${row.stream_id}/${row.sequence}`;
    try {
      const sealed = await this.#store.blobs.read(row.blob_id);
      const media = unseal(key, segmentIdentity(device.account_id, row), sealed);
      checkSha256(name, media, row.sha256);
      return media;
    } catch (error) {
      const { device_id, stream_id, sequence } = row;
      if (await this.#store.media.segment(device_id, stream_id, sequence)) throw error;
      throw new LenscapError('NOT_FOUND', name, { cause: error });
    }
  }

  /** JPEG of a snapshot. @throws NOT_FOUND when it was deleted meanwhile, STORE_CORRUPT. */
  async picture(device: DeviceRow, row: SnapshotRow): Promise<Buffer> {
    const key = await this.#store.keys.account(device.account_id);
    const name = `snapshot ${row.snapshot_id}`;
    try {
      const sealed = await this.#store.blobs.read(row.blob_id);
      const picture = unseal(key, snapshotIdentity(device.account_id, row), sealed);
      checkSha256(name, picture, row.sha256);
      return picture;
    } catch (error) {
      if (await this.#store.snapshots.byId(row.device_id, row.snapshot_id)) throw error;
      throw new LenscapError('NOT_FOUND', name, { cause: error });
    }
  }
}

function isAfter(row: SegmentRow, { start_at_us, stream_id, sequence }: Position): boolean {
  if (row.start_at_us !== start_at_us) return row.start_at_us > start_at_us;
  if (row.stream_id !== stream_id) return row.stream_id > stream_id;
  return row.sequence > sequence;
}

function checkSha256(name: string, bytes: Buffer, sha256: string): void {
  if (createHash('sha256').update(bytes).digest('hex') !== sha256)
    throw new LenscapError('STORE_CORRUPT', `${name} is not what was taken in`);
}
