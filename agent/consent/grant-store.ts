// Grants as the gate uses them: whether one is genuine, and the one on disk. INVARIANTS: no grant comes from
// here whose signature does not hold; one that `save` called saved is there after any crash. A disk that
// does not take it is told and is no exception.
import type { KeyObject } from 'node:crypto';
import type { Logger } from 'pino';
import { type LenscapError, toLenscapError } from '../../proto/errors.ts';
import { type Grant, verifyGrant } from '../../proto/grant.ts';
import type { Clock } from '../clock.ts';
import { readGrantFile, removeGrantFile, writeGrantFile } from './grant-file.ts';

/** Part of a lease by which a renewal has to lengthen what is saved. */
const WORTHWHILE = 1 / 24;

export interface GrantStoreDeps {
  readonly stateDir: string;
  readonly identity: { readonly deviceId: string; readonly consentKey: KeyObject };
  readonly clock: Clock;
  readonly log: Logger;
  /** Told of the time in each grant whose signature was verified. Absent: nobody. */
  readonly onSigned?: (issuedAtUs: number) => void;
}

export class GrantStore {
  readonly #deps: GrantStoreDeps;
  /** When this run saved the grant in force last, and with which lease. */
  #saved: { readonly monoUs: number; readonly leaseS: number } | null = null;

  constructor(deps: GrantStoreDeps) {
    this.#deps = deps;
  }

  /** @param payload of down/grant. @throws GRANT_INVALID. */
  verify(payload: Uint8Array): Grant {
    const { identity, onSigned } = this.#deps;
    const grant = verifyGrant(payload, identity.consentKey, identity.deviceId);
    onSigned?.(grant.issuedAtUs);
    return grant;
  }

  /** The saved one, and the wall time of its receipt; null for none. @throws GRANT_INVALID, STORE_FAILED. */
  read(): { readonly grant: Grant; readonly receivedAtUs: number } | null {
    const saved = readGrantFile(this.#deps.stateDir);
    return saved && { grant: this.verify(saved.payload), receivedAtUs: saved.receivedAtUs };
  }

  /** Whether it is on disk now. */
  save(payload: Uint8Array, { leaseS }: Grant): boolean {
    const { stateDir, clock } = this.#deps;
    try {
      writeGrantFile(stateDir, { receivedAtUs: clock.wallUs(), payload });
      this.#saved = { monoUs: clock.monoUs(), leaseS };
      return true;
    } catch (error) {
      this.#saved = null;
      this.#tell(toLenscapError(error));
      return false;
    }
  }

  /** A renewal that would lengthen the saved lease by next to nothing is not worth a write to flash. */
  isLeaseSaved({ leaseS }: Grant): boolean {
    if (this.#saved === null || leaseS < this.#saved.leaseS) return false;
    const endS = (this.#saved.monoUs - this.#deps.clock.monoUs()) / 1e6 + this.#saved.leaseS;
    return leaseS - endS < leaseS * WORTHWHILE;
  }

  /** Forgets it; what the disk does not let go of is told. */
  remove(): void {
    try {
      removeGrantFile(this.#deps.stateDir);
    } catch (error) {
      this.#tell(toLenscapError(error));
    }
  }

  #tell({ code, message }: LenscapError): void {
    this.#deps.log.error({ code }, `${message}; tried again with the next grant`);
  }
}
