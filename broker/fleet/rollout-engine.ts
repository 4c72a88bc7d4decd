// Carries rollouts out. Everything it knows is in the index, so it goes on after a restart of the server
// where it was. INVARIANT: what became of a device is noted in the transaction that wrote its version;
// a stage begins only when nextStep() says so.

import type { Reported } from '../../proto/desired-config.ts';
import { isObject, type Json } from '../../proto/device-config.ts';
import { LenscapError, toLenscapError } from '../../proto/errors.ts';
import type { DeviceRow } from '../store/devices.ts';
import type { RolloutDeviceRow, RolloutRow } from '../store/rollout-rows.ts';
import type { Store, TransactionRows } from '../store/store.ts';
import type { Configuration } from './configuration.ts';
import { patched } from './configuration-document.ts';
import { nextStep, type Planned } from './rollout-plan.ts';
import { DEVICE_TABLE, type DeviceEvent, eventOf, isDeviceState } from './rollout-states.ts';
import type { Rollouts } from './rollouts.ts';

/** Told of `reported` by whoever takes it in. */
export interface RolloutEngineDeps {
  readonly store: Pick<
    Store,
    'devices' | 'keys' | 'told' | 'rollouts' | 'consent' | 'inTransaction'
  >;
  readonly configuration: Pick<Configuration, 'changeIn'>;
  readonly rollouts: Pick<Rollouts, 'stop'>;
  readonly nowUs: () => number;
  /** Called after each new version, with the device to tell. */
  readonly changed: (deviceId: string) => void;
  readonly log: {
    info(about: object, message: string): void;
    error(about: object, message: string): void;
  };
  /** Resolves after so long, or when aborted. */
  readonly wait: (ms: number, signal: AbortSignal) => Promise<void>;
}

const LOOK_MS = 250;
/** Devices in one transaction, for which everybody else waits. */
const BATCH = 20;
const MAX_DETAIL = 500;

export class RolloutEngine {
  readonly #deps: RolloutEngineDeps;
  readonly #answered = new Set<string>();

  constructor(deps: RolloutEngineDeps) {
    this.#deps = deps;
  }

  /** A device has said what became of its configuration. */
  reported(deviceId: string): void {
    this.#answered.add(deviceId);
  }

  async run(signal: AbortSignal): Promise<void> {
    let isFirst = true;
    while (!signal.aborted) {
      try {
        // What was answered while no server ran, or when the last one died.
        if (isFirst) await this.#lookAtAll();
        isFirst = false;
        await this.#look(signal);
      } catch (err) {
        this.#deps.log.error({ err }, 'rollouts could not be carried on; tried again');
      }
      await this.#deps.wait(LOOK_MS, signal);
    }
  }

  async #lookAtAll(): Promise<void> {
    for (const deviceId of await this.#deps.store.rollouts.everSent()) this.#answered.add(deviceId);
  }

