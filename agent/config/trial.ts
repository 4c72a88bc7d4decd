// Puts a pushed version in force, watches the pictures under it, and goes back by itself when they
// stop. Invariants: one version at a time; what is not proven is gone back on, to what was proven last.
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { AgentConfig } from '../../proto/agent-config.ts';
import { ERRORS, type LenscapError, toLenscapError } from '../../proto/errors.ts';
import type { Clock } from '../clock.ts';
import type { Trial } from './desired.ts';
import { look, type Proof, type ProofLimits } from './proof.ts';
import type { Pushed } from './pushed.ts';

/** How often it is looked whether pictures flow, and whether any are wanted again. */
const LOOK_MS = 100;
const REST_MS = 1000;
/** On top of what a source may take to start: the capture before it has to end first. */
const CHANGE_US = 5_000_000;

/** The capture as a trial sees it. */
export interface Pictures {
  /** The camera is to be open: consent and the recording mode want it. */
  isWanted(): boolean;
  /** When the newest picture came, monotonic microseconds; null before the first. */
  lastPictureUs(): number | null;
  /** What it takes to go from one configuration to the other. */
  changeOf(before: AgentConfig, after: AgentConfig): 'none' | 'live' | 'restart';
  /** Sets what can be set while pictures flow, or tells that it cannot. Rejects when it failed. */
  adjust(): Promise<'set' | 'restart'>;
  /** Ends the capture and begins another one; resolves when the old one has ended. */
  restart(): Promise<void>;
  /** Calls back when a capture has failed. Returns how to stop that. */
  onFailed(listener: (error: LenscapError) => void): () => void;
}

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

  constructor(deps: TrialsDeps) {
    this.#deps = deps;
    this.#setVersion = deps.pushed.state.trial?.version ?? 0;
  }

  /** Resolves when `signal` is aborted. */
  async run(signal: AbortSignal): Promise<void> {
    const { pushed, onReverted } = this.#deps;
    if (pushed.relapse !== null) onReverted(pushed.relapse);
    while (!signal.aborted) {
      const changed = Promise.withResolvers<void>();
      const onAbort = () => changed.resolve();
      const stopListening = pushed.onChange(changed.resolve);
      signal.addEventListener('abort', onAbort, { once: true });
      const { trial } = pushed.state;
      if (trial !== null) await this.#try(trial, signal);
      else await changed.promise;
      stopListening();
      signal.removeEventListener('abort', onAbort);
    }
    // An orderly end breaks nothing.
    pushed.note({ kind: 'rested' });
  }

  /** Until it is proven or given up, or another version came, or `signal` is aborted. */
  async #try(trial: Trial, signal: AbortSignal): Promise<void> {
    const { pushed, pictures } = this.#deps;
    const { version } = trial;
    const ended = new AbortController();
    const failures: LenscapError[] = [];
    const stopListening = [
      pictures.onFailed((error) => {
        failures.push(error);
        ended.abort();
      }),
      pushed.onChange(() => {
        if (pushed.state.trial?.version !== version) ended.abort();
      }),
    ];
    try {
      await this.#set(trial);
      await this.#watch(version, AbortSignal.any([signal, ended.signal]));
      const [failure] = failures;
      if (failure !== undefined && pushed.state.trial?.version === version) throw failure;
    } catch (error) {
      // What ends in order breaks nothing.
      if (!signal.aborted) await this.#goBack(version, toLenscapError(error, 'CONFIG_UNHEALTHY'));
    } finally {
      for (const stop of stopListening) stop();
    }
  }

  async #set(trial: Trial): Promise<void> {
    const { pushed, pictures, log } = this.#deps;
    const { version } = trial;
    if (version === this.#setVersion) return;
    const before = pushed.settings.now();
    const after = pushed.configOf(trial);
    const change = pictures.changeOf(before, after);
    log.info({ version, change }, 'another configuration is tried');
    this.#setVersion = version;
    pushed.settings.replace(after);
    const needed = change === 'live' ? await this.#adjust() : change;
    if (needed === 'restart') await pictures.restart();
    else this.#applied(version);
  }

  /** A capture that is closed meanwhile takes the settings up when it begins again. */
  async #adjust(): Promise<'set' | 'restart'> {
    const { pictures } = this.#deps;
    try {
      return await pictures.adjust();
    } catch (error) {
      if (pictures.isWanted()) throw error;
      return 'set';
    }
  }

  #applied(version: number): void {
    const { pushed } = this.#deps;
    if (pushed.state.trial?.version === version) pushed.note({ kind: 'applied' });
  }

  async #watch(version: number, signal: AbortSignal): Promise<void> {
    const { pushed, pictures, clock, log } = this.#deps;
    const limits = limitsOf(pushed.settings.now());
    for (let proof: Proof = null; !signal.aborted; ) {
      const sight = {
        nowUs: clock.monoUs(),
        isWanted: pictures.isWanted(),
        lastPictureUs: pictures.lastPictureUs(),
      };
      const verdict = look(proof, sight, limits);
      proof = verdict.proof;
      if (verdict.kind === 'failed') throw new Error(verdict.detail);
      if (verdict.kind === 'proven') {
        log.info({ version }, 'the configuration is proven');
        pushed.note({ kind: 'proven' });
        return;
      }
      const isResting = verdict.kind === 'resting';
      pushed.note({ kind: isResting ? 'rested' : 'resumed' });
      if (isResting) this.#applied(version);
      const waitMs = isResting ? REST_MS : LOOK_MS;
      await sleep(waitMs, undefined, { signal }).catch(() => undefined);
    }
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
    if (pictures.changeOf(before, after) !== 'none') await pictures.restart();
  }
}

/** Texts of others may name addresses, which the log alone is allowed to. */
function detailOf({ code, detail }: LenscapError): string {
  return code === 'CONFIG_UNHEALTHY' ? detail : `${ERRORS[code].message} (${code})`;
}

function limitsOf({ capture, health, video }: AgentConfig): ProofLimits {
  const stallMs = Math.max(capture.stallTimeoutMs, 3000 / video.frameRate + 500);
  return {
    provenAfterUs: health.provenAfterMs * 1000,
    startUs: capture.startTimeoutMs * 1000 + CHANGE_US,
    silenceUs: stallMs * 1000 + CHANGE_US,
  };
}
