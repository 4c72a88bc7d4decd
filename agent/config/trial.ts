// Puts a pushed version in force, watches the pictures under it, and goes back by itself when they
// stop. Invariants: one version at a time; what breaks the pictures is gone back on, to what was proven
// last; what finds a broken camera is not blamed for it.
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import { ERRORS, type LenscapError, toLenscapError } from '../../proto/errors.ts';
import type { Clock } from '../clock.ts';
import { CameraCondition, type Pictures } from './condition.ts';
import type { Trial } from './desired.ts';
import { limitsOf, look, type Proof } from './proof.ts';
import type { Pushed } from './pushed.ts';

/** How often it is looked whether pictures flow, and whether any are wanted again. */
const LOOK_MS = 100;
const REST_MS = 1000;

export interface TrialsDeps {
  readonly pushed: Pushed;
  readonly pictures: Pictures;
  readonly clock: Pick<Clock, 'monoUs'>;
  readonly log: Logger;
  /** A version was given up. */
  readonly onReverted: (refusal: { readonly code: LenscapError['code']; detail: string }) => void;
}

export class Trials {
  readonly #deps: TrialsDeps;
  /** The version that is set already: the one with which the agent started. */
  #setVersion: number;
  readonly #condition: CameraCondition;

  constructor(deps: TrialsDeps) {
    this.#deps = deps;
    this.#condition = new CameraCondition(deps.pictures, deps.clock);
    this.#setVersion = deps.pushed.state.trial?.version ?? 0;
  }

  /** Resolves when `signal` is aborted. */
  async run(signal: AbortSignal): Promise<void> {
    const { pushed, onReverted } = this.#deps;
    const stopFollowing = this.#condition.follow();
    if (pushed.relapse !== null) onReverted(pushed.relapse);
    while (!signal.aborted) {
      const { trial } = pushed.state;
      if (trial === null) await this.#idle(signal);
      else await this.#try(trial, signal);
    }
    stopFollowing();
    pushed.close();
  }