  async #look(signal: AbortSignal): Promise<void> {
    await this.#takeAnswers();
    for (const row of await this.#deps.store.rollouts.running()) {
      if (signal.aborted) return;
      await this.#carryOn(row, signal);
    }
  }

  async #carryOn(row: RolloutRow, signal: AbortSignal): Promise<void> {
    const { store, nowUs, rollouts, log } = this.#deps;
    const { rollout_id: rolloutId, wait_s, settle_s, stop_percent: stopPercent } = row;
    const devices = await store.rollouts.devicesOf(rolloutId);
    const limits = { waitUs: wait_s * 1e6, settleUs: settle_s * 1e6, stopPercent };
    const step = nextStep(devices.map(plannedOf), limits, nowUs());
    if (step.kind === 'wait') return;
    if (step.kind === 'stop') {
      await rollouts.stop(rolloutId, step.why);
      log.error({ rolloutId, why: step.why }, 'rollout stopped');
    } else if (step.kind === 'done') await this.#complete(rolloutId);
    else if (step.kind === 'late') await this.#late(rolloutId, step.deviceIds);
    else await this.#send(row, step.deviceIds, signal);
  }

  async #complete(rolloutId: number): Promise<void> {
    const note = { state: 'done', state_at_us: this.#deps.nowUs() };
    await this.#deps.store.inTransaction(async ({ rollouts }) => {
      if ((await rollouts.byId(rolloutId))?.state === 'running')
        await rollouts.set(rolloutId, note);
    });
    this.#deps.log.info({ rolloutId }, 'rollout done');
  }

  async #late(rolloutId: number, deviceIds: readonly string[]): Promise<void> {
    const { store, nowUs } = this.#deps;
    for (const batch of batches(deviceIds))
      await store.inTransaction(async (rows) => {
        for (const row of await rows.rollouts.sentTo(batch)) {
          if (row.rollout_id !== rolloutId) continue;
          const event = (await sharesInfo(rows, row.device_id)) ? 'late' : 'hidden';
          await note(rows, row, event, nowUs(), {});
        }
      });
  }

  async #send(row: RolloutRow, deviceIds: readonly string[], signal: AbortSignal): Promise<void> {
    for (const batch of batches(deviceIds)) {
      if (signal.aborted) return;
      const { store, changed } = this.#deps;
      const accounts = await this.#accountsOf(batch);
      const told = await store.inTransaction(async (rows) => {
        // Whoever stops a rollout stops it here, within its stage.
        if ((await rows.rollouts.byId(row.rollout_id))?.state !== 'running') return undefined;
        const reached: string[] = [];
        for (const { device, key } of accounts)
          if (await this.#sendTo(rows, row, device, key)) reached.push(device.device_id);
        return reached;
      });
      if (told === undefined) return;
      for (const deviceId of told) changed(deviceId);
    }
  }

  /** Read before the transaction, in which nobody waits for a file. */
  async #accountsOf(
    deviceIds: readonly string[],
  ): Promise<{ readonly device: DeviceRow; readonly key: Buffer }[]> {
    const { store } = this.#deps;
    const rows = await Promise.all(deviceIds.map((deviceId) => store.devices.byId(deviceId)));
    return Promise.all(
      rows
        .filter((device) => device !== undefined)
        .map(async (device) => ({ device, key: await store.keys.account(device.account_id) })),
    );
  }

  /** Returns whether there is something to tell the device. */
  async #sendTo(
    rows: TransactionRows,
    rollout: RolloutRow,
    device: DeviceRow,
    key: Buffer,
  ): Promise<boolean> {
    const { configuration, nowUs } = this.#deps;
    const { rollout_id, patch } = rollout;
    const row = { rollout_id, device_id: device.device_id, state: 'pending' };
    const by = { actor: 'operator', how: `rollout ${rollout_id}` };
    const parsed = jsonOf(patch);
    try {
      const { version, isNew, granted } = await configuration.changeIn(rows, key, device, by, {
        decide: (document) => patched(document, parsed),
      });
      const sent = granted.has('device_info') ? 'sent' : 'hidden';
      await note(rows, row, isNew ? sent : 'unchanged', nowUs(), { version: version.version });
      return isNew;
    } catch (error) {
      const { code, message } = toLenscapError(error);
      if (!REFUSALS.has(code)) throw error;
      await note(rows, row, 'refused', nowUs(), { detail: message });
      return false;
    }
  }

  /** Everything that was answered since the last look. */
  async #takeAnswers(): Promise<void> {
    const answered = [...this.#answered];
    this.#answered.clear();
    for (const batch of batches(answered)) {
      try {
        await this.#takeAnswersOf(batch);
      } catch (error) {
        for (const deviceId of batch) this.#answered.add(deviceId);
        throw error;
      }
    }
  }

  async #takeAnswersOf(deviceIds: readonly string[]): Promise<void> {
    const { store, nowUs } = this.#deps;
    const sent = await store.rollouts.sentTo(deviceIds);
    const answers = await this.#answersOf(new Set(sent.map(({ device_id }) => device_id)));
    if (answers.size === 0) return;
    const answered = [...answers.keys()];
    await store.inTransaction(async (rows) => {
      // Consent may have ended since they were read; then nothing of them may be noted.
      const share = await Promise.all(answered.map((deviceId) => sharesInfo(rows, deviceId)));
      const known = new Set(answered.filter((_, at) => share[at]));
      for (const row of await rows.rollouts.sentTo(answered)) {
        const answer = known.has(row.device_id) ? answers.get(row.device_id) : undefined;
        const event = answer && eventOf(row.version ?? 0, answer);
        if (event) await note(rows, row, event, nowUs(), { detail: detailOf(answer) });
      }
    });
  }

  /** What these devices said last, of those that said anything that may be known. */
  async #answersOf(deviceIds: ReadonlySet<string>): Promise<Map<string, Reported>> {
    const { store } = this.#deps;
    const answers = new Map<string, Reported>();
    for (const deviceId of deviceIds) {
      const device = await store.devices.byId(deviceId);
      const held = device && (await store.told.reported(device));
      if (held) answers.set(deviceId, held.message);
    }
    return answers;
  }
}

/** What the server refuses of one device; everything else is a fault of the server. */
const REFUSALS: ReadonlySet<string> = new Set([
  'CONFIG_INVALID',
  'CONSENT_MISSING',
  'STATE_INVALID',
  'REQUEST_INVALID',
]);

async function sharesInfo(
  { consent }: Pick<TransactionRows, 'consent'>,
  deviceId: string,
): Promise<boolean> {
  return (await consent.inForce(deviceId))?.granted.has('device_info') ?? false;
}

/** By the table; what is not in it changes nothing. */
async function note(
  { rollouts }: Pick<TransactionRows, 'rollouts'>,
  { rollout_id, device_id, state }: Pick<RolloutDeviceRow, 'rollout_id' | 'device_id' | 'state'>,
  event: DeviceEvent,
  atUs: number,
  { version, detail = '' }: { readonly version?: number; readonly detail?: string },
): Promise<void> {
  const next = isDeviceState(state) ? DEVICE_TABLE[state][event] : undefined;
  if (next === undefined) return;
  await rollouts.setDevice(rollout_id, device_id, {
    ...{ state: next, state_at_us: atUs, detail: detail.slice(0, MAX_DETAIL) },
    ...(version === undefined ? {} : { version }),
  });
}

function plannedOf({ device_id, stage, state, state_at_us }: RolloutDeviceRow): Planned {
  if (!isDeviceState(state))
    throw new LenscapError('STORE_CORRUPT', `${device_id} is ${state} in a rollout`);
  return { deviceId: device_id, stage, state, stateAtUs: state_at_us };
}

function detailOf({ code, detail, faults }: Reported): string {
  const named = faults.map(({ path, message }) => `${path}: ${message}`);
  return [code ?? '', detail, ...named].filter((part) => part !== '').join('; ');
}

function jsonOf(text: string): Json {
  const patch: unknown = JSON.parse(text);
  if (!isObject(patch)) throw new LenscapError('STORE_CORRUPT', 'a rollout has no patch');
  return patch;
}

function batches(deviceIds: readonly string[]): (readonly string[])[] {
  const count = Math.ceil(deviceIds.length / BATCH);
  return Array.from({ length: count }, (_, at) => deviceIds.slice(at * BATCH, (at + 1) * BATCH));
}
