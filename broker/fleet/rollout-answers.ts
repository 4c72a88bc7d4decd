// What devices answered, taken into the rollouts that asked. INVARIANT: an answer is forgotten here
// only once it is noted; nothing is noted of a device whose owner does not let its configuration be
// known at that moment.
import type { Reported } from '../../proto/desired-config.ts';
import { toLenscapError } from '../../proto/errors.ts';
import type { Consent } from '../consent/consent.ts';
import type { DeviceRow } from '../store/devices.ts';
import type { RolloutRows } from '../store/rollout-rows.ts';
import type { Store, TransactionRows } from '../store/store.ts';
import { batches, note } from './rollout-note.ts';
import { eventOf } from './rollout-states.ts';

export interface RolloutAnswersDeps {
  readonly store: Pick<Store, 'devices' | 'told' | 'inTransaction'> & {
    readonly rollouts: Pick<RolloutRows, 'sentTo' | 'everSent'>;
  };
  readonly consent: Pick<Consent, 'infoInForce'>;
  readonly nowUs: () => number;
  readonly log: { error(about: object, message: string): void };
}

export class RolloutAnswers {
  readonly #deps: RolloutAnswersDeps;
  readonly #waiting = new Set<string>();

  constructor(deps: RolloutAnswersDeps) {
    this.#deps = deps;
  }

  /** A device has said what became of its configuration. */
  add(deviceId: string): void {
    this.#waiting.add(deviceId);
  }

  /** Looks at all again, since some were given while no server ran, or when the last one died. */
  async addAll(): Promise<void> {
    for (const deviceId of await this.#deps.store.rollouts.everSent()) this.add(deviceId);
  }

  /** Notes what was answered since the last time; whether anything was. What fails is tried again. */
  async take(): Promise<boolean> {
    const isAny = this.#waiting.size > 0;
    for (const batch of batches([...this.#waiting])) {
      // Before they are read, so that one that is given meanwhile is read again.
      for (const deviceId of batch) this.#waiting.delete(deviceId);
      try {
        await this.#takeOf(batch);
      } catch (error) {
        for (const deviceId of batch) this.add(deviceId);
        throw error;
      }
    }
    return isAny;
  }

  async #takeOf(deviceIds: readonly string[]): Promise<void> {
    const { store, consent, nowUs } = this.#deps;
    const sent = await store.rollouts.sentTo(deviceIds);
    const answers = await this.#answersOf(new Set(sent.map(({ device_id }) => device_id)));
    if (answers.size === 0) return;
    await store.inTransaction(async (rows) => {
      // Consent may have ended since they were read.
      const known = await sharing(consent, rows, [...answers.keys()]);
      for (const row of await rows.rollouts.sentTo([...known])) {
        const answer = answers.get(row.device_id);
        const event = answer && eventOf(row.version ?? 0, answer);
        if (event) await note(rows, row, event, nowUs(), { detail: detailOf(answer) });
      }
    });
  }

  /** What these devices said last, of those that said anything that may be known. */
  async #answersOf(deviceIds: ReadonlySet<string>): Promise<Map<string, Reported>> {
    const answers = new Map<string, Reported>();
    for (const device of await this.#deps.store.devices.byIds([...deviceIds])) {
      const message = await this.#answerOf(device);
      if (message) answers.set(device.device_id, message);
    }
    return answers;
  }

  /** One that cannot be opened is none, and holds nobody else up. */
  async #answerOf(device: DeviceRow): Promise<Reported | undefined> {
    const { store, log } = this.#deps;
    try {
      return (await store.told.reported(device))?.message;
    } catch (err) {
      if (toLenscapError(err).code !== 'STORE_CORRUPT') throw err;
      log.error({ err, deviceId: device.device_id }, 'its answer to a rollout cannot be opened');
      return undefined;
    }
  }
}

/** Whether what became of a device's configuration may be known, within a transaction. */
export async function sharesConfiguration(
  consent: Pick<Consent, 'infoInForce'>,
  rows: Pick<TransactionRows, 'consent'>,
  deviceId: string,
): Promise<boolean> {
  const { parts } = await consent.infoInForce(deviceId, rows.consent);
  return parts.includes('configuration');
}

/** Those of the devices of which it may be known; read together. */
async function sharing(
  consent: Pick<Consent, 'infoInForce'>,
  rows: Pick<TransactionRows, 'consent'>,
  deviceIds: readonly string[],
): Promise<Set<string>> {
  const shares = deviceIds.map((deviceId) => sharesConfiguration(consent, rows, deviceId));
  const settled = await Promise.all(shares);
  return new Set(deviceIds.filter((_, at) => settled[at]));
}

function detailOf({ code, detail, faults }: Reported): string {
  const named = faults.map(({ path, message }) => `${path}: ${message}`);
  return [code ?? '', detail, ...named].filter((part) => part !== '').join('; ');
}
