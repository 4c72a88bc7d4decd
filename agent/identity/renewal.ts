// Renews the certificate over the live connection, with a fresh key. INVARIANT: until the server took
// the new pair the old one stays on disk beside it, so that no step can leave the camera without one
// that is accepted.
import { X509Certificate } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import { LenscapError, toLenscapError } from '../../proto/errors.ts';
import { decodeRenewed, encodeRenewal, type Renewed } from '../../proto/renewal.ts';
import type { KnownTime } from '../clock.ts';
import { replaceSecret } from '../durable-file.ts';
import type { Errand, Line } from '../uplink/errand.ts';
import type { StoredCredentials } from './credentials.ts';
import { makeRequest } from './csr.ts';
import { type Identity, readBundle } from './identity.ts';
import { checkedCertificate } from './issued.ts';
import { withIdentityLock } from './lock.ts';
import { forgetPendingKey, forgetPendingKeys, pemOf, pendingKey } from './pending-key.ts';
import { renewalDueUs, renewalRetryMs } from './renewal-time.ts';

/** The wall clock may be set meanwhile. */
const LONGEST_SLEEP_MS = 60_000;

export interface RenewalDeps {
  readonly identityPath: string;
  readonly stateDir: string;
  readonly credentials: Pick<StoredCredentials, 'inUse'>;
  readonly time: Pick<KnownTime, 'nowUs'>;
  readonly log: Logger;
  readonly random: () => number;
  /** A new certificate is on disk. */
  readonly onRenewed?: () => void;
}

export class Renewal implements Errand {
  readonly noun = 'certificate';
  readonly #deps: RenewalDeps;
  readonly #chance: number;
  #answer: Uint8Array | undefined;
  /** Not before it, after a try that failed; survives a loss of the connection. */
  #notBeforeMs = 0;

  constructor(deps: RenewalDeps) {
    this.#deps = deps;
    this.#chance = deps.random();
  }

  receive(payload: Uint8Array): void {
    this.#answer = payload;
  }

  async run(line: Line, signal: AbortSignal): Promise<void> {
    const { credentials, time, log, random } = this.#deps;
    while (!signal.aborted) {
      const identity = credentials.inUse();
      const waitMs = this.#waitMs(identity);
      if (waitMs > 0) {
        await sleep(Math.min(LONGEST_SLEEP_MS, waitMs), undefined, { signal }).catch(() => {});
        continue;
      }
      try {
        await this.#renew(identity, line, signal);
        this.#deps.onRenewed?.();
        return line.reconnect();
      } catch (error) {
        if (signal.aborted) return;
        const { code, message } = toLenscapError(error);
        const nextAttemptMs = Math.round(renewalRetryMs(identity, time.nowUs(), random()));
        this.#notBeforeMs = performance.now() + nextAttemptMs;
        log.warn({ code, nextAttemptMs }, `the certificate could not be renewed: ${message}`);
      }
    }
  }

  #waitMs(identity: Identity): number {
    const dueMs = (renewalDueUs(identity, this.#chance) - this.#deps.time.nowUs()) / 1000;
    return Math.ceil(Math.max(dueMs, this.#notBeforeMs - performance.now()));
  }

  #renew(identity: Identity, line: Line, signal: AbortSignal): Promise<void> {
    const { identityPath, stateDir, log } = this.#deps;
    return withIdentityLock(stateDir, signal, async () => {
      const { fingerprint256 } = new X509Certificate(identity.certificate);
      const purpose = { purpose: 'renewal', for: fingerprint256 } as const;
      const key = pendingKey(identityPath, purpose);
      const renewed = await this.#ask(makeRequest(key), line);
      if (renewed.kind === 'refused') {
        if (renewed.code === 'CSR_INVALID') forgetPendingKey(identityPath, purpose);
        throw new LenscapError(renewed.code, renewed.detail);
      }
      const { deviceId } = identity;
      const authority = new X509Certificate(identity.ca);
      const expected = { privateKey: key, deviceId, authority };
      const certificate = checkedCertificate(renewed.certificate, expected);
      const bundle = readBundle(identityPath);
      const held = [bundle?.certificate, bundle?.previous?.certificate];
      if (bundle === null || !held.includes(identity.certificate))
        throw new LenscapError('CONFLICT', 'the identity was changed meanwhile');
      const previous = { privateKey: identity.privateKey, certificate: identity.certificate };
      const fresh = { ...bundle, privateKey: pemOf(key), certificate, previous };
      replaceSecret(identityPath, JSON.stringify(fresh));
      forgetPendingKeys(identityPath);
      log.info('a new certificate is there; it is used from the next connection on');
    });
  }

  async #ask(csr: Uint8Array, line: Line): Promise<Renewed> {
    this.#answer = undefined;
    await line.publish('renewal', encodeRenewal(csr));
    // The answer comes before the acknowledgement.
    if (this.#answer === undefined)
      throw new LenscapError('UPLINK_LOST', 'the server gave no answer');
    return decodeRenewed(this.#answer);
  }
}
