// Grants, clocks and gates for the tests of consent.
import { generateKeyPairSync } from 'node:crypto';
import { pino } from 'pino';
import { Gate } from '../../../agent/consent/gate.ts';
import { type Grant, signGrant } from '../../../proto/grant.ts';
import { INFO_FIELDS } from '../../../proto/info.ts';
import type { Scope } from '../../../proto/scopes.ts';

export const DEVICE = 'cam-abcdefghijklmnop';
export const consent = generateKeyPairSync('ed25519');
export const stranger = generateKeyPairSync('ed25519');
export const silent = pino({ level: 'silent' });

export class SimulatedClock {
  wall = 1_800_000_000_000_000;
  mono = 5_000_000;
  wallUs = () => this.wall;
  monoUs = () => this.mono;
  advance(seconds: number): void {
    this.wall += seconds * 1e6;
    this.mono += seconds * 1e6;
  }
}

/** A signed grant; each scope is granted since the epoch in `since`, else since this very one. */
export function grant(
  epoch: number,
  scopes: readonly Scope[],
  more: Partial<Grant> = {},
  since: Partial<Record<Scope, number>> = {},
) {
  const content: Grant = {
    deviceId: DEVICE,
    epoch,
    granted: new Map(scopes.map((scope) => [scope, since[scope] ?? epoch])),
    policySha256: new Uint8Array(scopes.length === 0 ? 0 : 32).fill(7),
    issuedAtUs: 1_800_000_000_000_000,
    leaseS: 3600,
    infoFields: scopes.includes('device_info') ? INFO_FIELDS : [],
    ...more,
  };
  return signGrant(content, consent.privateKey);
}

export interface Made {
  readonly gate: Gate;
  readonly clock: SimulatedClock;
  /** Calls of `retain`, each with the file's presence at that time. */
  readonly retained: number[];
}

export function makeGate(
  stateDir: string,
  clock = new SimulatedClock(),
  onRetain: () => unknown = () => undefined,
): Made {
  const retained: number[] = [];
  const gate = new Gate({
    stateDir,
    identity: { deviceId: DEVICE, consentKey: consent.publicKey },
    clock,
    log: silent,
    retain: () => {
      retained.push(clock.mono);
      return onRetain() !== false;
    },
  });
  return { gate, clock, retained };
}
