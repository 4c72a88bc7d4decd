// What consent is asked about. Pure.
import type { InfoField } from '../../proto/info.ts';
import type { Scope } from '../../proto/scopes.ts';

/** Anything captured: under which epoch, and what it holds. */
export interface Captured {
  readonly epoch: number;
  readonly scopes: readonly Scope[];
  /** The part of device information that has to be named as well; absent for none. */
  readonly part?: InfoField;
}
