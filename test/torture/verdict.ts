// The judgement of a run over several cameras: every one without a fault, and what each came to.
import type { Test } from 'tap';
import { type Evidence, faultsOf, figuresOf, totalsOf } from './audit.ts';
import { printTable } from './table.ts';

/** Fails for each camera with a violation; prints the figures and the account of all. */
export function judgeAll(t: Test, evidence: readonly Evidence[]): void {
  for (const one of evidence) t.strictSame(faultsOf(one), []);
  printTable(
    t,
    evidence.map((one) => ({ ...figuresOf(one) })),
  );
  printTable(
    t,
    evidence.map(({ account }) => totalsOf(account)),
  );
}
