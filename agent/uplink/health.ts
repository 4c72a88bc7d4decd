// Tells the server how the camera is, while the owner consents to device information: once for each
// connection, again when consent was given anew, and after a change of state.
// Invariant: at most one message in `quietMs`; the last state is always told in the end.
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import { toLenscapError } from '../../proto/errors.ts';
import { encodeHealth, type SpoolHealth } from '../../proto/health.ts';
import type { Gate } from '../consent/gate.ts';
import type { Spool } from '../spool/spool.ts';
import type { Errand, Line } from './errand.ts';

const QUIET_MS = 10_000;

export interface HealthDeps {
  readonly gate: Pick<Gate, 'grantOf' | 'onChange'>;
  readonly spool: Pick<Spool, 'health' | 'onChange'>;
  readonly log: Logger;
  /** Least time between two messages. Absent: 10 s. */
  readonly quietMs?: number;
}

/** What was told, under which grant. */
interface Told extends Pick<SpoolHealth, 'state' | 'code'> {
  readonly since: number;
}

export class HealthReport implements Errand {
  readonly noun = null;
  readonly #deps: HealthDeps;

  constructor(deps: HealthDeps) {
    this.#deps = deps;
  }

  receive(): void {}

  async run(line: Line, signal: AbortSignal): Promise<void> {
    const { gate, spool, quietMs = QUIET_MS } = this.#deps;
    let wake = Promise.withResolvers<void>();
    const onChange = (): void => wake.resolve();
    const stopListening = [gate.onChange(onChange), spool.onChange(onChange)];
    signal.addEventListener('abort', onChange, { once: true });
    let told: Told | null = null;
    while (!signal.aborted) {
      wake = Promise.withResolvers<void>();
      const grant = gate.grantOf('device_info');
      const health = spool.health();
      if (grant === null) told = null;
      else if (isNews(told, health, grant.since)) {
        told = { ...health, since: grant.since };
        await this.#publish(line, encodeHealth({ epoch: grant.epoch, spool: health }));
        await sleep(quietMs, undefined, { signal }).catch(() => undefined);
        continue;
      }
      await wake.promise;
    }
    for (const stop of stopListening) stop();
  }

  async #publish(line: Line, payload: Uint8Array): Promise<void> {
    await line
      .publish('health', payload)
      .catch((error: unknown) =>
        this.#deps.log.debug({ code: toLenscapError(error).code }, 'not told'),
      );
  }
}

function isNews(told: Told | null, { state, code }: SpoolHealth, since: number): boolean {
  return told === null || told.since !== since || told.state !== state || told.code !== code;
}
