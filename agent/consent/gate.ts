// The consent gate: the only file that can take the lens cap off.
// Invariants: open only under a grant that is signed by the pinned key, for this device, of the
// highest epoch seen, within its lease, and on disk. What narrows is obeyed before it is saved,
// what widens after. A permit once revoked never comes back.
import type { KeyObject } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import { type LenscapError, toLenscapError } from '../../proto/errors.ts';
import { type Grant, verifyGrant } from '../../proto/grant.ts';
import type { InfoField } from '../../proto/info.ts';
import { type GrantedSince, mayTakeIn, type Scope } from '../../proto/scopes.ts';
import type { Clock } from '../clock.ts';
import { decide, type InForce, leaseLeftUs } from './decision.ts';
import { readGrantFile, removeGrantFile, writeGrantFile } from './grant-file.ts';
import { type Issued, isCovered, isCurrent, issue, type Permit } from './permit.ts';

const LONGEST_SLEEP_MS = 60_000;
/** Part of a lease by which a renewal has to lengthen what is saved. */
const WORTHWHILE = 1 / 24;

/** Anything captured: under which epoch, and what it holds. */
export interface Captured {
  readonly epoch: number;
  readonly scopes: readonly Scope[];
  /** The part of device information that has to be named as well; absent for none. */
  readonly part?: InfoField;
}

export type Accepted =
  /** In force and on disk. */
  | { readonly outcome: 'applied'; readonly epoch: number }
  /** Obeyed where it narrows, but not on disk, or not erased yet; what it widens waits until it is. */
  | { readonly outcome: 'unsaved'; readonly epoch: number }
  /** Not valid, or older than what is known. Nothing changed. */
  | { readonly outcome: 'ignored' };

export interface GateDeps {
  readonly stateDir: string;
  readonly identity: { readonly deviceId: string; readonly consentKey: KeyObject };
  readonly clock: Clock;
  readonly log: Logger;
  /** Erases whatever waits to be sent and may no longer be kept. */
  readonly retain: (mayKeep: (item: Captured) => boolean) => boolean;
  /** Told of the time in each grant whose signature was verified. Absent: nobody. */
  readonly onSigned?: (issuedAtUs: number) => void;
}

interface State extends InForce {
  /** What of the device may be told; of what the grant names, where it was narrowed since. */
  readonly named: readonly InfoField[];
  readonly leaseEndMonoUs: number;
}

const NOTHING: GrantedSince = new Map();

export class Gate {
  readonly #deps: GateDeps;
  readonly #listeners = new Set<() => void>();
  #state: State | null = null;
  #highestEpoch = 0;
  #owesErasure = false;
  /** When the grant in force was last saved by this run. */
  #savedMonoUs = Number.NEGATIVE_INFINITY;
  #permit: Permit | null = null;
  #issued: readonly Issued[] = [];
  #isClosed = false;

