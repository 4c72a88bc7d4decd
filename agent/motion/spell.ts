// From single signs to a spell that begins, has a peak, and ends. Pure.
// INVARIANT: a spell begins at its first sign and ends at its last one; spells do not overlap.

export interface SpellLimits {
  /** So many signs within so many looks begin a spell. */
  readonly signs: number;
  readonly within: number;
  /** Quiet for so long ends it. */
  readonly quietUs: number;
}

export type Turn =
  | { readonly kind: 'begun'; readonly atUs: number; readonly peak: number }
  | { readonly kind: 'peak'; readonly peak: number }
  | { readonly kind: 'ended'; readonly atUs: number; readonly peak: number };

export class Spell {
  readonly #limits: SpellLimits;
  /** The last looks while nothing has begun. */
  #looks: readonly { readonly atUs: number; readonly peak: number | null }[] = [];
  #now: { readonly lastUs: number; readonly peak: number } | null = null;

  constructor(limits: SpellLimits) {
    this.#limits = limits;
  }

  get lasts(): boolean {
    return this.#now !== null;
  }

  /** A look at this time; `strength` of the sign, null for none. */
  look(atUs: number, strength: number | null): Turn | null {
    return this.#now === null ? this.#begin(atUs, strength) : this.#goOn(atUs, strength);
  }

  /** There is nothing more to look at for now: it has ended with its last sign. */
  stop(): Turn | null {
    const now = this.#now;
    this.#now = null;
    this.#looks = [];
    return now === null ? null : { kind: 'ended', atUs: now.lastUs, peak: now.peak };
  }

  #begin(atUs: number, strength: number | null): Turn | null {
    const { signs, within } = this.#limits;
    this.#looks = [...this.#looks, { atUs, peak: strength }].slice(-within);
    const seen = this.#looks.filter((one) => one.peak !== null);
    const first = seen[0];
    if (first === undefined || seen.length < signs) return null;
    this.#looks = [];
    const peak = Math.max(...seen.map((one) => one.peak ?? Number.NEGATIVE_INFINITY));
    this.#now = { lastUs: atUs, peak };
    return { kind: 'begun', atUs: first.atUs, peak };
  }

  #goOn(atUs: number, strength: number | null): Turn | null {
    const now = this.#now;
    if (now === null) return null;
    if (strength === null) return atUs - now.lastUs >= this.#limits.quietUs ? this.stop() : null;
    const peak = Math.max(now.peak, strength);
    this.#now = { lastUs: atUs, peak };
    return peak > now.peak ? { kind: 'peak', peak } : null;
  }
}
