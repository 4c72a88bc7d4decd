// Captures for as long as there is a permit, and hands on only what consent allows to keep.
// Invariants: without a permit nothing of the capture exists; one capture at a time. What was
// missed while the consent to pictures lasted is told to the capture, even where the lease ran out;
// what was missed without it is not.
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import { toLenscapError } from '../proto/errors.ts';
import type { Gap } from '../proto/gap.ts';
import type { SegmentHeader } from '../proto/segment.ts';
import type { Stream } from '../proto/stream.ts';
import type { Capture, Predecessor } from './capture/capture.ts';
import type { Mark } from './capture/outage.ts';
import type { Gate } from './consent/gate.ts';
import type { Permit } from './consent/permit.ts';
import type { Spool } from './spool/spool.ts';

/** Wait after a capture that could not even be supervised, such as for a wrong setting. */
const RETRY_MS = 10_000;

export interface CameraDeps {
  readonly gate: Pick<Gate, 'permit' | 'other' | 'onChange' | 'mayKeep'>;
  /** Captures under a permit until the signal (orderly) or the permit (at once) ends it. */
  readonly capture: Pick<Capture, 'run' | 'leaseEnded' | 'close'>;
  /** Whether there would be sound if it were permitted; else sound makes no difference. */
  readonly wantsSound: boolean;
  /** Up to where there are pictures of an earlier run of the agent; null for none. */
  readonly before: Mark | null;
  readonly log: Logger;
}

export class Camera {
  readonly #deps: CameraDeps;
  /** What the next capture goes on from, with the epoch of its pictures. */
  #before: { readonly epoch: number; readonly what: Predecessor } | null = null;

  constructor(deps: CameraDeps) {
    this.#deps = deps;
    const { before } = deps;
    if (before !== null) this.#before = { epoch: before.epoch, what: before };
  }

  /** Resolves when `signal` is aborted and the last segment is handed on. */
  async run(signal: AbortSignal): Promise<void> {
    const { gate, capture } = this.#deps;
    while (!signal.aborted) {
      const permit = gate.permit();
      if (permit !== null) await this.#captureUnder(permit, signal);
      else {
        this.#capIsOn();
        await gate.other(null, signal).catch(() => undefined);
      }
    }
    if (gate.permit() === null) this.#capIsOn();
    if (this.#predecessor() !== null) capture.close();
  }

  /** Where consent lasts all the same, the lease ran out. May be said again while it is so. */
  #capIsOn(): void {
    const before = this.#before;
    const after = this.#predecessor();
    if (before !== null && after !== null) {
      this.#deps.capture.leaseEnded(after);
      this.#before = { epoch: before.epoch, what: 'run' };
    } else if (before?.what === 'run') this.#before = null;
  }

  async #captureUnder(permit: Permit, signal: AbortSignal): Promise<void> {
    const { gate, capture, log } = this.#deps;
    const replaced = new AbortController();
    const stopListening = gate.onChange(() => {
      const now = gate.permit();
      if (now === null) this.#capIsOn();
      if (!this.#isEnough(permit, now)) replaced.abort();
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
export function consentedSink(spool: Spool, gate: Pick<Gate, 'mayKeep'>) {
  return {
    stream: (stream: Stream): void => {
      if (gate.mayKeep(stream)) spool.stream(stream);
    },
    segment: (header: SegmentHeader, chunks: readonly Uint8Array[]): void => {
      if (gate.mayKeep(header)) spool.segment(header, chunks);
    },
    gap: (gap: Gap): void => {
      if (gate.mayKeep({ epoch: gap.epoch, scopes: ['video'] })) spool.gap(gap);
    },
  };
}
