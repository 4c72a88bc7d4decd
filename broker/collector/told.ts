// What devices tell of themselves: device information, health, and what became of a configuration.
// INVARIANT: of a message only the parts are kept that the policy agreed to names; without consent, of
// that epoch and now, nothing is.
import type { Logger } from 'pino';
import { decodeReported } from '../../proto/desired-config.ts';
import { decodeHealth } from '../../proto/health.ts';
import { decodeInfo, FIELD_OF, type InfoField, onlyNamed } from '../../proto/info.ts';
import type { Consent } from '../consent/consent.ts';
import type { ConsentGate } from '../consent/gate.ts';
import type { Noted, Telling, Told, ToldListener, ToldNoun } from '../store/told.ts';

export interface TellingsDeps {
  readonly gate: Pick<ConsentGate, 'mayTakeIn'>;
  readonly consent: Pick<Consent, 'infoInForce'>;
  readonly told: Pick<Told, 'note'>;
  readonly toldListeners: Iterable<ToldListener>;
  readonly nowUs: () => number;
  readonly log: Logger;
}

interface Sender {
  readonly deviceId: string;
  readonly accountId: string;
}

/** Consent may change while a message is sealed, but hardly more often. */
const ATTEMPTS = 5;

export class Tellings {
  readonly #deps: TellingsDeps;

  constructor(deps: TellingsDeps) {
    this.#deps = deps;
  }

  /** @throws DECODE_INVALID; the sender is to be cut off. */
  async take(
    { deviceId, accountId }: Sender,
    noun: ToldNoun,
    payload: Uint8Array,
  ): Promise<'stored' | 'dropped'> {
    const { gate, consent, told, toldListeners, nowUs, log } = this.#deps;
    const whole = decodeTelling(noun, payload);
    const item = { epoch: whole.message.epoch, scopes: ['device_info'] } as const;
    let noted: Noted = 'changed';
    for (let attempt = 0; noted === 'changed' && attempt < ATTEMPTS; attempt++) {
      const { epoch: asOf, parts } = await consent.infoInForce(deviceId);
      const telling = named(whole, parts);
      if (!telling || !gate.mayTakeIn(deviceId, item)) break;
      const device = { device_id: deviceId, account_id: accountId };
      noted = await told.note(device, telling, { asOf, nowUs: nowUs() });
      if (noted !== 'stored') continue;
      for (const listener of toldListeners) listener(deviceId, telling);
      return 'stored';
    }
    log.warn({ deviceId, noun, code: 'CONSENT_MISSING' }, 'not stored');
    return 'dropped';
  }
}

function decodeTelling(noun: ToldNoun, payload: Uint8Array): Telling {
  switch (noun) {
    case 'info':
      return { noun, message: decodeInfo(payload) };
    case 'health':
      return { noun, message: decodeHealth(payload) };
    case 'reported':
      return { noun, message: decodeReported(payload) };
  }
}

/** What of it the policy names; undefined for nothing. */
function named(telling: Telling, parts: readonly InfoField[]): Telling | undefined {
  switch (telling.noun) {
    case 'info': {
      const { message } = telling;
      const info = { epoch: message.epoch, ...onlyNamed(message, parts) };
      const isAnyNamed = Object.values(FIELD_OF).some((part) => parts.includes(part));
      return isAnyNamed ? { noun: 'info', message: info } : undefined;
    }
    case 'health':
      return parts.includes('health') ? telling : undefined;
    case 'reported':
      return parts.includes('configuration') ? telling : undefined;
  }
}
