// Tells the server the version of this program, while the owner consents to that: once for each
// connection, and again when consent was given anew.
import type { Logger } from 'pino';
import { toLenscapError } from '../../proto/errors.ts';
import { encodeInfo } from '../../proto/info.ts';
import type { Gate } from '../consent/gate.ts';
import type { Errand, Line } from './errand.ts';

export interface InfoDeps {
  readonly gate: Pick<Gate, 'grantOf' | 'onChange'>;
  readonly agentVersion: string;
  readonly log: Logger;
}

export class Info implements Errand {
  readonly noun = null;
  readonly #deps: InfoDeps;

  constructor(deps: InfoDeps) {
    this.#deps = deps;
  }

  receive(): void {}

  async run(line: Line, signal: AbortSignal): Promise<void> {
    const { gate, agentVersion, log } = this.#deps;
    let told: number | undefined;
    while (!signal.aborted) {
      const changed = Promise.withResolvers<void>();
      const stopListening = gate.onChange(changed.resolve);
      signal.addEventListener('abort', () => changed.resolve(), { once: true });
      const grant = gate.grantOf('device_info');
      if (grant !== null && grant.since !== told)
        await line
          .publish('info', encodeInfo({ epoch: grant.epoch, agentVersion }))
          .catch((error: unknown) => log.debug({ code: toLenscapError(error).code }, 'not told'));
      told = grant?.since;
      await changed.promise.finally(stopListening);
    }
  }
}
