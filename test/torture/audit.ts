// Judges one camera over a whole run: what was acknowledged is there, nothing is there twice, nothing
// without consent, and every second is accounted for. Pure.
import type { Gap, Segment } from '../e2e/house.ts';

/** A press of the owner, from before it was asked for to its answer. */
export interface Press {
  readonly epoch: number;
  /** In force from this press on. */
  readonly scopes: readonly string[];
  readonly askedAtUs: number;
  readonly answeredAtUs: number;
}

/** A stretch of the server's account of time. */
export interface Stretch {
  readonly fromUs: number;
  readonly toUs: number;
  readonly kind: string;
  readonly reasons: readonly string[];
}

/** Something that was done to the camera or the service. */
export interface Disturbance {
  readonly what: string;
  readonly atUs: number;
  /** The same as `atUs` for what was done at one moment. */
  readonly untilUs: number;
}

export interface Evidence {
  readonly segments: readonly Segment[];
  readonly gaps: readonly Gap[];
  /** `stream/sequence` of what the agent knows to be stored. */
  readonly acknowledged: ReadonlySet<string>;
  /** In order, from the first one on. */
  readonly presses: readonly Press[];
  readonly disturbances: readonly Disturbance[];
  readonly account: readonly Stretch[];
  /** Of the account. */
  readonly fromUs: number;
  readonly toUs: number;
  /** Most that a kill may take with it, before it. */
  readonly mayLoseUs: number;
}

/** What is told of one camera beside its faults; times in seconds. */
export interface Figures {
  readonly acknowledged: number;
  readonly stored: number;
  readonly recordedS: number;
  readonly share: number;
  /** Longest stretch before a kill that it took with it. */
  readonly mostLostS: number;
}

/** Times of one machine are compared, but the clock of pictures is that of their arrival. */
const TOLERANCE_US = 50_000;

export function faultsOf(evidence: Evidence): string[] {
  return [
    ...lost(evidence),
    ...twice(evidence),
    ...unconsented(evidence),
    ...uncounted(evidence),
    ...unexplained(evidence),
  ];
}

export function idOf({ streamId, sequence }: Pick<Segment, 'streamId' | 'sequence'>): string {
  return `${streamId}/${sequence}`;
}

export function endUs({
  startAtUs,
  durationUs,
}: Pick<Segment, 'startAtUs' | 'durationUs'>): number {
  return startAtUs + durationUs;
}

function lost({ segments, acknowledged }: Evidence): string[] {
  const stored = new Set(segments.map(idOf));
  return [...acknowledged].filter((id) => !stored.has(id)).map((id) => `acknowledged, lost: ${id}`);
}

/** By its name, by its bytes, or by its time. A camera that shows a file sends the same bytes again, later. */
function twice({ segments }: Evidence): string[] {
  const faults: string[] = [];
  const ids = new Set<string>();
  const byBytes = new Map<string, Segment>();
  let last: Segment | undefined;
  for (const one of inOrder(segments)) {
    if (ids.has(idOf(one))) faults.push(`stored twice: ${idOf(one)}`);
    ids.add(idOf(one));
    const same = byBytes.get(one.sha256);
    if (same !== undefined && Math.abs(same.startAtUs - one.startAtUs) < one.durationUs)
      faults.push(`the same bytes: ${idOf(same)} and ${idOf(one)}`);
    byBytes.set(one.sha256, one);
    if (last !== undefined && endUs(last) > one.startAtUs + TOLERANCE_US)
      faults.push(`of the same time: ${idOf(last)} and ${idOf(one)}`);
    last = one;
  }
  return faults;
}

function unconsented({ segments, presses }: Evidence): string[] {
  return segments.flatMap((one) => {
    const faults = one.scopes.flatMap((scope) => faultOfScope(one, scope, presses));
    return faults.map((fault) => `${idOf(one)} of epoch ${one.epoch}: ${fault}`);
  });
}

function faultOfScope(one: Segment, scope: string, presses: readonly Press[]): string[] {
  // A press whose answer was lost made records of the same content before the one that was answered.
  const index = presses.findIndex(({ epoch }) => epoch >= one.epoch);
  const before = presses.slice(0, index + 1);
  const inForce = before.at(-1);
  if (inForce === undefined || !inForce.scopes.includes(scope)) return [`${scope} was not granted`];
  const lastWithout = before.findLastIndex(({ scopes }) => !scopes.includes(scope));
  const granted = before[lastWithout + 1] ?? inForce;
  const withdrawn = presses.slice(index + 1).find(({ scopes }) => !scopes.includes(scope));
  const faults: string[] = [];
  if (one.startAtUs + TOLERANCE_US < granted.askedAtUs)
    faults.push(`captured before ${scope} was granted`);
  if (withdrawn === undefined) return faults;
  if (endUs(one) > withdrawn.answeredAtUs + TOLERANCE_US)
    faults.push(`captured after ${scope} was withdrawn`);
  if (Date.parse(one.receivedAt) * 1000 > withdrawn.answeredAtUs)
    faults.push(`stored after ${scope} was withdrawn`);
  return faults;
}

