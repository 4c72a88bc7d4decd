// What became of the configurations that were pushed, as a state machine. Pure: events in, state out.
// INVARIANTS: no version is taken up twice; a document that was not proven, and under which something
// broke, is never in force again; what was proven last stays until another one is proven.
import type { DeviceConfig } from '../../proto/device-config.ts';
import type { ErrorCode } from '../../proto/errors.ts';
import type { Fault } from '../../proto/validate.ts';

export interface Version {
  /** 0: none, the board's own configuration. */
  readonly version: number;
  readonly document: DeviceConfig;
}

/** A version that has to prove itself. */
export interface Trial extends Version {
  readonly isApplied: boolean;
  /** It may break something at any moment: found so at a start, it did. */
  readonly isUnderWay: boolean;
  /**
   * The camera was broken before it came: what goes wrong with the pictures is none of its doing. Null
   * until that was looked at.
   */
  readonly isExcused: boolean | null;
}

/** Why the newest version is not in force. */
export interface Refusal {
  readonly state: 'rejected' | 'reverted';
  readonly version: number;
  readonly code: ErrorCode;
  readonly detail: string;
  readonly faults: readonly Fault[];
}

export interface Desired {
  /** Versions up to this one were seen. */
  readonly highest: number;
  /** When the state of that one changed, wall time. */
  readonly changedAtUs: number;
  readonly good: Version;
  readonly trial: Trial | null;
  readonly refusal: Refusal | null;
}

export const OWN: Version = { version: 0, document: {} };
export const NOTHING_DESIRED: Desired = {
  highest: 0,
  changedAtUs: 0,
  good: OWN,
  trial: null,
  refusal: null,
};

/** A version came; `faults` are those of the configuration that it would make. */
export interface Received extends Version {
  readonly kind: 'received';
  readonly code: ErrorCode;
  readonly faults: readonly Fault[];
}

/** What was proven last does not fit the board's own configuration any more. */
export interface Unfit {
  readonly kind: 'unfit';
  readonly faults: readonly Fault[];
}

export type TrialEvent =
  /** How the camera was before it. */
  | { readonly kind: 'found'; readonly isExcused: boolean }
  /** The settings of the trial are set. */
  | { readonly kind: 'applied' }
  /** Pictures flowed under it for long enough. */
  | { readonly kind: 'proven' }
  /** Something broke under it. */
  | { readonly kind: 'failed'; readonly code: ErrorCode; readonly detail: string }
  /** No pictures are wanted or to be had, or the agent ends in order: nothing can break now. */
  | { readonly kind: 'rested' }
  /** Pictures are wanted. */
  | { readonly kind: 'resumed' }
  /** The agent starts: what is under way now was so when it was killed or lost power. */
  | { readonly kind: 'started' };

export type DesiredEvent = Received | Unfit | TrialEvent;

/** The same object where nothing changes. */
export function after(desired: Desired, event: DesiredEvent, nowUs: number): Desired {
  if (event.kind === 'received')
    return event.version > desired.highest ? received(desired, event, nowUs) : desired;
  if (event.kind === 'unfit') return unfit(desired, event.faults, nowUs);
  return desired.trial === null ? desired : tried(desired, desired.trial, event, nowUs);
}

/** One that is refused leaves all as it is, a trial too. */
function received(desired: Desired, event: Received, changedAtUs: number): Desired {
  const { version, document, code, faults } = event;
  const seen = { ...desired, highest: version, changedAtUs };
  if (faults.length > 0)
    return { ...seen, refusal: { state: 'rejected', version, code, detail: '', faults } };
  // Where one that was to answer for the pictures is replaced, they may be gone by its doing.
  const isExcused = desired.trial?.isExcused === false ? false : null;
  const trial = { version, document, isApplied: false, isUnderWay: true, isExcused };
  return { ...seen, trial, refusal: null };
}

function tried(desired: Desired, trial: Trial, event: TrialEvent, nowUs: number): Desired {
  const { version, document, isApplied, isUnderWay } = trial;
  switch (event.kind) {
    case 'found':
      if (trial.isExcused === event.isExcused) return desired;
      return { ...desired, trial: { ...trial, isExcused: event.isExcused } };
    case 'applied':
      if (isApplied) return desired;
      return told({ ...desired, trial: { ...trial, isApplied: true } }, version, nowUs);
    case 'proven': {
      const proven = { ...desired, good: { version, document }, trial: null };
      return isApplied ? proven : told(proven, version, nowUs);
    }
    case 'failed':
      return reverted(desired, trial, event, nowUs);
    case 'rested':
      return isUnderWay ? { ...desired, trial: { ...trial, isUnderWay: false } } : desired;
    case 'resumed':
      return isUnderWay ? desired : { ...desired, trial: { ...trial, isUnderWay: true } };
    case 'started':
      if (isUnderWay) return reverted(desired, trial, CRASHED, nowUs);
      return { ...desired, trial: startedAgain(trial) };
  }
}

/** From the start on there are only pictures under it. */
function startedAgain(trial: Trial): Trial {
  return { ...trial, isApplied: false, isUnderWay: true, isExcused: trial.isExcused ?? false };
}

const CRASHED = {
  code: 'CONFIG_UNHEALTHY',
  detail: 'the agent crashed or lost power before it was proven',
} as const;

function reverted(
  desired: Desired,
  { version }: Trial,
  { code, detail }: { readonly code: ErrorCode; readonly detail: string },
  nowUs: number,
): Desired {
  const back = { ...desired, trial: null };
  // A newer one that was rejected is what is spoken of.
  if (desired.highest !== version) return back;
  const refusal = { state: 'reverted', version, code, detail, faults: [] } as const;
  return told({ ...back, refusal }, version, nowUs);
}

function unfit(desired: Desired, faults: readonly Fault[], nowUs: number): Desired {
  const { version } = desired.good;
  if (version === 0) return desired;
  const back = { ...desired, good: OWN };
  if (desired.highest !== version) return back;
  const detail = "it does not fit the board's own configuration any more";
  const refusal = { state: 'rejected', version, code: 'CONFIG_INVALID', detail, faults } as const;
  return told({ ...back, refusal }, version, nowUs);
}

function told(desired: Desired, version: number, changedAtUs: number): Desired {
  return version === desired.highest ? { ...desired, changedAtUs } : desired;
}

/** The document in force. */
export function inForceOf({ good, trial }: Desired): Version {
  return trial ?? good;
}

/** What there is to say of the newest version; null where none was ever seen. */
export type Standing =
  | Refusal
  | { readonly state: 'accepted' | 'applied'; readonly version: number };

export function standingOf({ highest, good, trial, refusal }: Desired): Standing | null {
  if (refusal !== null) return refusal;
  if (trial !== null)
    return { state: trial.isApplied ? 'applied' : 'accepted', version: trial.version };
  return highest > 0 && good.version > 0 ? { state: 'applied', version: good.version } : null;
}
