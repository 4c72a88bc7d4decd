// The life of the agent on its board: waits for an identity, works as that device, and forgets it all
// when the owner releases it or somebody resets the board. Invariants: one agent for a state folder;
// where an end of the ownership is noted, it is brought to its end before anything else.
import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import type { Logger } from 'pino';
import type { AgentConfig } from '../proto/agent-config.ts';
import { LenscapError, toLenscapError } from '../proto/errors.ts';
import type { ReleaseCause } from '../proto/release.ts';
import { Light, lampOf } from './board/light.ts';
import { ResetButton } from './board/reset-button.ts';
import { Lens } from './claim/lens.ts';
import type { CodeSource } from './claim/source.ts';
import { Stick } from './claim/stick.ts';
import { KnownTime, systemClock } from './clock.ts';
import type { Surroundings } from './device-deps.ts';
import { DeviceLife } from './device-life.ts';
import { cleanAfter } from './durable-file.ts';
import { depart, departureOf, markDeparture } from './identity/departure.ts';
import { findIdentity, type Identity, loadFactoryIdentity } from './identity/identity.ts';
import { tryRunLock, withIdentityLock } from './identity/lock.ts';
import { cleanPendingKeys } from './identity/pending-key.ts';
import { forgetInstance, makeStateDir, publishInstance } from './identity/state-files.ts';
import { Unclaimed } from './identity/unclaimed.ts';
import { RELEASED_AT_US } from './version.ts';

/** A reset by a command is seen this soon. */
const LOOK_MS = 500;
const RETRY_MS = 10_000;

/**
 * Runs the agent until `signal` is aborted and what could be sent is sent. Another configuration file
 * takes effect at once, with a new life.
 * @throws STORE_FAILED when the state folder cannot be used, STORE_LOCKED when another agent runs on
 * it, IDENTITY_INVALID.
 */
export async function runAgent(
  config: AgentConfig,
  log: Logger,
  signal: AbortSignal,
  around: Surroundings,
): Promise<void> {
  makeStateDir(config.stateDir);
  const lock = tryRunLock(config.stateDir);
  if (lock === null)
    throw new LenscapError('STORE_LOCKED', `another agent runs on ${config.stateDir}`);
  const agent = new Agent(config, log, around);
  const stopListening = around.onReload((next) => agent.reload(next));
  try {
    await agent.run(signal);
  } finally {
    stopListening();
    forgetInstance(config.stateDir);
    lock.release();
  }
}

class Agent {
  readonly #log: Logger;
  readonly #around: Surroundings;
  readonly #time: KnownTime;
  readonly #instanceId = randomBytes(16).toString('hex');
  #config: AgentConfig;
  /** Ends the stretch of life under way. */
  #change = new AbortController();
  /** An end of the ownership that could not be noted on disk. */
  #unnoted: ReleaseCause | null = null;