/** The account is the whole span, once; what it calls recorded is what is stored. */
function uncounted({ account, fromUs, toUs, segments }: Evidence): string[] {
  const faults: string[] = [];
  let atUs = fromUs;
  for (const { fromUs: from, toUs: to, kind } of account) {
    if (from !== atUs) faults.push(`the account has a step from ${atUs} to ${from}`);
    if (to <= from) faults.push(`the account has an empty stretch of ${kind} at ${from}`);
    atUs = to;
  }
  if (atUs !== toUs) faults.push(`the account ends ${toUs - atUs} us early`);
  const told = timeOf(account, 'recorded');
  const stored = unionUs(segments, fromUs, toUs);
  if (Math.abs(told - stored) > 1000)
    faults.push(`the account has ${told} us recorded, stored are ${stored}`);
  return faults;
}

/** What is lost has a reason; what was not running was disturbed, and lost little before that. */
function unexplained({ account, disturbances, mayLoseUs }: Evidence): string[] {
  const since = (us: number): string => {
    const last = disturbances.findLast(({ atUs }) => atUs <= us);
    return last === undefined ? 'before all' : `${(us - last.atUs) / 1e6} s after ${last.what}`;
  };
  return account.flatMap(({ fromUs, toUs, kind, reasons }) => {
    const stretch = `${kind} (${reasons.join(' ')}) of ${toUs - fromUs} us from ${fromUs}`;
    if (kind === 'lost' && reasons.length === 0) return [`without a reason: ${stretch}`];
    if (kind !== 'not_running' || toUs - fromUs <= TOLERANCE_US) return [];
    const cause = disturbances.find(
      ({ atUs, untilUs }) => untilUs + mayLoseUs >= fromUs && atUs <= toUs,
    );
    if (cause === undefined) return [`nothing was done to it: ${stretch}; ${since(fromUs)}`];
    const lostUs = cause.atUs - fromUs;
    return lostUs > mayLoseUs ? [`${lostUs} us lost before ${cause.what}: ${stretch}`] : [];
  });
}

export function figuresOf(evidence: Evidence): Figures {
  const { account, segments, acknowledged, disturbances, fromUs, toUs } = evidence;
  const recordedUs = timeOf(account, 'recorded');
  const lostUs = account
    .filter(({ kind }) => kind === 'not_running')
    .map((stretch) => {
      const first = disturbances.find(({ atUs }) => atUs >= stretch.fromUs && atUs <= stretch.toUs);
      return first === undefined ? 0 : first.atUs - stretch.fromUs;
    });
  return {
    acknowledged: acknowledged.size,
    stored: segments.length,
    recordedS: recordedUs / 1e6,
    share: toUs > fromUs ? recordedUs / (toUs - fromUs) : 0,
    mostLostS: Math.max(0, ...lostUs) / 1e6,
  };
}

/** Seconds of each kind, with its reasons. */
export function totalsOf(account: readonly Stretch[]): Record<string, number> {
  const totals: Record<string, number> = {};
  for (const { kind, reasons, fromUs, toUs } of account) {
    const name = [kind, ...reasons].join(' ');
    totals[name] = (totals[name] ?? 0) + (toUs - fromUs) / 1e6;
  }
  return totals;
}

export function inOrder<T extends Pick<Segment, 'startAtUs'>>(pieces: readonly T[]): T[] {
  return pieces.toSorted((one, other) => one.startAtUs - other.startAtUs);
}

function timeOf(account: readonly Stretch[], wanted: string): number {
  return account
    .filter(({ kind }) => kind === wanted)
    .reduce((sum, { fromUs, toUs }) => sum + toUs - fromUs, 0);
}

/** Time within [fromUs, toUs) that pieces cover, each moment once. */
export function unionUs(
  pieces: readonly Pick<Segment, 'startAtUs' | 'durationUs'>[],
  fromUs: number,
  toUs: number,
): number {
  let coveredUs = 0;
  let atUs = fromUs;
  for (const one of inOrder(pieces)) {
    const from = Math.max(atUs, one.startAtUs);
    const to = Math.min(toUs, endUs(one));
    if (to <= from) continue;
    coveredUs += to - from;
    atUs = to;
  }
  return coveredUs;
}
