// Hears when a snapshot is asked for, and sends those that wait. Invariants: one is under way at a time;
// the last look at consent is right before it leaves; it goes from memory when the server has it; those
// that nobody asked for wait, as recordings do, where the network costs by volume.
import type { Logger } from 'pino';
import { toLenscapError } from '../../proto/errors.ts';
import { decodeCommand, encodeSnapshot } from '../../proto/snapshot.ts';
import type { Gate } from '../consent/gate.ts';
import type { Captured } from '../spool/spool.ts';
import type { Errand, Line } from '../uplink/errand.ts';
import { coverOfSnapshot, type Snapshots } from './snapshots.ts';

/** So many commands in a minute are heard. */
const MAX_PER_MINUTE = 30;
const MINUTE_MS = 60_000;
/** Commands that were heard, so that one that comes again is heard once. */
const MAX_HEARD = 64;

export interface SnapshotSendingDeps {
  readonly gate: Pick<Gate, 'maySend' | 'mayKeep' | 'onChange'>;
  readonly log: Logger;
  /** Milliseconds, monotonic; that of the process if absent. */
  readonly nowMs?: () => number;
}

export class SnapshotSending implements Errand {
  readonly noun = 'command';
  readonly #snapshots: Snapshots;
  readonly #deps: SnapshotSendingDeps;
  #underWay: Captured | null = null;
  #heard: readonly { readonly commandId: string; readonly atMs: number }[] = [];

  constructor(snapshots: Snapshots, deps: SnapshotSendingDeps) {
    this.#snapshots = snapshots;
    this.#deps = deps;
  }

  receive(payload: Uint8Array): void {
    const { log, nowMs = () => performance.now() } = this.#deps;
    try {
      const { commandId } = decodeCommand(payload);
      const atMs = nowMs();
      if (this.#heard.some((one) => one.commandId === commandId)) return;
      const lately = this.#heard.filter((one) => atMs - one.atMs < MINUTE_MS);
      if (lately.length >= MAX_PER_MINUTE) {
        log.warn({ perMinute: MAX_PER_MINUTE }, 'too many snapshots are asked for: not taken');
        return;
      }
      this.#heard = [...this.#heard, { commandId, atMs }].slice(-MAX_HEARD);
      this.#snapshots.onRequest(commandId);
    } catch (error) {
      log.warn({ code: toLenscapError(error).code }, 'a command that cannot be read is ignored');
    }
  }

  underWay(): Captured | null {
    return this.#underWay;
  }

  async run(line: Line, signal: AbortSignal): Promise<void> {
    let wake = Promise.withResolvers<void>();
    const onChange = (): void => wake.resolve();
    const stopListening = [this.#snapshots.onChange(onChange), this.#deps.gate.onChange(onChange)];
    signal.addEventListener('abort', onChange, { once: true });
    while (!signal.aborted) {
      wake = Promise.withResolvers<void>();
      if (!(await this.#sendFirst(line))) await wake.promise;
    }
    for (const stop of stopListening) stop();
  }

  /** Returns whether there may be another one to send. */
  async #sendFirst(line: Line): Promise<boolean> {
    const { gate, log } = this.#deps;
    const first = this.#snapshots.first(({ cause }) => cause !== 'interval' || !line.isMetered?.());
    if (first === undefined) return false;
    const cover = coverOfSnapshot(first);
    if (!gate.maySend(cover)) {
      const isForbidden = !gate.mayKeep(cover);
      if (isForbidden) this.#snapshots.remove(first.snapshotId);
      return isForbidden;
    }
    this.#underWay = cover;
    try {
      await line.publish('snapshot', encodeSnapshot(first));
      this.#snapshots.remove(first.snapshotId);
      return true;
    } catch (error) {
      // The connection is lost, and with it this run; the picture waits for the next one.
      log.debug({ code: toLenscapError(error).code }, 'not acknowledged');
      return false;
    } finally {
      this.#underWay = null;
    }
  }
}
