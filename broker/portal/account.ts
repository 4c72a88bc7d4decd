// The time account of a stretch of a camera's time, out of what the store knows of it.
import { LenscapError } from '../../proto/errors.ts';
import type { Consent } from '../consent/consent.ts';
import type { Span } from '../store/media-rows.ts';
import type { Store } from '../store/store.ts';
import { byTime, deleted, missed, notConsented, recorded } from './known-times.ts';
import { inOrder, type Kind, type Stretch, TimeAccount, totalsOf } from './time-account.ts';
import { isoTime } from './times.ts';

const DAY_US = 86_400_000_000;
/** Bounds the length of an answer. */
const MAX_STRETCHES = 50_000;

export interface Account {
  readonly stretches: readonly Stretch[];
  readonly totals: Readonly<Record<Kind, number>>;
}

/** @throws REQUEST_INVALID when there are too many stretches. */
export async function accountOf(
  { store, consent }: { readonly store: Pick<Store, 'times'>; readonly consent: Consent },
  span: Span,
  nowUs: number,
): Promise<Account> {
  const { times } = store;
  const { deviceId } = span;
  const account = new TimeAccount(span);
  const keptFromUs = nowUs - (await consent.retentionDays(deviceId)) * DAY_US;
  const heardUntilUs = await times.heardUntil(deviceId, nowUs);
  const sources = [
    recorded(times.pieces(span)),
    missed(times.gaps(span)),
    deleted(await times.deleted(span)),
    notConsented(await consent.log(deviceId)),
    byTime({ nowUs, heardUntilUs, keptFromUs }),
  ];
  for await (const known of inOrder(sources)) {
    account.add(known);
    if (account.length > MAX_STRETCHES)
      throw new LenscapError(
        'REQUEST_INVALID',
        `more than ${MAX_STRETCHES} stretches; ask for less time`,
      );
  }
  const stretches = account.finish();
  return { stretches, totals: totalsOf(stretches) };
}

/** As the API answers it. */
export function accountAnswer({ stretches, totals }: Account): Record<string, unknown> {
  return {
    stretches: stretches.map(({ fromUs, toUs, kind, reasons }) => ({
      from: isoTime(fromUs),
      to: isoTime(toUs),
      fromUs,
      toUs,
      durationUs: toUs - fromUs,
      kind,
      reasons,
    })),
    totals,
  };
}