  async #idle(signal: AbortSignal): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const onAbort = () => resolve();
    const stopListening = this.#deps.pushed.onChange(resolve);
    signal.addEventListener('abort', onAbort, { once: true });
    await promise;
    stopListening();
    signal.removeEventListener('abort', onAbort);
  }

  /** Until it is proven or given up, or another version came, or `signal` is aborted. */
  async #try({ version }: Trial, signal: AbortSignal): Promise<void> {
    const { pushed } = this.#deps;
    const ended = new AbortController();
    const stopListening = pushed.onChange(() => {
      if (pushed.state.trial?.version !== version) ended.abort();
    });
    const end = AbortSignal.any([signal, ended.signal]);
    try {
      await this.#findCamera(end);
      if (!end.aborted) await this.#set(version);
      await this.#watch(version, end);
    } catch (error) {
      // What ends in order breaks nothing.
      if (!signal.aborted) await this.#goBack(version, toLenscapError(error, 'CONFIG_UNHEALTHY'));
    } finally {
      stopListening();
    }
  }

  /** How the camera is before the version is set, which waits until that is known. */
  async #findCamera(end: AbortSignal): Promise<void> {
    const { pushed, pictures, clock } = this.#deps;
    const settings = pushed.settings.now();
    const untilUs = clock.monoUs() + limitsOf(settings).startUs;
    while (!end.aborted && pushed.state.trial?.isExcused === null) {
      const condition = this.#condition.now(settings);
      const isTooLate = clock.monoUs() > untilUs;
      if (condition !== 'unknown' || isTooLate || !pictures.isWanted())
        pushed.note({
          kind: 'found',
          isExcused: condition === 'broken' || (isTooLate && pictures.isWanted()),
        });
      else await sleep(LOOK_MS, undefined, { signal: end }).catch(() => undefined);
    }
  }

  async #set(version: number): Promise<void> {
    const { pushed, pictures, log } = this.#deps;
    const { trial } = pushed.state;
    if (version === this.#setVersion || trial === null) return;
    const before = pushed.settings.now();
    const after = pushed.configOf(trial);
    const change = pictures.changeOf(before, after);
    log.info({ version, change }, 'another configuration is tried');
    this.#setVersion = version;
    pushed.settings.replace(after);
    const needed = change === 'live' ? await this.#adjust(trial) : change;
    if (needed === 'restart') await this.#condition.restart();
    else this.#applied(version);
  }

  /** A capture that is closed meanwhile, or broken anyway, takes the settings up when it begins again. */
  async #adjust({ isExcused }: Trial): Promise<'set' | 'restart'> {
    const { pictures } = this.#deps;
    try {
      return await pictures.adjust();
    } catch (error) {
      if (!pictures.isWanted()) return 'set';
      if (isExcused) return 'restart';
      throw error;
    }
  }

  #applied(version: number): void {
    const { pushed } = this.#deps;
    if (pushed.state.trial?.version === version) pushed.note({ kind: 'applied' });
  }

  /** @throws what broke under the version, unless it is excused. */
  async #watch(version: number, end: AbortSignal): Promise<void> {
    const { pushed, pictures, clock } = this.#deps;
    const broken = new AbortController();
    const either = AbortSignal.any([end, broken.signal]);
    const isExcused = pushed.state.trial?.isExcused === true;
    const stopListening = pictures.onFailed((error) => {
      if (!isExcused) broken.abort(error);
    });
    const sinceUs = clock.monoUs();
    try {
      for (let proof: Proof = null; !either.aborted; ) {
        const seen = this.#look(proof, isExcused, sinceUs);
        proof = seen.proof;
        if (seen.kind === 'proven' && this.#proven(version)) return;
        if (seen.kind === 'resting') this.#applied(version);
        const waitMs = seen.kind === 'waiting' && !isExcused ? LOOK_MS : REST_MS;
        await sleep(waitMs, undefined, { signal: either }).catch(() => undefined);
      }
      if (!end.aborted) throw broken.signal.reason;
    } finally {
      stopListening();
    }
  }

  /** One look at the pictures. @throws Error when they do not flow as they should. */
  #look(proof: Proof, isExcused: boolean, sinceUs: number) {
    const { pushed, pictures, clock } = this.#deps;
    const limits = limitsOf(pushed.settings.now());
    const nowUs = clock.monoUs();
    const isWanted = pictures.isWanted();
    const seen = look(proof, { nowUs, isWanted, lastPictureUs: pictures.lastPictureUs() }, limits);
    if (seen.kind === 'failed' && !isExcused) throw new Error(seen.detail);
    // Of a broken camera nothing is learnt: what did not end the agent by now will not.
    const isOver = isExcused && nowUs - sinceUs > limits.provenAfterUs;
    pushed.note({ kind: seen.kind === 'resting' || isOver ? 'rested' : 'resumed' });
    return seen.kind === 'failed' ? { ...seen, proof: null } : seen;
  }

  /** Not before it is on disk: what is told to have worked is not given up after a restart. */
  #proven(version: number): boolean {
    const { pushed, log } = this.#deps;
    if (pushed.noteIfSaved({ kind: 'proven' }) !== null) return false;
    log.info({ version }, 'the configuration is proven');
    return true;
  }

  async #goBack(version: number, error: LenscapError): Promise<void> {
    const { pushed, pictures, log, onReverted } = this.#deps;
    if (pushed.state.trial?.version !== version) return;
    const code = 'CONFIG_UNHEALTHY';
    const detail = detailOf(error);
    log.error(
      { code, cause: error.code, version },
      `back to the configuration before: ${error.detail}`,
    );
    pushed.note({ kind: 'failed', code, detail });
    this.#setVersion = 0;
    const before = pushed.settings.now();
    const after = pushed.configOf(pushed.state.good);
    pushed.settings.replace(after);
    onReverted({ code, detail });
    // Whatever could have been set live: what broke is not relied on.
    if (pictures.changeOf(before, after) !== 'none') await this.#condition.restart();
  }
}

/** Texts of others may name addresses, which the log alone is allowed to. */
function detailOf({ code, detail }: LenscapError): string {
  return code === 'CONFIG_UNHEALTHY' ? detail : `${ERRORS[code].message} (${code})`;
}
