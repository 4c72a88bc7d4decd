// Still pictures: on request, at an interval, when something begins to move. They wait in memory only.
// Invariants: a picture is taken only while `snapshot` is consented to, and thrown away when that was
// withdrawn while it was taken; those that wait are bounded in number and bytes, the oldest go.
import { createHash, randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { AgentConfig } from '../../proto/agent-config.ts';
import { toLenscapError } from '../../proto/errors.ts';
import {
  MAX_SNAPSHOT_BYTES,
  SNAPSHOT_SCOPES,
  type Snapshot,
  type SnapshotCause,
} from '../../proto/snapshot.ts';
import type { MediaTime } from '../clock.ts';
import type { Gate } from '../consent/gate.ts';
import type { Captured } from '../spool/spool.ts';

const MAX_WAITING = 16;
const MAX_WAITING_BYTES = 16 << 20;
/** Asked for and not taken yet; more are not taken at all. */
const MAX_ASKED = 4;
/** How soon a new interval counts. */
const LOOK_MS = 1000;

export interface Still {
  readonly jpeg: Uint8Array;
  readonly width: number;
  readonly height: number;
  readonly monoUs: number;
}

export interface SnapshotsDeps {
  readonly gate: Pick<Gate, 'stillPermit' | 'grantOf' | 'mayKeep'>;
  /** The next picture, for which a closed camera is opened. Rejects when it cannot be had. */
  readonly still: (signal: AbortSignal) => Promise<Still>;
  /** Whether the recording settings let the camera be open; else nothing opens it at an interval. */
  readonly isOpenTime: () => boolean;
  /** As they are now. */
  readonly settings: () => AgentConfig['snapshot'];
  readonly time: MediaTime;
  /** Kernel boot id, a UUID. */
  readonly bootId: string;
  readonly log: Logger;
  /** Absent: a second. */
  readonly lookMs?: number;
}

/** What consent has to allow for a snapshot to be kept and sent. */
export function coverOfSnapshot({ epoch }: Pick<Snapshot, 'epoch'>): Captured {
  return { epoch, scopes: SNAPSHOT_SCOPES };
}

export class Snapshots {
  readonly #deps: SnapshotsDeps;
  readonly #listeners = new Set<() => void>();
  #waiting: readonly Snapshot[] = [];
  #asked = 0;
  #taking: Promise<void> = Promise.resolve();
  readonly #end = new AbortController();

  constructor(deps: SnapshotsDeps) {
    this.#deps = deps;
  }

  /** Takes those of the interval. Resolves when `signal` is aborted; none is taken after it. */
  async run(signal: AbortSignal): Promise<void> {
    const { settings, isOpenTime, time, lookMs = LOOK_MS } = this.#deps;
    const startUs = time.monoUs();
    let lastUs = startUs;
    while (!signal.aborted) {
      await sleep(lookMs, undefined, { signal }).catch(() => undefined);
      const { intervalS } = settings();
      const isDue = intervalS > 0 && time.monoUs() - lastUs >= intervalS * 1e6;
      // Where one takes longer than the interval, they must not take the places of those asked for.
      if (signal.aborted || !isDue || !isOpenTime() || this.#asked > 0) continue;
      lastUs = time.monoUs();
      this.#ask('interval', null);
    }
    this.#end.abort();
    await this.#taking;
  }

  /** Somebody asked for one. */
  onRequest(commandId: string): void {
    this.#ask('requested', commandId);
  }

  /** Something began to move. `eventId` is null when nobody is told of it. */
  onMotion(eventId: string | null): void {
    if (eventId !== null && this.#deps.settings().onMotion) this.#ask('event', eventId);
  }

  /** The oldest that waits, among those that may go. */
  first(mayGo: (snapshot: Snapshot) => boolean = () => true): Snapshot | undefined {
    return this.#waiting.find(mayGo);
  }

  /** It was taken in by the server, or may not be sent. */
  remove(snapshotId: string): void {
    this.#waiting = this.#waiting.filter((one) => one.snapshotId !== snapshotId);
  }

  /** Erases what may not be kept; done on return. */
  retain(mayKeep: (item: Captured) => boolean): boolean {
    this.#waiting = this.#waiting.filter((one) => mayKeep(coverOfSnapshot(one)));
    return true;
  }

  /** Calls back when another one waits. Returns how to stop that. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** One after the other. */
  #ask(cause: SnapshotCause, causeId: string | null): void {
    if (this.#asked >= MAX_ASKED || this.#end.signal.aborted) return;
    this.#asked += 1;
    this.#taking = this.#taking
      .then(() => this.#take(cause, causeId))
      .finally(() => {
        this.#asked -= 1;
      });
  }

  async #take(cause: SnapshotCause, causeId: string | null): Promise<void> {
    const { gate, still, log } = this.#deps;
    const grant = gate.grantOf('snapshot');
    const permit = gate.stillPermit();
    if (grant === null || permit === null) return;
    // The time may have changed since, while another one was taken.
    if (cause !== 'requested' && !this.#deps.isOpenTime()) return;
    const end = AbortSignal.any([permit.revoked, this.#end.signal]);
    try {
      const taken = await still(end);
      const mayKeep = gate.mayKeep(coverOfSnapshot(grant)) && !permit.revoked.aborted;
      if (mayKeep) this.#keep(taken, grant.epoch, cause, causeId);
    } catch (error) {
      const { code, message } = toLenscapError(error, 'CAPTURE_FAILED');
      // At an interval it is no news that the camera is closed just now, nor is a withdrawal or the end.
      const isNews = !end.aborted && (cause !== 'interval' || code !== 'CAPTURE_ENDED');
      log[isNews ? 'warn' : 'debug']({ code, cause }, `no snapshot could be taken: ${message}`);
    }
  }

  #keep(still: Still, epoch: number, cause: SnapshotCause, causeId: string | null): void {
    const { time, bootId, log } = this.#deps;
    const { jpeg: media, width, height } = still;
    if (media.byteLength > MAX_SNAPSHOT_BYTES) {
      log.warn({ code: 'CAPTURE_FAILED', bytes: media.byteLength }, 'a snapshot is too large');
      return;
    }
    const monoUs = Math.round(still.monoUs);
    const atUs = Math.max(0, time.wallUs() - (time.monoUs() - monoUs));
    const sha256 = createHash('sha256').update(media).digest();
    const snapshotId = randomBytes(16).toString('hex');
    const taken = { snapshotId, bootId, atUs, monoUs, epoch, cause, causeId };
    this.#waiting = newest([...this.#waiting, { ...taken, width, height, sha256, media }]);
    log.info({ snapshotId, cause }, 'a snapshot was taken');
    for (const listener of [...this.#listeners]) listener();
  }
}

/** As many of the last ones as may wait. */
function newest(snapshots: readonly Snapshot[]): readonly Snapshot[] {
  let room = MAX_WAITING_BYTES;
  const lastLeft = snapshots.findLastIndex(({ media }, at) => {
    room -= media.byteLength;
    return room < 0 || snapshots.length - at > MAX_WAITING;
  });
  return snapshots.slice(lastLeft + 1);
}
