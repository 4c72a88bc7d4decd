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
    const outcome = await this.#outcome(sender, noun, payload).catch(refusedForGood);
    if (outcome === 'stored' || outcome === 'duplicate') return 'stored';
    this.#deps.log.warn({ deviceId, noun, code: outcome }, 'not stored');
    return 'dropped';
  }

  async #outcome(sender: Owned, noun: 'event' | 'snapshot', payload: Uint8Array): Promise<Outcome> {
    const offer = await (noun === 'event'
      ? this.#event(sender, payload)
      : this.#snapshot(sender, payload));
    if (offer === undefined || !this.#mayTakeIn(sender, offer)) return 'CONSENT_MISSING';
    return this.#deps.groups.offer(offer);
  }

  /** Undefined where the policy does not name what it tells of the camera. */
  async #event({ deviceId }: Owned, payload: Uint8Array): Promise<Offer | undefined> {
    const { consent, nowUs } = this.#deps;
    const event = decodeEvent(payload);
    if (isOfDevice(event)) {
      const { parts } = await consent.infoInForce(deviceId);
      if (!parts.includes('health')) return undefined;
    }
    return eventOffer(deviceId, event, nowUs());
  }

  async #snapshot(sender: Owned, payload: Uint8Array): Promise<Offer> {
    const { keys, nowUs } = this.#deps;
    const snapshot = decodeSnapshot(payload);
    return snapshotOffer(sender, snapshot, await keys.account(sender.accountId), nowUs());
  }

  #mayTakeIn({ deviceId }: Owned, { candidate }: Offer): boolean {
    const { epoch } = candidate.row;
    return this.#deps.gate.mayTakeIn(deviceId, { epoch, scopes: candidate.scopes });
  }
}

/** A picture that was damaged on its way will not be whole the next time. */
function refusedForGood(error: unknown): Outcome {
  if (error instanceof LenscapError && error.code === 'SEGMENT_HASH') return error.code;
  throw error;
}
