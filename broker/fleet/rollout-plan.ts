// Which devices a rollout reaches when, and what it does next. Pure.
import { LenscapError } from '../../proto/errors.ts';
import type { DeviceState } from './rollout-states.ts';

/** How many devices a stage reaches in total. */
export type Stage = { readonly count: number } | { readonly percent: number };

const STAGE = /^(\d{1,7})(%?)$/;
const MAX_STAGES = 20;

/** `1,10%,100%`. @throws REQUEST_INVALID. */
export function parseStages(typed: string): Stage[] {
  const stages = typed.split(',').map((part): Stage => {
    const [, digits, percent] = STAGE.exec(part.trim()) ?? [];
    const value = Number(digits ?? 0);
    if (value < 1 || (percent === '%' && value > 100)) throw noStages(typed);
    return percent === '%' ? { percent: value } : { count: value };
  });
  if (stages.length > MAX_STAGES) throw noStages(typed);
  return stages;
}

/** Of so many devices, how many each stage reaches in total. @throws REQUEST_INVALID when they shrink. */
export function reachOf(stages: readonly Stage[], devices: number): number[] {
  const reach = stages.map((stage) =>
    Math.min(devices, 'count' in stage ? stage.count : Math.ceil((devices * stage.percent) / 100)),
  );
  if (reach.some((count, at) => count < (reach[at - 1] ?? 0)))
    throw new LenscapError(
      'REQUEST_INVALID',
      `of ${devices} devices the stages would reach ${reach.join(', ')}; each has to reach more`,
    );
  return reach;
}

/** A device as far as the plan goes. */
export interface Planned {
  readonly deviceId: string;
  readonly stage: number;
  readonly state: DeviceState;
  readonly stateAtUs: number;
}

export interface Limits {
  readonly waitUs: number;
  readonly settleUs: number;
  readonly stopPercent: number;
}

export type Step =
  | { readonly kind: 'stop'; readonly why: string }
  /** To these devices, of the stage that has begun. */
  | { readonly kind: 'send'; readonly deviceIds: readonly string[] }
  /** These did not answer in time. */
  | { readonly kind: 'late'; readonly deviceIds: readonly string[] }
  | { readonly kind: 'wait' }
  | { readonly kind: 'done' };

const FAILED: readonly DeviceState[] = ['rejected', 'reverted'];
const WAITING: readonly DeviceState[] = ['sent', 'accepted'];

/** What a running rollout does next. */
export function nextStep(devices: readonly Planned[], limits: Limits, nowUs: number): Step {
  const reached = devices.filter(isReached).reduce((most, { stage }) => Math.max(most, stage), 0);
  const stop = stopOf(
    devices.filter(({ stage }) => stage <= reached),
    limits.stopPercent,
  );
  if (stop !== undefined) return { kind: 'stop', why: stop };
  const late = devices.filter(
    ({ state, stateAtUs }) => WAITING.includes(state) && nowUs - stateAtUs >= limits.waitUs,
  );
  if (late.length > 0) return { kind: 'late', deviceIds: late.map(({ deviceId }) => deviceId) };
  const unsent = devices.filter(({ state }) => state === 'pending');
  const begun = unsent.filter(({ stage }) => stage <= reached);
  if (begun.length > 0) return send(begun);
  if (devices.some((device) => isUnsettled(device, limits, nowUs))) return { kind: 'wait' };
  if (unsent.length === 0) return { kind: 'done' };
  const next = unsent.reduce(
    (least, { stage }) => Math.min(least, stage),
    Number.POSITIVE_INFINITY,
  );
  return send(unsent.filter(({ stage }) => stage === next));
}

function send(devices: readonly Planned[]): Step {
  return { kind: 'send', deviceIds: devices.map(({ deviceId }) => deviceId) };
}

const isReached = ({ state }: Planned): boolean => state !== 'pending';

function isUnsettled(device: Planned, { settleUs }: Limits, nowUs: number): boolean {
  const { state, stateAtUs } = device;
  return WAITING.includes(state) || (state === 'applied' && nowUs - stateAtUs < settleUs);
}

/** Of devices whose answer nobody may know, nothing follows, so they do not count. */
function stopOf(devices: readonly Planned[], stopPercent: number): string | undefined {
  const known = devices.filter(({ state }) => state !== 'unknown').length;
  const failed = devices.filter(({ state }) => FAILED.includes(state)).length;
  if (failed * 100 <= stopPercent * known) return undefined;
  return `${failed} of ${known} rejected or reverted it, more than ${stopPercent} %`;
}

function noStages(typed: string): LenscapError {
  return new LenscapError(
    'REQUEST_INVALID',
    `${JSON.stringify(typed.slice(0, 100))}: stages are how many devices each reaches in total, e.g. 1,10%,100%`,
  );
}
