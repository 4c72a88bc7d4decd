// Tells the server what this camera is, part by part as the policy names them, while the owner consents
// to that: once for each connection, again with each new consent, and after a change.
// Invariant: what the grant does not name is not in the message.
import type { Logger } from 'pino';
import { toLenscapError } from '../../proto/errors.ts';
import { type DeviceInfo, encodeInfo, onlyNamed } from '../../proto/info.ts';
import type { Gate } from '../consent/gate.ts';
import type { Errand, Line } from './errand.ts';

/** How often it is looked for a change. */
const LOOK_MS = 60_000;

export interface InfoDeps {
  readonly gate: Pick<Gate, 'grantOf' | 'infoFields' | 'onChange'>;
  /** All that is known. Never rejects. */
  readonly describe: () => Promise<DeviceInfo>;
  readonly log: Logger;
  /** Absent: 60 s. */
  readonly lookMs?: number;
}

export class Info implements Errand {
  readonly noun = null;
  readonly #deps: InfoDeps;

  constructor(deps: InfoDeps) {
    this.#deps = deps;
  }

  receive(): void {}

  async run(line: Line, signal: AbortSignal): Promise<void> {
    const { gate, lookMs = LOOK_MS } = this.#deps;
    let wake = Promise.withResolvers<void>();
    const onChange = (): void => wake.resolve();
    const stopListening = gate.onChange(onChange);
    signal.addEventListener('abort', onChange, { once: true });
    let told: string | null = null;
    while (!signal.aborted) {
      wake = Promise.withResolvers<void>();
      told = await this.#tellNews(line, told, signal);
      // Without consent there is nothing to look for.
      const timer = told === null ? undefined : setTimeout(onChange, lookMs);
      await wake.promise;
      clearTimeout(timer);
    }
    stopListening();
  }

  /** What was told last, with the grant under which it was; null for nothing. */
  async #tellNews(line: Line, told: string | null, signal: AbortSignal): Promise<string | null> {
    const { gate, describe, log } = this.#deps;
    if (gate.grantOf('device_info') === null) return null;
    const known = await describe();
    // Consent may have changed meanwhile.
    const grant = gate.grantOf('device_info');
    if (grant === null || signal.aborted) return null;
    const info = onlyNamed(known, gate.infoFields());
    // As it is sent: what does not fit the message is no news.
    const payload = encodeInfo({ epoch: grant.epoch, ...info });
    const news = Buffer.from(payload).toString('base64');
    const isEmpty = Object.values(info).every((value) => value === null);
    if (news === told || (isEmpty && told === null)) return news;
    await line
      .publish('info', payload)
      .catch((error: unknown) => log.debug({ code: toLenscapError(error).code }, 'not told'));
    return news;
  }
}