  constructor(config: AgentConfig, log: Logger, around: Surroundings) {
    this.#config = config;
    this.#log = log;
    this.#around = around;
    this.#time = new KnownTime(systemClock, RELEASED_AT_US, () =>
      log.warn('the clock shows a time that has passed: dates of certificates are not judged'),
    );
  }

  /** Lives on with another configuration. What says whose board it is, or ends that, takes a restart. */
  reload(config: AgentConfig): void {
    const paths = fixedPathsIn(this.#config, config);
    if (paths.length > 0) {
      this.#log.error({ code: 'CONFIG_INVALID', paths }, 'these do not change without a restart');
      return;
    }
    if (isDeepStrictEqual(config, this.#config)) return;
    this.#config = config;
    this.#change.abort();
  }

  async run(signal: AbortSignal): Promise<void> {
    const { stateDir, identity: identityPath, board } = this.#config;
    this.#publishInstance();
    await withIdentityLock(stateDir, signal, () => {
      cleanAfter(identityPath);
      cleanPendingKeys(identityPath);
    }).catch((error: unknown) => {
      if (!signal.aborted) throw error;
    });
    const { resetButton: button, resetHoldMs: holdMs } = board;
    const log = this.#log.child({ part: 'board' });
    const onReset = () => {
      log.warn('the reset button was held');
      this.#mark('reset');
    };
    const ended = new AbortController();
    const watching =
      button === null
        ? Promise.resolve()
        : new ResetButton({ button, holdMs, log, onReset }).run(
            AbortSignal.any([signal, ended.signal]),
          );
    try {
      while (!signal.aborted) await this.#live(signal);
    } finally {
      ended.abort();
      await watching;
    }
  }

  /** A full disk is no reason not to work: it only costs a command its part in this run. */
  #publishInstance(): void {
    try {
      publishInstance(this.#config.stateDir, this.#instanceId);
    } catch (error) {
      const { code, message } = toLenscapError(error);
      if (code !== 'STORE_FULL') throw error;
      this.#log.warn({ code }, message);
    }
  }

  /** One stretch of life, from what is on disk to a change of it. */
  async #live(signal: AbortSignal): Promise<void> {
    const cause = this.#departure();
    if (cause !== null) return this.#depart(cause, signal);
    const change = new AbortController();
    this.#change = change;
    const watching = this.#watchForDeparture(change, signal);
    try {
      const identity = findIdentity(this.#config.identity);
      if (identity === null) await this.#wait(AbortSignal.any([signal, change.signal]));
      else await this.#work(identity, signal, change);
    } finally {
      change.abort();
      await watching;
    }
  }

  #departure(): ReleaseCause | null {
    return this.#unnoted ?? departureOf(this.#config.stateDir);
  }

  /** By a command in another process, or by the button. */
  async #watchForDeparture(change: AbortController, signal: AbortSignal): Promise<void> {
    const end = AbortSignal.any([signal, change.signal]);
    while (!end.aborted) {
      if (this.#departure() !== null) change.abort();
      await sleep(LOOK_MS, undefined, { signal: end }).catch(() => undefined);
    }
  }

  /** Where the disk takes no note, it is obeyed all the same. */
  #mark(cause: ReleaseCause): void {
    try {
      markDeparture(this.#config.stateDir, cause);
    } catch (error) {
      const { code, message } = toLenscapError(error);
      this.#log.error({ code }, `${message}; a restart would not know of it`);
      this.#unnoted = cause;
    }
  }

  async #depart(cause: ReleaseCause, signal: AbortSignal): Promise<void> {
    const { stateDir, identity: identityPath, uplink } = this.#config;
    const log = this.#log.child({ part: 'identity' });
    const { keepaliveS } = uplink;
    const line = { instanceId: this.#instanceId, keepaliveS, time: this.#time };
    try {
      await withIdentityLock(stateDir, signal, () =>
        depart({ identityPath, stateDir, line, log }, cause, signal),
      );
      this.#unnoted = null;
    } catch (error) {
      if (signal.aborted) return;
      const { code, message } = toLenscapError(error, 'STORE_FAILED');
      log.error({ code, nextAttemptMs: RETRY_MS }, message);
      await sleep(RETRY_MS, undefined, { signal }).catch(() => undefined);
    }
  }

  async #wait(signal: AbortSignal): Promise<void> {
    const { stateDir, identity: identityPath, factory, board, light: settings } = this.#config;
    const log = this.#log.child({ part: 'claim' });
    const light = new Light({
      lamp: lampOf(board.light),
      brightnessPercent: () => settings.brightnessPercent,
      log: this.#log.child({ part: 'board' }),
      onFailed: () => lens.closeInTheDark(),
    });
    const lens = new Lens({ config: this.#config, log, light });
    const unclaimed = new Unclaimed({
      identityPath,
      stateDir,
      time: this.#time,
      log: this.#log.child({ part: 'identity' }),
      random: Math.random,
      sources: this.#sources(lens, log),
      factory: factory === null ? null : loadFactoryIdentity(factory),
    });
    // An agent before this one may have left it on.
    light.show('off').catch((error: unknown) => {
      const { code, message } = toLenscapError(error, 'LIGHT_FAILED');
      log.error({ code }, message);
    });
    await unclaimed.run(signal).finally(() => light.close());
  }

  #sources(lens: Lens, log: Logger): CodeSource[] {
    const { claim } = this.#config;
    return [
      ...(claim.lens ? [lens] : []),
      ...(claim.folders.length > 0 ? [new Stick({ folders: claim.folders, log })] : []),
    ];
  }

  async #work(identity: Identity, signal: AbortSignal, change: AbortController): Promise<void> {
    const log = this.#log.child({ deviceId: identity.deviceId });
    this.#time.learn(identity.certificateStartsAtUs);
    const { notifier, watchdogPeriodMs, journal, setLogLevel } = this.#around;
    const life = new DeviceLife({
      config: this.#config,
      identity,
      serial: serialIn(this.#config.factory),
      notifier,
      watchdogPeriodMs,
      journal,
      setLogLevel,
      instanceId: this.#instanceId,
      clock: systemClock,
      time: this.#time,
      random: Math.random,
      log,
      onRelease: () => {
        this.#mark('ordered');
        change.abort();
      },
      onReplaced: () => change.abort(),
      isDeparting: () => this.#departure() !== null,
    });
    await life.run(signal, change.signal);
  }
}

/** What differs between two configurations that is read once, at the start. */
function fixedPathsIn(before: AgentConfig, after: AgentConfig): string[] {
  const fixed = ({ identity, stateDir, board }: AgentConfig) => ({
    '/identity': identity,
    '/stateDir': stateDir,
    '/board/resetButton': board.resetButton,
    '/board/resetHoldMs': board.resetHoldMs,
  });
  const next = new Map<string, unknown>(Object.entries(fixed(after)));
  return Object.entries(fixed(before))
    .filter(([path, value]) => !isDeepStrictEqual(value, next.get(path)))
    .map(([path]) => path);
}

/** As the maker of the board gave it. A file that cannot be read matters to a claim alone. */
function serialIn(factory: string | null): string | null {
  try {
    return factory === null ? null : loadFactoryIdentity(factory).serial;
  } catch {
    return null;
  }
}
