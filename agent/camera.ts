// Captures for as long as there is a permit, and hands on only what consent allows to keep.
// Invariant: without a permit nothing of the capture exists; one capture at a time.
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import { toLenscapError } from '../proto/errors.ts';
import type { Gap } from '../proto/gap.ts';
import type { SegmentHeader } from '../proto/segment.ts';
import type { Stream } from '../proto/stream.ts';
import type { Gate } from './consent/gate.ts';
import type { Permit } from './consent/permit.ts';
import type { Spool } from './spool/spool.ts';

/** Wait after a capture that could not even be supervised, such as for a wrong setting. */
const RETRY_MS = 10_000;

export interface CameraDeps {
  readonly gate: Pick<Gate, 'permit' | 'other' | 'onChange'>;
  /** Captures under a permit until the signal (orderly) or the permit (at once) ends it. */
  readonly capture: { run(signal: AbortSignal, permit: Permit): Promise<void> };
  readonly log: Logger;
}

export class Camera {
  readonly #deps: CameraDeps;

  constructor(deps: CameraDeps) {
    this.#deps = deps;
  }

  /** Resolves when `signal` is aborted and the last segment is handed on. */
  async run(signal: AbortSignal): Promise<void> {
    const { gate } = this.#deps;
    while (!signal.aborted) {
      const permit = gate.permit();
      if (permit !== null) await this.#captureUnder(permit, signal);
      else await gate.other(null, signal).catch(() => undefined);
    }
  }

  async #captureUnder(permit: Permit, signal: AbortSignal): Promise<void> {
    const { gate, capture, log } = this.#deps;
    const replaced = new AbortController();
    const stopListening = gate.onChange(() => {
      if (gate.permit() !== permit) replaced.abort();
    });
    const end = AbortSignal.any([signal, replaced.signal]);
    try {
      await capture.run(end, permit);
      if (end.aborted || permit.revoked.aborted) return;
      log.info('the source came to its end');
      await gate.other(permit, signal).catch(() => undefined);
    } catch (error) {
      const { code, message } = toLenscapError(error, 'CAPTURE_FAILED');
      log.error({ code, nextAttemptMs: RETRY_MS }, message);
      await sleep(RETRY_MS, undefined, { signal: end }).catch(() => undefined);
    } finally {
      stopListening();
    }
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
