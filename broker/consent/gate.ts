// What is granted now, in memory: the broker's gate. It only ever refuses earlier what the
// transaction at commit would refuse as well; it closes before a withdrawal is answered.
import { type GrantedSince, mayTakeIn, type Scope } from '../../proto/scopes.ts';

export class ConsentGate {
  readonly #devices = new Map<string, GrantedSince>();

  /** Sets what the index holds for a device. */
  set(deviceId: string, granted: GrantedSince): void {
    this.#devices.set(deviceId, granted);
  }

  /** Closes scopes at once, ahead of the transaction that makes it durable. */
  close(deviceId: string, scopes: readonly Scope[]): void {
    const granted = new Map(this.#devices.get(deviceId));
    for (const scope of scopes) granted.delete(scope);
    this.#devices.set(deviceId, granted);
  }

  mayTakeIn(deviceId: string, item: { epoch: number; scopes: readonly Scope[] }): boolean {
    return mayTakeIn(item, this.#devices.get(deviceId) ?? new Map());
  }
}
