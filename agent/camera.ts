// Captures for as long as there is a permit, and hands on only what consent allows to keep.
// Invariants: without a permit nothing of the capture exists; one capture at a time. What was
// missed while the consent to pictures lasted is told to the capture, what was missed without it is
// not.
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import { toLenscapError } from '../proto/errors.ts';
import type { Gap } from '../proto/gap.ts';
import type { SegmentHeader } from '../proto/segment.ts';
import type { Stream } from '../proto/stream.ts';
import type { Predecessor } from './capture/capture.ts';
import type { LastPictures } from './capture/last-pictures.ts';
import type { Gate } from './consent/gate.ts';
import type { Permit } from './consent/permit.ts';
import type { Spool } from './spool/spool.ts';

/** Wait after a capture that could not even be supervised, such as for a wrong setting. */
const RETRY_MS = 10_000;

export interface CameraDeps {
  readonly gate: Pick<Gate, 'permit' | 'other' | 'onChange' | 'mayKeep'>;
  /** Captures under a permit until the signal (orderly) or the permit (at once) ends it. */
  readonly capture: {
    run(signal: AbortSignal, permit: Permit, after: Predecessor | null): Promise<void>;
  };
  /** Whether there would be sound if it were permitted; else sound makes no difference. */
  readonly wantsSound: boolean;
  readonly last: Pick<LastPictures, 'read' | 'save'>;
  readonly log: Logger;
}

export class Camera {
  readonly #deps: CameraDeps;
  /** What the next capture goes on from, with the epoch of its pictures. */
  #before: { readonly epoch: number; readonly what: Predecessor } | null = null;

  constructor(deps: CameraDeps) {
    this.#deps = deps;
    const mark = deps.last.read();
    if (mark !== null) this.#before = { epoch: mark.epoch, what: mark };
  }

  /** Resolves when `signal` is aborted and the last segment is handed on. */
  async run(signal: AbortSignal): Promise<void> {
    const { gate, last } = this.#deps;
    while (!signal.aborted) {
      const permit = gate.permit();
      if (permit !== null) await this.#captureUnder(permit, signal);
      else {
        if (this.#before?.what === 'run') this.#before = null;
        await gate.other(null, signal).catch(() => undefined);
      }
    }
    last.save();
  }

  async #captureUnder(permit: Permit, signal: AbortSignal): Promise<void> {
    const { gate, capture, log } = this.#deps;
    const replaced = new AbortController();
    const stopListening = gate.onChange(() => {
      if (!this.#isEnough(permit, gate.permit())) replaced.abort();
    });
    const end = AbortSignal.any([signal, replaced.signal]);
    const after = this.#predecessor();
    this.#before = { epoch: permit.epoch, what: 'run' };
    try {
      await capture.run(end, permit, after);
      if (end.aborted || permit.revoked.aborted) return;
      log.info('the source came to its end');
      this.#before = null;
      await gate.other(gate.permit(), signal).catch(() => undefined);
    } catch (error) {
      const { code, message } = toLenscapError(error, 'CAPTURE_FAILED');
      log.error({ code, nextAttemptMs: RETRY_MS }, message);
      await sleep(RETRY_MS, undefined, { signal: end }).catch(() => undefined);
    } finally {
      stopListening();
    }
  }

  /** Null where consent to pictures was interrupted since. */
  #predecessor(): Predecessor | null {
    const before = this.#before;
    if (before === null) return null;
    const isUnbroken = this.#deps.gate.mayKeep({ epoch: before.epoch, scopes: ['video'] });
    return isUnbroken ? before.what : null;
  }

  /** Whether the capture under `old` does all that `now` permits. */
  #isEnough(old: Permit, now: Permit | null): boolean {
    return now === old || (now !== null && (!this.#deps.wantsSound || now.audio === old.audio));
  }
}

/** The spool as the capture sees it: what consent does not cover is dropped on the way. */
export function consentedSink(
  spool: Spool,
  gate: Pick<Gate, 'mayKeep'>,
  last: Pick<LastPictures, 'note'>,
) {
  return {
    stream: (stream: Stream): void => {
      if (gate.mayKeep(stream)) spool.stream(stream);
    },
    segment: (header: SegmentHeader, chunks: readonly Uint8Array[]): void => {
      if (!gate.mayKeep(header)) return;
      spool.segment(header, chunks);
      last.note(header);
    },
    gap: (gap: Gap): void => {
      if (!gate.mayKeep({ epoch: gap.epoch, scopes: ['video'] })) return;
      spool.gap(gap);
      last.note(gap);
    },
  };
}
