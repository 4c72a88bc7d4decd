// The configuration that the server wants: verifies, judges, keeps, and tells what became of it.
// INVARIANTS: what is not signed by the pinned key for this device, or not newer than all before,
// changes nothing; without consent to the part `configuration` nothing of it is told.
import type { KeyObject } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import {
  type DesiredConfig,
  encodeReported,
  type Reported,
  verifyDesiredConfig,
} from '../../proto/desired-config.ts';
import { pushableOf } from '../../proto/device-config.ts';
import { toLenscapError } from '../../proto/errors.ts';
import type { InfoField } from '../../proto/info.ts';
import type { Gate } from '../consent/gate.ts';
import type { Errand, Line } from '../uplink/errand.ts';
import { inForceOf, OWN, type Refusal, standingOf } from './desired.ts';
import { judged } from './merged.ts';
import type { Pushed } from './pushed.ts';

/** What is applied by then is not told as accepted before: each message is a commit for the server. */
const SETTLE_MS = 100;

interface News {
  readonly reported: Reported;
  /** Changes when what is told does. */
  readonly mark: string;
}

export interface ConfiguringDeps {
  readonly identity: { readonly deviceId: string; readonly consentKey: KeyObject };
  readonly pushed: Pushed;
  readonly gate: Pick<Gate, 'grantOf' | 'onChange'> & {
    infoFields(): readonly InfoField[];
  };
  readonly log: Logger;
}

export class Configuring implements Errand {
  readonly noun = 'config';
  readonly #deps: ConfiguringDeps;
  /** One that the disk did not take: tried again when it is sent again. */
  #unsaved: Refusal | null = null;
  readonly #listeners = new Set<() => void>();

  constructor(deps: ConfiguringDeps) {
    this.#deps = deps;
  }

  receive(payload: Uint8Array): void {
    const { identity, log } = this.#deps;
    try {
      this.#take(verifyDesiredConfig(payload, identity.consentKey, identity.deviceId));
    } catch (error) {
      const { code, message } = toLenscapError(error);
      log.warn({ code }, `a configuration is ignored: ${message}`);
    }
  }

  async run(line: Line, signal: AbortSignal): Promise<void> {
    const { log } = this.#deps;
    let changed = Promise.withResolvers<void>();
    const wake = (): void => changed.resolve();
    const stopListening = this.#onChange(wake);
    signal.addEventListener('abort', wake, { once: true });
    let told = '';
    while (!signal.aborted) {
      changed = Promise.withResolvers<void>();
      const news = await this.#settled(signal);
      if (news !== null && news.mark !== told && !signal.aborted)
        // Not waited for: what comes next is told at once, and arrives behind it.
        line
          .publish('reported', encodeReported(news.reported))
          .catch((error: unknown) => log.debug({ code: toLenscapError(error).code }, 'not told'));
      told = news?.mark ?? '';
      await changed.promise;
    }
    stopListening();
  }

  /** Calls back when there may be other news. Returns how to stop that. */
  #onChange(listener: () => void): () => void {
    const { gate, pushed } = this.#deps;
    this.#listeners.add(listener);
    const stops = [gate.onChange(listener), pushed.onChange(listener)];
    return () => {
      this.#listeners.delete(listener);
      for (const stop of stops) stop();
    };
  }

  #take({ version, document: text }: DesiredConfig): void {
    const { pushed, gate, log } = this.#deps;
    const { highest } = pushed.state;
    // An agent that ends tries nothing any more; the server sends it again to the next one.
    if (pushed.isClosed) return;
    if (version <= highest) {
      if (version < highest) log.warn({ version, highest }, 'an older configuration is ignored');
      return;
    }
    const board = pushed.configOf(OWN);
    const { document, code, faults } = judged(board, text, (scope) => gate.grantOf(scope) !== null);
    const paths = faults.map(({ path }) => path);
    if (faults.length > 0) log.warn({ code, version, paths }, 'a configuration is rejected');
    else log.info({ version }, 'a configuration is accepted');
    const fault = pushed.noteIfSaved({ kind: 'received', version, document, code, faults });
    this.#unsaved =
      fault === null
        ? null
        : { state: 'rejected', version, code: fault.code, detail: fault.detail, faults: [] };
    for (const listener of [...this.#listeners]) listener();
  }

  async #settled(signal: AbortSignal): Promise<News | null> {
    const first = this.#news();
    if (first?.reported.state !== 'accepted') return first;
    const other = new AbortController();
    const stopListening = this.#onChange(() => {
      if (this.#news()?.mark !== first.mark) other.abort();
    });
    const end = AbortSignal.any([signal, other.signal]);
    await sleep(SETTLE_MS, undefined, { signal: end }).catch(() => undefined);
    stopListening();
    return this.#news();
  }

  /** What is to be told; null where nothing may or can be. */
  #news(): News | null {
    const { gate, pushed } = this.#deps;
    const grant = gate.grantOf('device_info');
    if (grant === null || !gate.infoFields().includes('configuration')) return null;
    const { state, settings } = pushed;
    const standing = this.#unsaved ?? standingOf(state);
    if (standing === null) return null;
    const reported: Reported = {
      code: null,
      detail: '',
      faults: [],
      ...standing,
      epoch: grant.epoch,
      inForce: inForceOf(state).version,
      atUs: state.changedAtUs,
      settings: JSON.stringify(pushableOf(settings.now())),
    };
    // A new epoch may come with another policy: the server asks for all of it anew.
    return { reported, mark: JSON.stringify(reported) };
  }
}
