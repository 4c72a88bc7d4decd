// Rollouts as the operator asks for them: one patch for many devices, in stages. Here they are begun,
// stopped and looked at; the running server (rollout-engine.ts) carries them out.
// INVARIANT: a patch holds only groups that say nothing of what is seen, heard or kept.
import { isObject, type Json, OPERATOR_GROUPS } from '../../proto/device-config.ts';
import { LenscapError } from '../../proto/errors.ts';
import type { LabelRows } from '../store/label-rows.ts';
import type { RolloutDeviceRow, RolloutRow } from '../store/rollout-rows.ts';
import type { Store } from '../store/store.ts';
import { patched } from './configuration-document.ts';
import { MAX_LABELS, parseLabelChange, parseSelector } from './labels.ts';
import { parseStages, reachOf } from './rollout-plan.ts';
import { isRolloutState, ROLLOUT_TABLE, type RolloutEvent } from './rollout-states.ts';

export interface RolloutsDeps {
  readonly store: Pick<Store, 'labels' | 'rollouts' | 'devices' | 'inTransaction'>;
  readonly nowUs: () => number;
}

/** As typed. */
export interface RolloutRequest {
  readonly patch: Json;
  readonly labels: readonly string[];
  readonly stages: string;
  readonly stopPercent: number;
  readonly waitS: number;
  readonly settleS: number;
  /** The operator, as the system knows him. */
  readonly actor: string;
}

/** A rollout with what became of it on each device. */
export interface RolloutView {
  readonly row: RolloutRow;
  readonly devices: readonly RolloutDeviceRow[];
}

/** States of a device in which a configuration reaches it, now or when it connects. */
const REACHABLE = ['waiting', 'claimed', 'configured'];

export class Rollouts {
  readonly #deps: RolloutsDeps;

  constructor(deps: RolloutsDeps) {
    this.#deps = deps;
  }

  /**
   * Begins a rollout; the running server carries it out, or the next one that runs. Returns its number.
   * @throws REQUEST_INVALID for what the operator may not push, or no devices; CONFIG_INVALID with
   * every fault.
   */
  async start(request: RolloutRequest): Promise<number> {
    const { labels, stages, stopPercent, waitS, settleS, actor } = request;
    const patch = operatorPatch(request.patch);
    const selector = parseSelector(labels);
    const plan = parseStages(stages);
    const atUs = this.#deps.nowUs();
    const row = {
      ...{ created_at_us: atUs, actor, selector: JSON.stringify(selector), patch, why: null },
      ...{ stages: JSON.stringify(plan), stop_percent: stopPercent, wait_s: waitS },
      ...{ settle_s: settleS, state: 'running', state_at_us: atUs },
    };
    return this.#deps.store.inTransaction(async (rows) => {
      const deviceIds = await rows.labels.matching(selector, REACHABLE);
      if (deviceIds.length === 0)
        throw new LenscapError(
          'REQUEST_INVALID',
          labels.length === 0 ? 'no device is in use yet' : 'no device in use bears these labels',
        );
      const reach = reachOf(plan, deviceIds.length);
      const planned = deviceIds.slice(0, reach.at(-1)).map((device_id, at) => ({
        ...{ device_id, stage: reach.findIndex((count) => at < count) + 1, version: null },
        ...{ state: 'pending', state_at_us: atUs, detail: '' },
      }));
      return rows.rollouts.add(row, planned);
    });
  }

  /** @throws NOT_FOUND, STATE_INVALID when it does not run. */
  stop(rolloutId: number, why: string): Promise<void> {
    return this.#event(rolloutId, 'stop', { why });
  }

  /**
   * Lets it go on; with a share above which it stops from then on.
   * @throws NOT_FOUND, STATE_INVALID when it is not stopped.
   */
  resume(rolloutId: number, stopPercent?: number): Promise<void> {
    const limit = stopPercent === undefined ? {} : { stop_percent: stopPercent };
    return this.#event(rolloutId, 'resume', { why: null, ...limit });
  }

  async list(): Promise<RolloutView[]> {
    const { rollouts } = this.#deps.store;
    const views: RolloutView[] = [];
    for (const row of await rollouts.all())
      views.push({ row, devices: await rollouts.devicesOf(row.rollout_id) });
    return views;
  }

  /** @throws NOT_FOUND. */
  async show(rolloutId: number): Promise<RolloutView> {
    const { rollouts } = this.#deps.store;
    const row = await rollouts.byId(rolloutId);
    if (!row) throw noRollout(rolloutId);
    return { row, devices: await rollouts.devicesOf(rolloutId) };
  }

  /**
   * Changes the labels of a device, `key=value` or `key-`, all or none; answers those it bears then.
   * @throws NOT_FOUND, REQUEST_INVALID.
   */
  async label(
    deviceId: string,
    typed: readonly string[],
  ): Promise<Readonly<Record<string, string>>> {
    const changes = typed.map(parseLabelChange);
    return this.#deps.store.inTransaction(async (rows) => {
      if (!(await rows.devices.byId(deviceId)))
        throw new LenscapError('NOT_FOUND', `no device ${deviceId}; see \`device list\``);
      for (const change of changes) await changeLabel(rows.labels, deviceId, change);
      const labels = await rows.labels.of(deviceId);
      if (Object.keys(labels).length > MAX_LABELS)
        throw new LenscapError('REQUEST_INVALID', `a device bears at most ${MAX_LABELS} labels`);
      return labels;
    });
  }

  async #event(
    rolloutId: number,
    event: RolloutEvent,
    note: Partial<Pick<RolloutRow, 'why' | 'stop_percent'>>,
  ): Promise<void> {
    const atUs = this.#deps.nowUs();
    await this.#deps.store.inTransaction(async ({ rollouts }) => {
      const row = await rollouts.byId(rolloutId);
      if (!row) throw noRollout(rolloutId);
      const state = isRolloutState(row.state) ? ROLLOUT_TABLE[row.state][event] : undefined;
      if (state === undefined)
        throw new LenscapError('STATE_INVALID', `rollout ${rolloutId} is ${row.state}`);
      await rollouts.set(rolloutId, { ...note, state, state_at_us: atUs });
    });
  }
}

async function changeLabel(
  labels: LabelRows,
  deviceId: string,
  { key, value }: { readonly key: string; readonly value: string | null },
): Promise<void> {
  await (value === null ? labels.remove(deviceId, key) : labels.set(deviceId, key, value));
}

/** As JSON. @throws REQUEST_INVALID naming what only owners may change; CONFIG_INVALID. */
function operatorPatch(patch: Json): string {
  if (!isObject(patch) || Object.keys(patch).length === 0)
    throw new LenscapError('REQUEST_INVALID', 'a patch is a JSON object that changes something');
  const foreign = Object.keys(patch).filter(
    (group) => !(OPERATOR_GROUPS as readonly string[]).includes(group),
  );
  if (foreign.length > 0)
    throw new LenscapError(
      'REQUEST_INVALID',
      `${foreign.join(', ')}: only the owner of a camera may change that; a rollout may change ${OPERATOR_GROUPS.join(', ')}`,
    );
  patched({}, patch);
  return JSON.stringify(patch);
}

function noRollout(rolloutId: number): LenscapError {
  return new LenscapError('NOT_FOUND', `no rollout ${rolloutId}; see \`rollout list\``);
}