  /** Reads the saved grant. Never throws: what cannot be trusted leaves the cap on. */
  constructor(deps: GateDeps) {
    this.#deps = deps;
    this.#restore();
    // What an erasure before a restart did not get to.
    if (this.#state !== null) this.#erase();
    this.#settle();
    if (this.#permit === null) deps.log.info({ cap: 'on' }, 'the lens cap is on');
  }

  /** The permit in force, or null: the cap is on. The same object as long as nothing ended it. */
  permit(): Permit | null {
    this.#settle();
    return this.#permit;
  }

  /** Whether something captured may be kept for sending. Holds beyond the end of the lease. */
  mayKeep(item: Captured): boolean {
    const named = this.#state?.named ?? [];
    if (item.part !== undefined && !named.includes(item.part)) return false;
    return mayTakeIn(item, this.#state?.since ?? NOTHING);
  }

  /** Whether something captured may leave the camera now. */
  maySend(item: Captured): boolean {
    this.#settle();
    return this.#isInForce() && this.mayKeep(item);
  }

  /** Calls back after each change of what is permitted. Returns how to stop that. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Resolves with the permit as soon as it is another than `known`. @throws AbortError. */
  async other(known: Permit | null, signal: AbortSignal): Promise<Permit | null> {
    while (this.permit() === known) {
      signal.throwIfAborted();
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      const stopListening = this.onChange(resolve);
      const onAbort = () => reject(signal.reason);
      signal.addEventListener('abort', onAbort, { once: true });
      await promise.finally(() => {
        stopListening();
        signal.removeEventListener('abort', onAbort);
      });
    }
    return this.#permit;
  }

  /** Closes the gate when the lease runs out. Resolves when `signal` is aborted. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const leftMs = this.#leaseLeftMs();
      const changed = new AbortController();
      const stopListening = this.onChange(() => changed.abort());
      await sleep(leftMs, undefined, { signal: AbortSignal.any([signal, changed.signal]) })
        .catch(() => undefined)
        .finally(stopListening);
      this.#settle();
    }
  }

  /** The epoch in force, and since which one a scope is granted; null when it is not granted now. */
  grantOf(scope: Scope): { readonly epoch: number; readonly since: number } | null {
    const since = this.#isInForce() ? this.#state?.since.get(scope) : undefined;
    return since === undefined || this.#state === null
      ? null
      : { epoch: this.#state.grant.epoch, since };
  }

  /** The epoch of the consent that is known, whether its lease lasts or not; null for none. */
  knownEpoch(): number | null {
    return this.#state?.grant.epoch ?? null;
  }

  /** The parts of device information that may be told now. */
  infoFields(): readonly InfoField[] {
    return this.#isInForce() ? (this.#state?.named ?? []) : [];
  }

  /** The ownership has ended: the cap is on and stays on, and all that waits is erased. */
  close(): void {
    this.#isClosed = true;
    this.#state = null;
    this.#settle();
    this.#deps.retain(() => false);
  }

  /** Takes a payload of down/grant. Never throws. */
  accept(payload: Uint8Array): Accepted {
    const { identity, log, onSigned } = this.#deps;
    if (this.#isClosed) return { outcome: 'ignored' };
    let grant: Grant;
    try {
      grant = verifyGrant(payload, identity.consentKey, identity.deviceId);
      onSigned?.(grant.issuedAtUs);
    } catch (error) {
      log.warn({ code: toLenscapError(error).code }, toLenscapError(error).message);
      return { outcome: 'ignored' };
    }
    const accepted = this.#judge(grant, payload);
    if (this.#owesErasure) this.#erase();
    // Who withdraws is told that it was obeyed when nothing of it is left.
    return this.#owesErasure && accepted.outcome === 'applied'
      ? { ...accepted, outcome: 'unsaved' }
      : accepted;
  }

  #judge(grant: Grant, payload: Uint8Array): Accepted {
    const { log } = this.#deps;
    const decision = decide(this.#state, this.#highestEpoch, grant);
    switch (decision.kind) {
      case 'stale':
        log.warn(
          { epoch: grant.epoch, highestEpoch: this.#highestEpoch },
          'a grant of an older epoch is ignored',
        );
        return { outcome: 'ignored' };
      case 'conflict':
        log.error({ epoch: grant.epoch }, 'another grant with the epoch in force is ignored');
        return { outcome: 'ignored' };
      case 'renewal':
        return this.#renew(grant, payload, decision.isFresh);
      case 'change':
        this.#highestEpoch = grant.epoch;
        this.#narrow(decision.kept, grant.infoFields);
        return this.#change(grant, payload);
    }
  }

  #renew(grant: Grant, payload: Uint8Array, isFresh: boolean): Accepted {
    const { epoch } = grant;
    if (!isFresh) {
      this.#deps.log.warn({ epoch }, 'a grant signed earlier does not renew the lease');
      return { outcome: 'applied', epoch };
    }
    const isSaved = this.#isLeaseSaved(grant) || this.#save(payload);
    this.#obey(grant);
    return { outcome: isSaved ? 'applied' : 'unsaved', epoch };
  }

  /** A renewal that would lengthen the saved lease by next to nothing is not worth a write to flash. */
  #isLeaseSaved({ leaseS }: Grant): boolean {
    const ageUs = this.#deps.clock.monoUs() - this.#savedMonoUs;
    return ageUs < leaseS * 1e6 * WORTHWHILE;
  }

  /** Ends at once whatever goes on no longer. What stays is a part of what was saved before. */
  #narrow(kept: GrantedSince, named: readonly InfoField[]): void {
    if (this.#state === null) return;
    const left = this.#state.named.filter((part) => named.includes(part));
    if (kept.size === this.#state.since.size && left.length === this.#state.named.length) return;
    this.#state = { ...this.#state, since: kept, named: left };
    this.#settle();
    this.#erase();
  }

  /** Erases what may not be kept; what the flash does not let go of is owed. */
  #erase(): void {
    this.#owesErasure = !this.#deps.retain((item) => this.mayKeep(item));
  }

  #change(grant: Grant, payload: Uint8Array): Accepted {
    const { epoch } = grant;
    const scopes = [...grant.granted.keys()];
    if (!this.#save(payload)) {
      this.#forgetWider();
      return { outcome: 'unsaved', epoch };
    }
    this.#deps.log.info({ epoch, scopes, leaseS: grant.leaseS }, 'a grant is in force');
    const isFirst = this.#state === null;
    this.#obey(grant);
    // Without a grant on disk nobody could judge what an earlier run left.
    if (isFirst) this.#erase();
    return { outcome: 'applied', epoch };
  }

  #obey(grant: Grant): void {
    const leaseEndMonoUs = this.#deps.clock.monoUs() + grant.leaseS * 1e6;
    this.#state = { grant, since: grant.granted, named: grant.infoFields, leaseEndMonoUs };
    this.#settle();
    // A new end of the lease is news to run(), even where no permit changed.
    this.#notify();
  }

  #save(payload: Uint8Array): boolean {
    try {
      const receivedAtUs = this.#deps.clock.wallUs();
      writeGrantFile(this.#deps.stateDir, { receivedAtUs, payload });
      this.#savedMonoUs = this.#deps.clock.monoUs();
      return true;
    } catch (error) {
      this.#savedMonoUs = Number.NEGATIVE_INFINITY;
      this.#logStore(toLenscapError(error));
      return false;
    }
  }

  /** A narrower grant that cannot be saved must not be undone by the wider one after a restart. */
  #forgetWider(): void {
    if (this.#state === null) return;
    const { grant, since, named } = this.#state;
    if (since.size === grant.granted.size && named.length === grant.infoFields.length) return;
    try {
      removeGrantFile(this.#deps.stateDir);
    } catch (error) {
      this.#logStore(toLenscapError(error));
    }
  }

  #logStore(error: LenscapError): void {
    this.#deps.log.error({ code: error.code }, `${error.message}; tried again with the next grant`);
  }

  #restore(): void {
    const { stateDir, identity, clock, log, onSigned } = this.#deps;
    try {
      const saved = readGrantFile(stateDir);
      if (saved === null) return;
      const grant = verifyGrant(saved.payload, identity.consentKey, identity.deviceId);
      this.#highestEpoch = grant.epoch;
      onSigned?.(grant.issuedAtUs);
      const leftUs = leaseLeftUs(grant.leaseS, saved.receivedAtUs, clock.wallUs());
      if (leftUs === 0)
        log.warn('the lease of the saved grant ran out, or the clock cannot be trusted');
      const leaseEndMonoUs = leftUs === 0 ? 0 : clock.monoUs() + leftUs;
      this.#state = { grant, since: grant.granted, named: grant.infoFields, leaseEndMonoUs };
    } catch (error) {
      const { code, message } = toLenscapError(error, 'GRANT_INVALID');
      log.error({ code }, `${message}; the lens cap stays on until the server sends a grant`);
    }
  }

  #isInForce(): boolean {
    return this.#state !== null && this.#deps.clock.monoUs() < this.#state.leaseEndMonoUs;
  }

  #leaseLeftMs(): number {
    if (this.#permit === null || this.#state === null) return LONGEST_SLEEP_MS;
    const leftUs = this.#state.leaseEndMonoUs - this.#deps.clock.monoUs();
    return Math.max(1, Math.min(LONGEST_SLEEP_MS, Math.ceil(leftUs / 1000)));
  }

  /** Brings the permit in line with the state and the lease; revokes before it gives. */
  #settle(): void {
    const isInForce = this.#isInForce();
    const since = isInForce ? (this.#state?.since ?? NOTHING) : NOTHING;
    const ended = this.#issued.filter((issued) => !isCovered(issued, since));
    if (ended.length === 0 && isCurrent(this.#permit, since)) return;
    const before = this.#permit;
    this.#issued = this.#issued.filter((issued) => isCovered(issued, since));
    this.#permit = null;
    for (const { controller } of ended) controller.abort();
    // A listener of the abort may have asked for the permit already.
    this.#permit ??= this.#give(since);
    const { log } = this.#deps;
    if (before !== null && this.#permit === null)
      log.info({ cap: 'on', reason: this.#whyOn(isInForce) }, 'the lens cap is on');
    else if (this.#permit !== null)
      log.info(
        { cap: 'off', epoch: this.#permit.epoch, audio: this.#permit.audio },
        'the lens cap is off',
      );
    this.#notify();
  }

  #whyOn(isInForce: boolean): string {
    if (this.#isClosed) return 'the ownership has ended';
    return isInForce ? 'withdrawn' : 'the lease ran out';
  }

  #give(since: GrantedSince): Permit | null {
    if (this.#state === null) return null;
    const issued = issue(this.#state.grant.epoch, since);
    if (issued === null) return null;
    this.#issued = [...this.#issued, issued];
    return issued.permit;
  }

  #notify(): void {
    for (const listener of [...this.#listeners]) listener();
  }
}
