// What was pushed to this board, on disk, and the settings that follow from it.
// INVARIANTS: a state is on disk before anybody acts on it; whatever the file holds, there are valid
// settings: at worst the board's own.
import type { Logger } from 'pino';
import type { AgentConfig } from '../../proto/agent-config.ts';
import { type LenscapError, toLenscapError } from '../../proto/errors.ts';
import type { Clock } from '../clock.ts';
import {
  after,
  type Desired,
  type DesiredEvent,
  inForceOf,
  NOTHING_DESIRED,
  type Refusal,
  type Version,
} from './desired.ts';
import { readDesiredFile, writeDesiredFile } from './desired-file.ts';
import { merged } from './merged.ts';
import { Settings } from './settings.ts';

/** Why a version was given up. */
export type Relapse = Pick<Refusal, 'code' | 'detail'>;

export interface PushedDeps {
  /** The configuration file of the board. */
  readonly board: AgentConfig;
  readonly clock: Pick<Clock, 'wallUs'>;
  readonly log: Logger;
}

export class Pushed {
  readonly settings: Settings;
  readonly #deps: PushedDeps;
  readonly #listeners = new Set<() => void>();
  #state: Desired;
  #isClosed = false;
  /** The disk did not take what was to be saved last. */
  #isFailing = false;
  readonly #relapse: Relapse | null;

  /** Reads what an earlier run left. Never throws. */
  constructor(deps: PushedDeps) {
    this.#deps = deps;
    this.#state = this.#read();
    const { trial } = this.#state;
    const fault = this.note({ kind: 'started' });
    if (fault !== null && this.#state.trial !== null)
      this.note({ kind: 'failed', code: fault.code, detail: 'it could not be saved' });
    this.#dropUnfit();
    this.#relapse = trial === null ? null : relapseOf(this.#state, trial.version);
    this.settings = new Settings(this.configOf(inForceOf(this.#state)));
  }

  get state(): Desired {
    return this.#state;
  }

  /** Why the version under way at the last end was given up at this start; null if none was. */
  get relapse(): Relapse | null {
    return this.#relapse;
  }

  /** The agent ends: who takes versions in leaves them to the next one. */
  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** The agent ends in order, which breaks nothing. */
  close(): void {
    this.note({ kind: 'rested' });
    this.#isClosed = true;
  }

  /** Takes an event in; returns why the disk did not take it, or null. In memory it is in any case. */
  note(event: DesiredEvent): LenscapError | null {
    const { next, fault } = this.#next(event);
    this.#become(next);
    return fault;
  }

  /** The same, but what the disk does not take has not happened. */
  noteIfSaved(event: DesiredEvent): LenscapError | null {
    const { next, fault } = this.#next(event);
    if (fault === null) this.#become(next);
    return fault;
  }

  #next(event: DesiredEvent): { readonly next: Desired; readonly fault: LenscapError | null } {
    const next = after(this.#state, event, this.#deps.clock.wallUs());
    const isKept = next !== this.#state && isWorthAWrite(event);
    return { next, fault: isKept ? this.#save(next) : null };
  }

  #become(next: Desired): void {
    if (next === this.#state) return;
    this.#state = next;
    for (const listener of [...this.#listeners]) listener();
  }

  /** The settings under a version; the board's own where it does not fit them. */
  configOf({ document }: Version): AgentConfig {
    const { board } = this.#deps;
    return merged(board, document).config ?? board;
  }

  /** Calls back after each change of the state. Returns how to stop that. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #read(): Desired {
    const { board, log } = this.#deps;
    try {
      return readDesiredFile(board.stateDir) ?? NOTHING_DESIRED;
    } catch (error) {
      const { code, message } = toLenscapError(error, 'CONFIG_INVALID');
      log.error({ code }, `${message}; the board's own is in force until the server sends one`);
      return NOTHING_DESIRED;
    }
  }

  /** The board's file may have changed since. */
  #dropUnfit(): void {
    const { board, log } = this.#deps;
    const { trial, good } = this.#state;
    if (trial !== null && merged(board, trial.document).config === null)
      this.note({
        kind: 'failed',
        code: 'CONFIG_INVALID',
        detail: "it does not fit the board's own configuration any more",
      });
    const { faults } = merged(board, good.document);
    if (faults.length === 0) return;
    const paths = faults.map(({ path }) => path);
    log.error(
      { code: 'CONFIG_INVALID', version: good.version, paths },
      "the proven configuration does not fit the board any more; the board's own is in force",
    );
    this.note({ kind: 'unfit', faults });
  }

  #save(next: Desired): LenscapError | null {
    const { board, log } = this.#deps;
    try {
      writeDesiredFile(board.stateDir, next);
      this.#isFailing = false;
      return null;
    } catch (error) {
      const fault = toLenscapError(error, 'STORE_FAILED');
      if (!this.#isFailing) log.error({ code: fault.code }, fault.message);
      this.#isFailing = true;
      return fault;
    }
  }
}

/** What each start finds out anew is not worth a write to flash. */
function isWorthAWrite(event: DesiredEvent): boolean {
  return event.kind !== 'applied' && !(event.kind === 'found' && !event.isExcused);
}

/** Null where the version is still tried. */
function relapseOf({ trial, refusal }: Desired, version: number): Relapse | null {
  if (trial !== null) return null;
  if (refusal?.version === version) return refusal;
  return { code: 'CONFIG_UNHEALTHY', detail: '' };
}
