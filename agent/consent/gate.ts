// The consent gate: the only file that can take the lens cap off.
// Invariants: open only under a grant that is signed by the pinned key, for this device, of the
// highest epoch seen, within its lease, and on disk. What narrows is obeyed before it is saved,
// what widens after. A permit once revoked never comes back.
import { setTimeout as sleep } from 'node:timers/promises';
import { toLenscapError } from '../../proto/errors.ts';
import type { Grant } from '../../proto/grant.ts';
import type { InfoField } from '../../proto/info.ts';
import { type GrantedSince, mayTakeIn, type Scope } from '../../proto/scopes.ts';
import type { Captured } from './captured.ts';
import { decide, type InForce, leaseLeftUs } from './decision.ts';
import { GrantStore, type GrantStoreDeps } from './grant-store.ts';
import { type Permit, Permits } from './permit.ts';

export type { Captured } from './captured.ts';

const LONGEST_SLEEP_MS = 60_000;

export type Accepted =
  /** In force and on disk. */
  | { readonly outcome: 'applied'; readonly epoch: number }
  /** Obeyed where it narrows, but not on disk, or not erased yet; what it widens waits until it is. */
  | { readonly outcome: 'unsaved'; readonly epoch: number }
  /** Not valid, or older than what is known. Nothing changed. */
  | { readonly outcome: 'ignored' };

export interface GateDeps extends GrantStoreDeps {
  /** Erases whatever waits to be sent and may no longer be kept. */
  readonly retain: (mayKeep: (item: Captured) => boolean) => boolean;
}

interface State extends InForce {
  /** What of the device may be told; of what the grant names, where it was narrowed since. */
  readonly named: readonly InfoField[];
  readonly leaseEndMonoUs: number;
}

const NOTHING: GrantedSince = new Map();

export class Gate {
  readonly #deps: GateDeps;
  readonly #store: GrantStore;
  readonly #permits = new Permits({ pictures: 'video', sound: 'audio' });
  readonly #stills = new Permits({ pictures: 'snapshot', sound: null });
  readonly #listeners = new Set<() => void>();
  #state: State | null = null;
  #highestEpoch = 0;
  #owesErasure = false;
  #isClosed = false;

  /** Reads the saved grant. Never throws: what cannot be trusted leaves the cap on. */
  constructor(deps: GateDeps) {
    this.#deps = deps;
    this.#store = new GrantStore(deps);
    this.#restore();
    // What an erasure before a restart did not get to.
    if (this.#state !== null) this.#erase();
    this.#settle();
    if (this.#isCapOn()) deps.log.info({ cap: 'on' }, 'the lens cap is on');
  }

  /** The permit to record in force; null for none. The same object as long as nothing ended it. */
  permit(): Permit | null {
    this.#settle();
    return this.#permits.current;
  }

  /** The permit to take still pictures in force; null for none. Without either the cap is on. */
  stillPermit(): Permit | null {
    this.#settle();
    return this.#stills.current;
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
    return this.#permits.current;
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
    if (this.#isClosed) return { outcome: 'ignored' };
    let grant: Grant;
    try {
      grant = this.#store.verify(payload);
    } catch (error) {
      const { code, message } = toLenscapError(error);
      this.#deps.log.warn({ code }, message);
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
    const isSaved = this.#store.isLeaseSaved(grant) || this.#store.save(payload, grant);
    this.#obey(grant);
    return { outcome: isSaved ? 'applied' : 'unsaved', epoch };
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
    if (!this.#store.save(payload, grant)) {
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

  /** A narrower grant that cannot be saved must not be undone by the wider one after a restart. */
  #forgetWider(): void {
    if (this.#state === null) return;
    const { grant, since, named } = this.#state;
    const isNarrowed = since.size < grant.granted.size || named.length < grant.infoFields.length;
    if (isNarrowed) this.#store.remove();
  }

  #restore(): void {
    const { clock, log } = this.#deps;
    try {
      const saved = this.#store.read();
      if (saved === null) return;
      const { grant, receivedAtUs } = saved;
      this.#highestEpoch = grant.epoch;
      const leftUs = leaseLeftUs(grant.leaseS, receivedAtUs, clock.wallUs());
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
    if (this.#isCapOn() || this.#state === null) return LONGEST_SLEEP_MS;
    const leftUs = this.#state.leaseEndMonoUs - this.#deps.clock.monoUs();
    return Math.max(1, Math.min(LONGEST_SLEEP_MS, Math.ceil(leftUs / 1000)));
  }

  /** Brings the permit in line with the state and the lease. */
  #settle(): void {
    const isInForce = this.#isInForce();
    const since = (isInForce && this.#state?.since) || NOTHING;
    const epoch = this.#state?.grant.epoch ?? 0;
    const wasOn = this.#isCapOn();
    // Both, and whatever is revoked before anybody is told.
    const changed = [this.#stills.settle(epoch, since), this.#permits.settle(epoch, since)];
    if (!changed.includes(true)) return;
    this.#tell(wasOn, isInForce);
    this.#notify();
  }

  #isCapOn(): boolean {
    return this.#permits.current === null && this.#stills.current === null;
  }

  #tell(wasOn: boolean, isInForce: boolean): void {
    const { log } = this.#deps;
    const permit = this.#permits.current ?? this.#stills.current;
    if (permit !== null) {
      const { epoch, audio } = permit;
      const isForStills = this.#permits.current === null;
      log.info({ cap: 'off', epoch, audio, isForStills }, 'the lens cap is off');
    } else if (!wasOn)
      log.info({ cap: 'on', reason: this.#whyOn(isInForce) }, 'the lens cap is on');
  }

  #whyOn(isInForce: boolean): string {
    if (this.#isClosed) return 'the ownership has ended';
    return isInForce ? 'withdrawn' : 'the lease ran out';
  }

  #notify(): void {
    for (const listener of [...this.#listeners]) listener();
  }
}
