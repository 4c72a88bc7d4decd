// The life of a rollout, and of one device in it, as two tables: what may follow on what. Pure.
import type { Reported } from '../../proto/desired-config.ts';

export const ROLLOUT_STATES = ['running', 'stopped', 'done'] as const;
export type RolloutState = (typeof ROLLOUT_STATES)[number];
export const ROLLOUT_EVENTS = ['stop', 'resume', 'complete'] as const;
export type RolloutEvent = (typeof ROLLOUT_EVENTS)[number];

/** Where there is none, it is refused. */
export const ROLLOUT_TABLE: Readonly<
  Record<RolloutState, Partial<Readonly<Record<RolloutEvent, RolloutState>>>>
> = {
  running: { stop: 'stopped', complete: 'done' },
  stopped: { resume: 'running' },
  done: {},
};

/** In the order in which they are told. */
export const DEVICE_STATES = [
  'pending',
  'sent',
  'accepted',
  'applied',
  'unchanged',
  'refused',
  'rejected',
  'reverted',
  'superseded',
  'silent',
  'unknown',
] as const;
export type DeviceState = (typeof DEVICE_STATES)[number];

/**
 * `hidden`: its owner does not let its configuration be known, so its answer is not the operator's to
 * see; what was sent before is so with the consent that ends (forgetAnswers of rollout-rows.ts).
 * `refused`: the server would not write it. `superseded`: a later version of its owner failed.
 * `late`: it did not answer in time.
 */
export const DEVICE_EVENTS = [
  'sent',
  'hidden',
  'unchanged',
  'refused',
  'accepted',
  'applied',
  'rejected',
  'reverted',
  'superseded',
  'late',
] as const;
export type DeviceEvent = (typeof DEVICE_EVENTS)[number];

const ANSWERED = {
  applied: 'applied',
  rejected: 'rejected',
  reverted: 'reverted',
  superseded: 'superseded',
} as const;

/** Where there is none, nothing changes: answers come twice, and late. */
export const DEVICE_TABLE: Readonly<
  Record<DeviceState, Partial<Readonly<Record<DeviceEvent, DeviceState>>>>
> = {
  pending: { sent: 'sent', hidden: 'unknown', unchanged: 'unchanged', refused: 'refused' },
  sent: { ...ANSWERED, accepted: 'accepted', late: 'silent' },
  accepted: { ...ANSWERED, late: 'silent' },
  // What is applied may still turn out not to work.
  applied: { reverted: 'reverted' },
  unchanged: {},
  refused: {},
  rejected: {},
  reverted: {},
  superseded: {},
  silent: ANSWERED,
  unknown: ANSWERED,
};

export function isRolloutState(value: string): value is RolloutState {
  return (ROLLOUT_STATES as readonly string[]).includes(value);
}

export function isDeviceState(value: string): value is DeviceState {
  return (DEVICE_STATES as readonly string[]).includes(value);
}

/** What an answer means for the device to which `version` was sent; undefined: nothing yet. */
export function eventOf(
  version: number,
  { version: spokenOf, state, inForce }: Pick<Reported, 'version' | 'state' | 'inForce'>,
): DeviceEvent | undefined {
  if (spokenOf < version) return undefined;
  if (spokenOf === version) return state;
  // A later version holds this one's change, unless its owner changed it meanwhile.
  if (state === 'accepted') return undefined;
  return inForce >= version ? 'applied' : 'superseded';
}
