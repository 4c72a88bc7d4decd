// The note of what lasts: what is written, and what may be believed.
import { documentChecker, type Schema } from '../../proto/validate.ts';
import type { Rest } from '../recording/rest.ts';

/** What is written. */
export interface Lasting {
  readonly bootId: string;
  /** When it was so. */
  readonly monoUs: number;
  readonly atUs: number;
  readonly events: readonly LastingEvent[];
  readonly rest: Rest | null;
}

/** What of an event has to be said again with its end. */
export interface LastingEvent {
  readonly eventId: string;
  readonly kind: string;
  readonly startAtUs: number;
  readonly startMonoUs: number;
  readonly epoch: number;
  readonly peak: number;
  readonly code: string | null;
}

/** Four kinds of events last, each once at a time. */
const MAX_EVENTS = 16;

const whole = (minimum: number, maximum: number) => ({ type: 'integer', minimum, maximum });
const time = whole(0, 2 ** 52);
const epoch = whole(1, Number.MAX_SAFE_INTEGER);

function all(properties: Schema): Schema {
  const required = Object.keys(properties);
  return { type: 'object', required, additionalProperties: false, properties };
}

const event = all({
  eventId: { type: 'string', pattern: '^[0-9a-f]{32}$' },
  kind: { type: 'string' },
  startAtUs: time,
  startMonoUs: time,
  epoch,
  peak: whole(0, 200),
  code: { type: ['string', 'null'] },
});

const rest = all({
  reason: { enum: ['lease_expired', 'not_wanted', 'no_motion'] },
  epoch,
  fromMonoUs: time,
  untilMonoUs: time,
});

/** @throws STORE_CORRUPT. */
export const checkLasting = documentChecker<Lasting>(
  all({
    bootId: { type: 'string', pattern: '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' },
    monoUs: time,
    atUs: time,
    events: { type: 'array', maxItems: MAX_EVENTS, items: event },
    rest: { anyOf: [{ type: 'null' }, rest] },
  }),
  'STORE_CORRUPT',
);
