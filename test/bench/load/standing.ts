// A simulated device that stays connected as an agent does: when a connection fails or is lost it
// waits by the agent's own rule and connects again. One connection at a time.
import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { createSecureContext } from 'node:tls';
import { backoffMs } from '../../../agent/uplink/backoff.ts';
import { DOWN_NOUNS, downTopic } from '../../../proto/topics.ts';
import type { Refusal, Uplink } from './fleet-messages.ts';
import { Link, LinkError, type LinkSpec } from './link.ts';
import type { Device } from './messages.ts';

export interface StandingDeps {
  readonly server: { readonly port: number; readonly servername: string; readonly ca: string };
  readonly device: Device;
  readonly uplink: Uplink;
  readonly onUp: (link: Link) => void;
  readonly onLost: () => void;
  /** Somebody listens and did not let it in, or not in time. */
  readonly onRefused: (refusal: Refusal) => void;
  readonly onMessage?: (topic: string, payload: Buffer) => void;
}

export class Standing {
  readonly #deps: StandingDeps;
  readonly #spec: LinkSpec;
  #failures = 0;
  #link: Link | undefined;

  constructor(deps: StandingDeps) {
    this.#deps = deps;
    const { server, device, uplink, onMessage } = deps;
    const { port, servername, ca } = server;
    this.#spec = {
      port,
      servername,
      context: createSecureContext({
        ca,
        key: device.key,
        cert: device.certificate,
        minVersion: 'TLSv1.3',
      }),
      clientId: device.deviceId,
      // As an agent draws it once for its life.
      username: randomBytes(16).toString('hex'),
      keepaliveS: uplink.keepaliveS,
      connectTimeoutMs: uplink.connectTimeoutMs,
      ...(onMessage ? { onMessage } : {}),
    };
  }

  /** Until aborted. `begun` is called when the first connection stands. */
  async run(signal: AbortSignal, begun: () => void): Promise<void> {
    while (!signal.aborted) {
      const atMs = Date.now();
      try {
        await this.#connect(begun);
      } catch (error) {
        if (!(error instanceof LinkError)) throw error;
        const isLate = error.kind === 'late';
        if (error.kind !== 'down') this.#deps.onRefused({ atMs, isLate, why: error.message });
      }
      const waitMs = backoffMs(this.#failures, this.#deps.uplink, Math.random);
      this.#failures += 1;
      await sleep(waitMs, undefined, { signal }).catch(() => undefined);
    }
  }

  /** The connection held long enough to count as a good one. */
  settle(): void {
    this.#failures = 0;
  }

  /** The network is gone for a moment. */
  cut(): void {
    this.#link?.cut();
  }

  async #connect(begun: () => void): Promise<void> {
    const link = await Link.open(this.#spec);
    const { deviceId } = this.#deps.device;
    this.#link = link;
    const topics = DOWN_NOUNS.map((noun) => downTopic(deviceId, noun));
    const codes: readonly number[] = await link.subscribe(topics).catch(() => []);
    const isSubscribed = codes.length === topics.length && !codes.includes(128);
    if (!isSubscribed) {
      link.cut();
      throw new LinkError('refused', 'lost before SUBACK');
    }
    this.#deps.onUp(link);
    begun();
    await link.lost;
    this.#link = undefined;
    this.#deps.onLost();
  }
}
