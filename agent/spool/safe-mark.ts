// Up to where all that was captured in this boot is acknowledged or on flash, told as it moves.
// INVARIANT: it only moves on, and never beyond the oldest that only memory holds.
import type { Entry } from './entries.ts';
import type { Holdings, Safe } from './holdings.ts';

export interface SafeMarkDeps {
  readonly holdings: Pick<Holdings, 'newest' | 'unsaved'>;
  /** Kernel boot id, a UUID. */
  readonly bootId: string;
  readonly onSafe: (safe: Safe) => void;
}

export class SafeMark {
  readonly #deps: SafeMarkDeps;
  #toldUs = Number.NEGATIVE_INFINITY;
  /** The oldest that only memory held when that was looked for. */
  #unsafe: Entry | undefined;

  constructor(deps: SafeMarkDeps) {
    this.#deps = deps;
  }

  /** Tells where it is, if it has moved. */
  tell(): void {
    const { holdings, bootId, onSafe } = this.#deps;
    const { newest } = holdings;
    if (newest?.bootId !== bootId) return;
    // Looked for anew only when it is safe: there may be thousands.
    if (this.#unsafe !== undefined && isUnsafe(this.#unsafe)) return;
    const unsafe = holdings.unsaved.oldest((item) => isOf(item, bootId));
    this.#unsafe = unsafe;
    const safeUs = Math.min(newest.endMonoUs, unsafe ? startOf(unsafe) : newest.endMonoUs);
    if (safeUs <= this.#toldUs) return;
    this.#toldUs = safeUs;
    onSafe({ ...newest, endMonoUs: safeUs, endAtUs: newest.endAtUs - (newest.endMonoUs - safeUs) });
  }
}

const isUnsafe = ({ isGone, place }: Entry): boolean => !isGone && place !== 'flash';

/** Pictures of this boot, or a Gap in their place. */
function isOf(item: Entry['item'], bootId: string): boolean {
  return item.kind === 'segment' || (item.kind === 'gap' && item.gap.bootId === bootId);
}

function startOf({ item }: Entry): number {
  if (item.kind === 'segment') return item.header.startMonoUs;
  return item.kind === 'gap' ? item.gap.startMonoUs : item.event.startMonoUs;
}
