// Carries rollouts out. Everything it knows is in the index, so it goes on after a restart of the server
// where it was. INVARIANT: what became of a device is noted in the transaction that wrote its version;
// a stage begins only when nextStep() says so; what is wrong with one device holds nobody else up.

import { isObject, type Json } from '../../proto/device-config.ts';
import { ERRORS, LenscapError, toLenscapError } from '../../proto/errors.ts';
import type { DeviceRow } from '../store/devices.ts';
import type { RolloutDeviceRow, RolloutRow, RolloutRows } from '../store/rollout-rows.ts';
import type { Store, TransactionRows } from '../store/store.ts';
import type { Configuration } from './configuration.ts';
import { patched } from './configuration-document.ts';
import { RolloutAnswers, type RolloutAnswersDeps, sharesConfiguration } from './rollout-answers.ts';
import { batches, note } from './rollout-note.ts';
import { nextStep, type Planned } from './rollout-plan.ts';
import { isDeviceState } from './rollout-states.ts';
import type { Rollouts } from './rollouts.ts';

/** Told of `reported` by whoever takes it in. */
export interface RolloutEngineDeps extends RolloutAnswersDeps {
  readonly store: Pick<Store, 'devices' | 'keys' | 'told' | 'inTransaction'> & {
    readonly rollouts: Pick<RolloutRows, 'running' | 'devicesOf' | 'sentTo' | 'everSent'>;
  };
  readonly configuration: Pick<Configuration, 'changeIn'>;
  readonly rollouts: Pick<Rollouts, 'stop'>;
  /** Called after each new version, with the device to tell. */
  readonly changed: (deviceId: string) => void;
  readonly log: {
    info(about: object, message: string): void;
    error(about: object, message: string): void;
  };
  /** Resolves after so long, or when aborted. */
  readonly wait: (ms: number, signal: AbortSignal) => Promise<void>;
}

/** `key`: of its account; undefined: lost or damaged. */
interface Recipient {
  readonly device: DeviceRow;
  readonly key: Buffer | undefined;
}

const LOOK_MS = 250;
/** One that waits for devices is looked at more seldom, since that reads all of them. */
const CALM_MS = 1000;
/** After a failure. */
const RETRY_MS = 5000;

export class RolloutEngine {
  readonly #deps: RolloutEngineDeps;
  readonly #answers: RolloutAnswers;
  /** By rollout, monotonic: unless something is answered, there is nothing to do before. */
  readonly #calmUntilMs = new Map<number, number>();

  constructor(deps: RolloutEngineDeps) {
    this.#deps = deps;
    this.#answers = new RolloutAnswers(deps);
  }

  /** A device has said what became of its configuration. */
  reported(deviceId: string): void {
    this.#answers.add(deviceId);
  }

  async run(signal: AbortSignal): Promise<void> {
    let isFirst = true;
    while (!signal.aborted) {
      try {
        if (isFirst) await this.#answers.addAll();
        isFirst = false;
        await this.#look(await this.#answers.take(), signal);
      } catch (err) {
        this.#deps.log.error({ err }, 'rollouts could not be carried on; tried again');
      }
      await this.#deps.wait(LOOK_MS, signal);
    }
  }

  async #look(isAnythingNew: boolean, signal: AbortSignal): Promise<void> {
    if (isAnythingNew) this.#calmUntilMs.clear();
    for (const row of await this.#deps.store.rollouts.running()) {
      const isCalm = performance.now() < (this.#calmUntilMs.get(row.rollout_id) ?? 0);
      if (!isCalm && !signal.aborted) await this.#carryOn(row, signal);
    }
  }

