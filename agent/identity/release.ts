// Hears the owner's order to forget everything, and passes on that it is genuine.
import type { KeyObject } from 'node:crypto';
import type { Logger } from 'pino';
import { toLenscapError } from '../../proto/errors.ts';
import { verifyRelease } from '../../proto/release.ts';
import type { Errand } from '../uplink/errand.ts';

export interface ReleaseDeps {
  readonly identity: { readonly deviceId: string; readonly consentKey: KeyObject };
  readonly log: Logger;
  /** Called in the moment in which the order comes. */
  readonly onRelease: () => void;
}

export class ReleaseOrder implements Errand {
  readonly noun = 'release';
  readonly #deps: ReleaseDeps;

  constructor(deps: ReleaseDeps) {
    this.#deps = deps;
  }

  receive(payload: Uint8Array): void {
    const { identity, log, onRelease } = this.#deps;
    try {
      verifyRelease(payload, identity.consentKey, identity.deviceId);
    } catch (error) {
      const { code, message } = toLenscapError(error);
      log.warn({ code }, `an order to forget everything is ignored: ${message}`);
      return;
    }
    log.info('the owner has released the camera');
    onRelease();
  }

  async run(): Promise<void> {}
}
