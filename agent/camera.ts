// Captures for as long as there is a permit and the recording settings want pictures, and hands on
// only what consent allows to keep. Invariants: without a permit nothing of the capture exists, nor
// while nothing is wanted; one capture at a time. What was missed while the consent to pictures
// lasted is told to the capture, whatever the reason; what was missed without it is not.
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import { toLenscapError } from '../proto/errors.ts';
import type { Gap } from '../proto/gap.ts';
import type { SegmentHeader } from '../proto/segment.ts';
import type { Stream } from '../proto/stream.ts';
import type { Capture, Predecessor, Still } from './capture/capture.ts';
import type { Absence, Mark } from './capture/outage.ts';
import type { Gate } from './consent/gate.ts';
import type { Permit } from './consent/permit.ts';
import type { Wanted } from './recording/wanted.ts';
import { Shots } from './snapshots/shots.ts';
import type { Spool } from './spool/spool.ts';

/** Of a wait, unless said otherwise. */
const RETRY_MS = 10_000;

/** What the camera does, for the light and for whoever watches. */
export interface CameraState {
  /** On: consent allows no pictures. */
  readonly cap: 'on' | 'off';
  /** The source is open, or is about to be. */
  readonly isCapturing: boolean;
  /** Pictures are handed on; not while nothing moves in motion mode. */
  readonly isRecording: boolean;
  /** The source is open, or about to be, for one still picture and nothing else. */
  readonly isTaking: boolean;
}

export interface CameraDeps {
  readonly gate: Pick<Gate, 'permit' | 'stillPermit' | 'other' | 'onChange' | 'mayKeep'>;
  /** Captures under a permit until the signal (orderly) or the permit (at once) ends it. */
  readonly capture: Pick<Capture, 'run' | 'still' | 'shot' | 'absent' | 'close'>;
  /** What the recording settings want. */
  readonly wanted: Pick<Wanted, 'mode' | 'onChange'>;
  /** Whether anything moves; asked in motion mode. */
  readonly motion: { isRecording(): boolean; onChange(listener: () => void): () => void };
  /** Whether there would be sound if it were permitted; else sound makes no difference. */
  readonly wantsSound: () => boolean;
  /**
   * Awaited before the source is opened, with the state as it will be; where it rejects, the source
   * stays closed until a later attempt.
   */
  readonly opening?: (state: CameraState, signal: AbortSignal) => Promise<void>;
  /** Up to where there are pictures of an earlier run of the agent; null for none. */
  readonly before: Mark | null;
  readonly log: Logger;
  /** Wait after a capture that could not even be supervised, such as for a wrong setting. */
  readonly retryMs?: number;
}

export class Camera {
  readonly #deps: CameraDeps;
  readonly #listeners = new Set<() => void>();
  readonly #shots: Shots;
  /** What the next capture goes on from, with the epoch of its pictures. */
  #before: { readonly epoch: number; readonly what: Predecessor } | null = null;
  #isCapturing = false;
  /** What has to come before the first picture is under way. */
  #isOpening = false;
  /** Ends the capture under way, for the sake of another one. */
  #replaced = new AbortController();