  async #carryOn(row: RolloutRow, signal: AbortSignal): Promise<void> {
    const { rollout_id: rolloutId } = row;
    const restMs = await this.#step(row, signal).catch((err: unknown) => {
      this.#deps.log.error({ err, rolloutId }, 'a rollout could not be carried on; tried again');
      return RETRY_MS;
    });
    if (restMs > 0) this.#calmUntilMs.set(rolloutId, performance.now() + restMs);
    else this.#calmUntilMs.delete(rolloutId);
  }

  /** Returns after how many milliseconds there may be more to do by itself. */
  async #step(row: RolloutRow, signal: AbortSignal): Promise<number> {
    const { store, nowUs, rollouts, log } = this.#deps;
    const { rollout_id: rolloutId, wait_s, settle_s, stop_percent: stopPercent } = row;
    const devices = await store.rollouts.devicesOf(rolloutId);
    const limits = { waitUs: wait_s * 1e6, settleUs: settle_s * 1e6, stopPercent };
    const step = nextStep(devices.map(plannedOf), limits, nowUs());
    if (step.kind === 'wait') return CALM_MS;
    if (step.kind === 'stop') {
      await rollouts.stop(rolloutId, step.why);
      log.error({ rolloutId, why: step.why }, 'rollout stopped');
    } else if (step.kind === 'done') await this.#complete(rolloutId);
    else if (step.kind === 'late') await this.#late(rolloutId, step.deviceIds);
    else await this.#send(row, step.deviceIds, signal);
    return 0;
  }

  async #complete(rolloutId: number): Promise<void> {
    const done = { state: 'done', state_at_us: this.#deps.nowUs() };
    await this.#deps.store.inTransaction(async ({ rollouts }) => {
      if ((await rollouts.byId(rolloutId))?.state === 'running')
        await rollouts.set(rolloutId, done);
    });
    this.#deps.log.info({ rolloutId }, 'rollout done');
  }

  async #late(rolloutId: number, deviceIds: readonly string[]): Promise<void> {
    const { store, nowUs } = this.#deps;
    for (const batch of batches(deviceIds))
      await store.inTransaction(async (rows) => {
        for (const row of await rows.rollouts.sentTo(batch))
          if (row.rollout_id === rolloutId) await note(rows, row, 'late', nowUs());
      });
  }

  async #send(row: RolloutRow, deviceIds: readonly string[], signal: AbortSignal): Promise<void> {
    const { store, changed } = this.#deps;
    const patch = jsonOf(row.patch);
    for (const batch of batches(deviceIds)) {
      if (signal.aborted) return;
      const recipients = await this.#recipients(batch);
      const told = await store.inTransaction(async (rows) => {
        // Whoever stops a rollout stops it here, within its stage.
        if ((await rows.rollouts.byId(row.rollout_id))?.state !== 'running') return undefined;
        return this.#sendAll(rows, row.rollout_id, patch, recipients);
      });
      if (told === undefined) return;
      for (const deviceId of told) changed(deviceId);
    }
  }

  /** Read before the transaction, in which nobody waits for a file. */
  async #recipients(deviceIds: readonly string[]): Promise<Recipient[]> {
    const { store } = this.#deps;
    const rows = await store.devices.byIds(deviceIds);
    return Promise.all(
      rows.map(async (device) => ({ device, key: await this.#keyOf(device.account_id) })),
    );
  }

  async #keyOf(accountId: string): Promise<Buffer | undefined> {
    try {
      return await this.#deps.store.keys.account(accountId);
    } catch (err) {
      if (toLenscapError(err).code !== 'STORE_CORRUPT') throw err;
      this.#deps.log.error(
        { err, accountId },
        'a rollout does not reach the devices of an account',
      );
      return undefined;
    }
  }

  /**
   * To all at once, so that what is read of each is read together. Waits for every one of them: what
   * one still does after the transaction has failed would be done outside of it.
   */
  async #sendAll(
    rows: TransactionRows,
    rolloutId: number,
    patch: Json,
    recipients: readonly Recipient[],
  ): Promise<string[]> {
    const sent = await Promise.allSettled(
      recipients.map((recipient) => this.#sendTo(rows, rolloutId, patch, recipient)),
    );
    for (const one of sent) if (one.status === 'rejected') throw one.reason;
    const isNew = (at: number): boolean => sent[at]?.status === 'fulfilled' && sent[at].value;
    return recipients.filter((_, at) => isNew(at)).map(({ device }) => device.device_id);
  }

  /** Returns whether there is something to tell the device. */
  async #sendTo(
    rows: TransactionRows,
    rollout_id: number,
    patch: Json,
    { device, key }: Recipient,
  ): Promise<boolean> {
    const { configuration, consent, nowUs } = this.#deps;
    const row = { rollout_id, device_id: device.device_id, state: 'pending' };
    const by = { actor: 'operator', how: `rollout ${rollout_id}` };
    const isShared = await sharesConfiguration(consent, rows, device.device_id);
    try {
      if (!key) throw new LenscapError('STORE_CORRUPT', 'its account has no key any more');
      const { version, isNew } = await configuration.changeIn(rows, key, device, by, {
        decide: (document) => patched(document, patch),
      });
      const sent = isShared ? 'sent' : 'hidden';
      await note(rows, row, isNew ? sent : 'unchanged', nowUs(), { version: version.version });
      return isNew;
    } catch (error) {
      const { code, message } = toLenscapError(error);
      if (!REFUSALS.has(code)) throw error;
      // Faults name what its owner has set.
      const isTold = isShared || !OF_OWNER.has(code);
      await note(rows, row, 'refused', nowUs(), {
        detail: isTold ? message : ERRORS[code].message,
      });
      return false;
    }
  }
}

/** What the server refuses of one device; everything else is a fault of the server. */
const REFUSALS: ReadonlySet<string> = new Set([
  'CONFIG_INVALID',
  'CONSENT_MISSING',
  'STATE_INVALID',
  'REQUEST_INVALID',
  'STORE_CORRUPT',
]);
const OF_OWNER: ReadonlySet<string> = new Set(['CONFIG_INVALID', 'CONSENT_MISSING']);

function plannedOf({ device_id, stage, state, state_at_us }: RolloutDeviceRow): Planned {
  if (!isDeviceState(state))
    throw new LenscapError('STORE_CORRUPT', `${device_id} is ${state} in a rollout`);
  return { deviceId: device_id, stage, state, stateAtUs: state_at_us };
}

function jsonOf(text: string): Json {
  const patch: unknown = JSON.parse(text);
  if (!isObject(patch)) throw new LenscapError('STORE_CORRUPT', 'a rollout has no patch');
  return patch;
}
