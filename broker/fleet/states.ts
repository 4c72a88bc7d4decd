// The life of a device as one table: which event moves which state, and what each state may do. Pure.
import { LenscapError } from '../../proto/errors.ts';

export const STATES = [
  'factory',
  'waiting',
  'claimed',
  'configured',
  'suspended',
  'released',
  'revoked',
] as const;
export type State = (typeof STATES)[number];

export const EVENTS = [
  /** The board connected with its factory identity. */
  'seen',
  /** The first connection with the certificate that a claim led to. */
  'connected',
  /** The owner consented to something. */
  'consented',
  /** The operator, or the detection of clones, stops it. */
  'suspended',
  /** The operator lets it go on. */
  'resumed',
  /** It got a new certificate by a setup code of its owner. */
  'readmitted',
  /** The owner gives it away, or somebody reset the board. */
  'released',
  /** Operator or owner declare its identity void. */
  'revoked',
] as const;
export type Event = (typeof EVENTS)[number];

/** Released and revoked are final: what comes after is another device id. */
export const TRANSITIONS: Readonly<Record<State, Readonly<Partial<Record<Event, State>>>>> = {
  factory: { seen: 'waiting', revoked: 'revoked' },
  waiting: { seen: 'waiting', connected: 'claimed', released: 'released', revoked: 'revoked' },
  claimed: {
    consented: 'configured',
    suspended: 'suspended',
    readmitted: 'claimed',
    released: 'released',
    revoked: 'revoked',
  },
  configured: {
    consented: 'configured',
    suspended: 'suspended',
    readmitted: 'configured',
    released: 'released',
    revoked: 'revoked',
  },
  suspended: {
    resumed: 'claimed',
    readmitted: 'claimed',
    released: 'released',
    revoked: 'revoked',
  },
  released: {},
  revoked: {},
};

export interface May {
  /** `claim`: nothing but ask for an identity. `farewell`: only to hear that it was released. */
  readonly connect: 'claim' | 'device' | 'farewell' | 'never';
  /** Its owner may consent to something, so that something may be uploaded. */
  readonly beGranted: boolean;
}

export const MAY: Readonly<Record<State, May>> = {
  factory: { connect: 'claim', beGranted: false },
  waiting: { connect: 'device', beGranted: false },
  claimed: { connect: 'device', beGranted: true },
  configured: { connect: 'device', beGranted: true },
  suspended: { connect: 'never', beGranted: false },
  released: { connect: 'farewell', beGranted: false },
  revoked: { connect: 'never', beGranted: false },
};

export function isState(value: string): value is State {
  return (STATES as readonly string[]).includes(value);
}

/** @throws STATE_INVALID when the event is not for this state. */
export function nextState(state: State, event: Event): State {
  const next = TRANSITIONS[state][event];
  if (next === undefined)
    throw new LenscapError('STATE_INVALID', `it is ${state}, so it cannot be ${event}`);
  return next;
}