  constructor(deps: CameraDeps) {
    this.#deps = deps;
    const { gate, capture, opening, before } = deps;
    if (before !== null) this.#before = { epoch: before.epoch, what: before };
    this.#shots = new Shots({
      gate,
      capture,
      opening: async (signal) => opening?.(this.state(), signal),
      onChange: () => this.#notify(),
    });
  }

  /** Resolves when `signal` is aborted and the last segment is handed on. */
  async run(signal: AbortSignal): Promise<void> {
    const { gate, capture, wanted, motion } = this.#deps;
    const stops = [gate, wanted, motion].map((part) => part.onChange(() => this.#notify()));
    try {
      while (!signal.aborted) await this.#stretch(signal);
    } finally {
      for (const stop of stops) stop();
      this.#shots.end();
    }
    if (gate.permit() === null) this.#capIsOn();
    if (this.#predecessor() !== null) capture.close();
  }

  /**
   * Ends the capture under way in an orderly way and begins another one, under the settings as they
   * are then; what is missed is a Gap. Without a capture there is nothing to do.
   */
  restart(): void {
    this.#replaced.abort();
    this.#shots.close();
  }

  /**
   * The next picture. Where nothing is to be recorded the source is opened for it alone, and no longer.
   * @throws CONSENT_MISSING, LIGHT_FAILED, CAPTURE_ENDED, CAPTURE_STALLED, or what the source failed by.
   */
  still(signal: AbortSignal): Promise<Still> {
    if (this.isWanted()) return this.#deps.capture.still(signal);
    // One that nobody has told yet that it is wanted no more; while it lasts none of those that wait is taken.
    this.#replaced.abort();
    return this.#shots.ask(signal);
  }

  /** Whether consent and the recording settings want the source to be open now. */
  isWanted(): boolean {
    return this.#deps.gate.permit() !== null && this.#deps.wanted.mode() !== 'closed';
  }

  state(): CameraState {
    // As it is about to be: a light that is told of it again must not show less.
    const isRecording = (this.#isCapturing || this.#isOpening) && this.#recordsNow();
    const { gate } = this.#deps;
    const cap = gate.permit() === null && gate.stillPermit() === null ? 'on' : 'off';
    return { cap, isCapturing: this.#isCapturing, isRecording, isTaking: this.#shots.isTaking };
  }

  /** Calls back when the state may have changed. Returns how to stop that. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #stretch(signal: AbortSignal): Promise<unknown> {
    const { gate } = this.#deps;
    const permit = gate.permit();
    if (permit !== null)
      return this.isWanted() ? this.#captureUnder(permit, signal) : this.#rest(permit, signal);
    this.#capIsOn();
    return this.#idle(null, signal);
  }

  /**
   * Until another permit is there, or something is wanted, or `signal` is aborted; takes the pictures
   * that are asked for.
   */
  async #idle(known: Permit | null, signal: AbortSignal): Promise<void> {
    const { gate, wanted } = this.#deps;
    // A picture that is being taken gives way as well: what it delays would be missing in no Gap.
    const giveWay = new AbortController();
    const look = () => this.isWanted() && giveWay.abort();
    const stops = [gate.onChange(look), wanted.onChange(look)];
    look();
    const until = AbortSignal.any([signal, giveWay.signal]);
    while (!until.aborted && gate.permit() === known) {
      await this.#shots.take(until);
      const either = AbortSignal.any([until, this.#shots.asked]);
      await gate.other(known, either).catch(() => undefined);
    }
    for (const stop of stops) stop();
  }

  /** Where consent lasts all the same, the lease ran out. May be said again while it is so. */
  #capIsOn(): void {
    const before = this.#before;
    if (before !== null && this.#predecessor() !== null)
      this.#absent({ epoch: before.epoch, reason: 'lease_expired', code: null });
    else if (before?.what === 'run') this.#before = null;
  }

  /** Nothing is captured though consent to pictures lasts. */
  #absent(absence: Absence): void {
    const after = this.#predecessor();
    this.#deps.capture.absent(absence, after);
    const epoch = after === null ? absence.epoch : (this.#before?.epoch ?? absence.epoch);
    this.#before = { epoch, what: 'run' };
  }

  /** Until something is wanted, or another permit is there. */
  async #rest(permit: Permit, signal: AbortSignal): Promise<void> {
    this.#absent({ epoch: permit.epoch, reason: 'not_wanted', code: null });
    this.#deps.log.info('the camera stays closed: nothing is to be recorded now');
    await this.#idle(permit, signal);
  }

  async #captureUnder(permit: Permit, signal: AbortSignal): Promise<void> {
    const { gate, wanted } = this.#deps;
    this.#shots.refuse();
    const replaced = new AbortController();
    this.#replaced = replaced;
    const look = () => {
      const now = gate.permit();
      if (now === null) this.#capIsOn();
      if (!this.isWanted() || !this.#isEnough(permit, now)) replaced.abort();
    };
    const stops = [gate.onChange(look), wanted.onChange(look)];
    const end = AbortSignal.any([signal, replaced.signal]);
    try {
      if (await this.#open(permit, end)) await this.#capture(permit, end, signal);
    } finally {
      for (const stop of stops) stop();
      this.#isCapturing = false;
      this.#notify();
    }
  }

  /** Whether everything that has to come before the first picture is done. */
  async #open(permit: Permit, end: AbortSignal): Promise<boolean> {
    const { opening, log, retryMs = RETRY_MS } = this.#deps;
    if (opening === undefined) return !end.aborted;
    const isRecording = this.#recordsNow();
    const either = AbortSignal.any([end, permit.revoked]);
    try {
      this.#isOpening = true;
      const state = { cap: 'off', isCapturing: true, isRecording, isTaking: false } as const;
      await opening(state, either).finally(() => {
        this.#isOpening = false;
      });
      return !either.aborted;
    } catch (error) {
      if (either.aborted) return false;
      const { code, message } = toLenscapError(error, 'LIGHT_FAILED');
      log.error({ code, nextAttemptMs: retryMs }, message);
      this.#absent({ epoch: permit.epoch, reason: 'source_lost', code });
      await sleep(retryMs, undefined, { signal: either }).catch(() => undefined);
      return false;
    }
  }

  async #capture(permit: Permit, end: AbortSignal, signal: AbortSignal): Promise<void> {
    const { gate, wanted, capture, log, retryMs = RETRY_MS } = this.#deps;
    const after = this.#predecessor();
    this.#before = { epoch: permit.epoch, what: 'run' };
    this.#isCapturing = true;
    this.#notify();
    try {
      await capture.run(end, permit, after);
      if (end.aborted || permit.revoked.aborted) return;
      log.info('the source came to its end');
      this.#before = null;
      const changed = new AbortController();
      const stop = wanted.onChange(() => changed.abort());
      this.#isCapturing = false;
      this.#notify();
      await gate
        .other(gate.permit(), AbortSignal.any([signal, changed.signal, end]))
        .catch(() => undefined)
        .finally(stop);
    } catch (error) {
      this.#isCapturing = false;
      this.#notify();
      const { code, message } = toLenscapError(error, 'CAPTURE_FAILED');
      log.error({ code, nextAttemptMs: retryMs }, message);
      await sleep(retryMs, undefined, { signal: end }).catch(() => undefined);
    }
  }

  /** Null where consent to pictures was interrupted since. */
  #predecessor(): Predecessor | null {
    const before = this.#before;
    if (before === null) return null;
    const isUnbroken = this.#deps.gate.mayKeep({ epoch: before.epoch, scopes: ['video'] });
    return isUnbroken ? before.what : null;
  }

  #recordsNow(): boolean {
    const { wanted, motion } = this.#deps;
    return wanted.mode() === 'continuous' || (wanted.mode() === 'motion' && motion.isRecording());
  }

  /** Whether the capture under `old` does all that `now` permits. */
  #isEnough(old: Permit, now: Permit | null): boolean {
    return now === old || (now !== null && (!this.#deps.wantsSound() || now.audio === old.audio));
  }

  #notify(): void {
    for (const listener of [...this.#listeners]) listener();
  }
}

/** The spool as the capture sees it: what consent does not cover is dropped on the way. */
export function consentedSink(
  spool: Pick<Spool, 'stream' | 'segment' | 'gap'>,
  gate: Pick<Gate, 'mayKeep'>,
) {
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
