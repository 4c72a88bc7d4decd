// Tells the server how the camera is, while the owner consents to that part of device information:
// once for each connection, again with each new consent, after a change of state, and now and then. Invariant: at most one message in `quietMs`; the last state is always told in the end.
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import { toLenscapError } from '../../proto/errors.ts';
import { encodeHealth, type SpoolHealth, type Vitals } from '../../proto/health.ts';
import type { BoardReadings } from '../board/vitals.ts';
import type { Clock, KnownTime } from '../clock.ts';
import type { Gate } from '../consent/gate.ts';
import type { Spool } from '../spool/spool.ts';
import type { Errand, Line } from './errand.ts';
import type { LinkFigures } from './figures.ts';

const QUIET_MS = 10_000;

export interface HealthDeps {
  readonly gate: Pick<Gate, 'grantOf' | 'infoFields' | 'onChange'>;
  readonly spool: Pick<Spool, 'health' | 'onChange'>;
  /** Never rejects. */
  readonly vitals: () => Promise<Vitals>;
  readonly figures: Pick<LinkFigures, 'noteRoundTrip'>;
  /** How often it is told when nothing changes. */
  readonly intervalS: number;
  readonly log: Logger;
  /** Least time between two messages. Absent: 10 s. */
  readonly quietMs?: number;
}

/** What was told, under which epoch: with a new one the server may have erased what it knew. */
interface Told extends Pick<SpoolHealth, 'state' | 'code'> {
  readonly epoch: number;
  /** Monotonic. */
  readonly atMs: number;
}

type Granted = NonNullable<ReturnType<Gate['grantOf']>>;

export class HealthReport implements Errand {
  readonly noun = null;
  readonly #deps: HealthDeps;

  constructor(deps: HealthDeps) {
    this.#deps = deps;
  }

  receive(): void {}

  async run(line: Line, signal: AbortSignal): Promise<void> {
    const { gate, spool, intervalS, quietMs = QUIET_MS } = this.#deps;
    let wake = Promise.withResolvers<void>();
    const onChange = (): void => wake.resolve();
    const stopListening = [gate.onChange(onChange), spool.onChange(onChange)];
    signal.addEventListener('abort', onChange, { once: true });
    let told: Told | null = null;
    while (!signal.aborted) {
      wake = Promise.withResolvers<void>();
      const grant = this.#granted();
      const leftMs: number = told === null ? 0 : told.atMs + intervalS * 1000 - performance.now();
      if (grant === null) told = null;
      else if (leftMs <= 0 || isNews(told, spool.health(), grant.epoch)) {
        told = await this.#tell(line, signal);
        await sleep(quietMs, undefined, { signal }).catch(() => undefined);
        continue;
      }
      const timer = grant === null ? undefined : setTimeout(onChange, leftMs);
      await wake.promise;
      clearTimeout(timer);
    }
    for (const stop of stopListening) stop();
  }

  #granted(): Granted | null {
    const { gate } = this.#deps;
    return gate.infoFields().includes('health') ? gate.grantOf('device_info') : null;
  }

  /** What was told; null when consent ended while it was looked up. */
  async #tell(line: Line, signal: AbortSignal): Promise<Told | null> {
    const { spool, vitals, figures, log } = this.#deps;
    const board = await vitals();
    const grant = this.#granted();
    if (grant === null || signal.aborted) return null;
    const health = spool.health();
    const atMs = performance.now();
    await line
      .publish('health', encodeHealth({ epoch: grant.epoch, spool: health, vitals: board }))
      .then(() => figures.noteRoundTrip(performance.now() - atMs))
      .catch((error: unknown) => log.debug({ code: toLenscapError(error).code }, 'not told'));
    return { ...health, epoch: grant.epoch, atMs };
  }
}

function isNews(told: Told | null, { state, code }: SpoolHealth, epoch: number): boolean {
  return told === null || told.epoch !== epoch || told.state !== state || told.code !== code;
}

export interface VitalsParts {
  readonly board: BoardReadings;
  readonly figures: LinkFigures;
  readonly frames: { readonly framesCaptured: number; readonly framesDropped: number };
  readonly clockOffsetMs: number | null;
}

/** All that a report says, from those who know it. */
export function healthVitals({ board, figures, frames, clockOffsetMs }: VitalsParts): Vitals {
  const { segmentsSent, bytesSent, roundTripMs, connectionsLost } = figures;
  const { framesCaptured, framesDropped } = frames;
  const sent = { segmentsSent, bytesSent, roundTripMs, connectionsLost };
  return { ...board, framesCaptured, framesDropped, ...sent, clockOffsetMs };
}

/**
 * The camera's clock less the server's, which says the time in each grant. Half a round trip is
 * ignored: the camera seems ahead by that much.
 */
export function clockOffsetMs(clock: Clock, time: Pick<KnownTime, 'floorUs'>): number {
  return Math.round((clock.wallUs() - time.floorUs()) / 1000);
}
