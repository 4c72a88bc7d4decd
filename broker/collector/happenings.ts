// Takes in what happens: events and snapshots. There is no verdict on either, so what consent does not
// cover is acknowledged and dropped.
// INVARIANT: what is answered `stored` is durable; what the server could not store is not acknowledged.
import type { Logger } from 'pino';
import { LenscapError } from '../../proto/errors.ts';
import { decodeEvent } from '../../proto/event.ts';
import { decodeSnapshot } from '../../proto/snapshot.ts';
import type { Consent } from '../consent/consent.ts';
import type { ConsentGate } from '../consent/gate.ts';
import type { Outcome } from '../store/commit.ts';
import type { Keys } from '../store/keys.ts';
import { eventOffer, isOfDevice } from './event.ts';
import type { GroupCommit, Offer } from './group-commit.ts';
import { type Owned, snapshotOffer } from './snapshot.ts';

export interface HappeningsDeps {
  readonly gate: Pick<ConsentGate, 'mayTakeIn'>;
  readonly consent: Pick<Consent, 'infoInForce'>;
  readonly groups: Pick<GroupCommit, 'offer'>;
  readonly keys: Pick<Keys, 'account'>;
  readonly nowUs: () => number;
  readonly log: Logger;
}

export class Happenings {
  readonly #deps: HappeningsDeps;

  constructor(deps: HappeningsDeps) {
    this.#deps = deps;
  }

  /** @throws DECODE_INVALID, STORE_FULL, STORE_FAILED, STORE_CORRUPT; the sender is to be cut off. */
  async take(
    sender: Owned,
    noun: 'event' | 'snapshot',
    payload: Uint8Array,
  ): Promise<'stored' | 'dropped'> {
    const { deviceId } = sender;
    const outcome = await (noun === 'event'
      ? this.#event(sender, payload)
      : this.#snapshot(sender, payload).catch(refusedForGood));
    if (outcome === 'stored' || outcome === 'duplicate') return 'stored';
    this.#deps.log.warn({ deviceId, noun, code: outcome }, 'not stored');
    return 'dropped';
  }

  /** What it tells of the camera the policy has to name, decided anew when consent changes meanwhile. */
  async #event(sender: Owned, payload: Uint8Array): Promise<Outcome> {
    const { consent, nowUs } = this.#deps;
    const { deviceId } = sender;
    const event = decodeEvent(payload);
    if (!isOfDevice(event)) return this.#offer(sender, eventOffer(deviceId, event, nowUs()));
    for (let decidedAs = -1; ; ) {
      const { epoch: asOf, parts } = await consent.infoInForce(deviceId);
      if (asOf === decidedAs || !parts.includes('health')) return 'CONSENT_MISSING';
      decidedAs = asOf;
      const outcome = await this.#offer(sender, eventOffer(deviceId, event, nowUs(), asOf));
      if (outcome !== 'CONSENT_MISSING') return outcome;
    }
  }

  async #snapshot(sender: Owned, payload: Uint8Array): Promise<Outcome> {
    const { keys, nowUs } = this.#deps;
    const snapshot = decodeSnapshot(payload);
    const key = await keys.account(sender.accountId);
    return this.#offer(sender, snapshotOffer(sender, snapshot, key, nowUs()));
  }

  async #offer({ deviceId }: Owned, offer: Offer): Promise<Outcome> {
    const { gate, groups } = this.#deps;
    const { row, scopes } = offer.candidate;
    return gate.mayTakeIn(deviceId, { epoch: row.epoch, scopes })
      ? groups.offer(offer)
      : 'CONSENT_MISSING';
  }
}

/** A picture that was damaged on its way will not be whole the next time. */
function refusedForGood(error: unknown): Outcome {
  if (error instanceof LenscapError && error.code === 'SEGMENT_HASH') return error.code;
  throw error;
}
