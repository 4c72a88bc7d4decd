// What a device sent, by noun: to the collector, to the certificates, to the life of the device. Each
// answer is written before the PUBACK. A device that was released is only heard when it says goodbye.
import type { Logger } from 'pino';
import { toLenscapError } from '../../proto/errors.ts';
import { decodeReleased, type ReleaseCause } from '../../proto/release.ts';
import { decodeRenewal, encodeRenewed, type Renewed } from '../../proto/renewal.ts';
import { type DownNoun, downTopic, type UpNoun } from '../../proto/topics.ts';
import { encodeVerdict } from '../../proto/verdict.ts';
import type { Collector, Reply } from '../collector/collector.ts';
import { send } from './send.ts';
import type { Session } from './sessions.ts';

export interface InboxDeps {
  readonly collector: Pick<Collector, 'take' | 'refuse'>;
  readonly certificates: {
    renew(deviceId: string, serial: string, csr: Uint8Array): Promise<Renewed>;
  };
  readonly lifecycle: { released(deviceId: string, cause: ReleaseCause): Promise<void> };
  readonly log: Logger;
}

/** How long a device that forgets everything may take to close after the acknowledgement. */
const LEAVE_MS = 2000;

export class Inbox {
  readonly #deps: InboxDeps;

  constructor(deps: InboxDeps) {
    this.#deps = deps;
  }

  /** Resolves when PUBACK may be written; rejects to cut the connection without one. */
  async take(session: Session, noun: UpNoun, payload: Buffer): Promise<void> {
    if (noun === 'released') return this.#released(session, payload);
    const isFarewell = session.admittedAs === 'farewell';
    if (noun === 'renewal') {
      const renewed = isFarewell ? RELEASED : await this.#renew(session, payload);
      return this.#say(session, 'certificate', encodeRenewed(renewed));
    }
    const reply = isFarewell
      ? this.#deps.collector.refuse(noun, payload)
      : await this.#deps.collector.take(session, noun, payload);
    return this.#answer(session, reply);
  }

  async #answer(session: Session, reply: Reply): Promise<void> {
    if (reply === 'stored' || reply === 'dropped') return;
    await this.#say(session, 'verdict', encodeVerdict(reply.verdict));
    if (!reply.isFinal) throw new Error(`not stored: ${reply.verdict.code}`);
  }

  async #renew({ deviceId, peer }: Session, payload: Buffer): Promise<Renewed> {
    try {
      const csr = decodeRenewal(payload);
      const renewed = await this.#deps.certificates.renew(deviceId, peer.serial, csr);
      if (renewed.kind === 'issued') this.#deps.log.info({ deviceId }, 'certificate renewed');
      else this.#deps.log.warn({ deviceId, ...renewed }, 'certificate not renewed');
      return renewed;
    } catch (err) {
      const { code, detail } = toLenscapError(err);
      this.#deps.log.warn({ deviceId, code, err }, 'certificate not renewed');
      return { kind: 'refused', code, detail: code === 'BUG' ? 'the server failed' : detail };
    }
  }

  async #released(session: Session, payload: Buffer): Promise<void> {
    const { deviceId, guard } = session;
    const cause = decodeReleased(payload);
    session.isLeaving = true;
    try {
      await this.#deps.lifecycle.released(deviceId, cause);
    } catch (error) {
      session.isLeaving = false;
      throw error;
    }
    this.#deps.log.info({ deviceId, cause }, 'the device forgets everything');
    const timer = setTimeout(() => guard.destroy(), LEAVE_MS);
    guard.once('close', () => clearTimeout(timer));
  }

  #say({ client, deviceId }: Session, noun: DownNoun, payload: Uint8Array): Promise<void> {
    return send(client, downTopic(deviceId, noun), payload);
  }
}

const RELEASED: Renewed = { kind: 'refused', code: 'STATE_INVALID', detail: 'it was released' };
