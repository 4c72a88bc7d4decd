// With what the agent connects: the identity on disk, looked at again before each connection, since a
// command may have changed it. After a renewal there are two pairs until one was admitted; the file
// names both as long as both may be needed.
import type { Logger } from 'pino';
import { toLenscapError } from '../../proto/errors.ts';
import { replaceSecret } from '../durable-file.ts';
import { findIdentity, type Identity, readBundle } from './identity.ts';
import { tryIdentityLock } from './lock.ts';

export interface CredentialsDeps {
  readonly identityPath: string;
  readonly stateDir: string;
  readonly identity: Identity;
  readonly log: Logger;
  /** The file is gone, or holds the identity of another device. */
  readonly onReplaced: () => void;
}

export class StoredCredentials {
  readonly #deps: CredentialsDeps;
  #identity: Identity;
  #usesPrevious = false;

  constructor(deps: CredentialsDeps) {
    this.#deps = deps;
    this.#identity = deps.identity;
  }

  /** The identity for the next connection. */
  next(): Identity {
    this.#reload();
    return this.inUse();
  }

  /** The identity of the connection that there is. */
  inUse(): Identity {
    const { previous } = this.#identity;
    return this.#usesPrevious && previous !== null
      ? { ...this.#identity, ...previous }
      : this.#identity;
  }

  /** The server took it: whatever else there was is not needed any more. */
  admitted(): void {
    if (this.#identity.previous === null) return;
    const { identityPath, stateDir, log } = this.#deps;
    const { privateKey, certificate } = this.inUse();
    // Held by a command that is changing the identity: then there will be a next connection.
    const lock = tryIdentityLock(stateDir);
    if (lock === null) return;
    try {
      const bundle = readBundle(identityPath);
      if (bundle?.certificate !== this.#identity.certificate) return;
      const settled = { ...bundle, privateKey, certificate, previous: null };
      replaceSecret(identityPath, JSON.stringify(settled));
      log.info({ isFresh: !this.#usesPrevious }, 'one certificate is left, the one in use');
      this.#reload();
    } catch (error) {
      const { code, message } = toLenscapError(error, 'STORE_FAILED');
      log.warn({ code }, `${message}; tried again with the next connection`);
    } finally {
      lock.release();
    }
  }

  /** The server did not take it: the other pair is next, if there is one. */
  refused(): void {
    if (this.#identity.previous === null) return;
    this.#usesPrevious = !this.#usesPrevious;
    const next = this.#usesPrevious ? 'before' : 'after';
    this.#deps.log.warn(`the certificate ${next} the last change is tried`);
  }

  #reload(): void {
    const { identityPath, log, onReplaced } = this.#deps;
    try {
      const found = findIdentity(identityPath);
      if (found === null || !isSameDevice(found, this.#identity)) {
        onReplaced();
        return;
      }
      if (found.certificate !== this.#identity.certificate) this.#usesPrevious = false;
      this.#identity = found;
    } catch (error) {
      const { code, message } = toLenscapError(error);
      log.error({ code }, `${message}; the identity read before is used on`);
    }
  }
}

function isSameDevice(one: Identity, other: Identity): boolean {
  return one.deviceId === other.deviceId && one.consentKey.equals(other.consentKey);
}
