// Tells the server which wall time it is by the camera: first of all on every connection, and again
// when the wall clock was set. Invariants: an anchor is one moment on both clocks, as it is sent; and
// while the owner consents to nothing, nothing is told.
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import { encodeAnchor } from '../../proto/anchor.ts';
import { toLenscapError } from '../../proto/errors.ts';
import { SCOPES } from '../../proto/scopes.ts';
import type { Clock, KnownTime, MediaClock } from '../clock.ts';
import type { Gate } from '../consent/gate.ts';
import type { Errand, Line, Opening } from './errand.ts';

const LOOK_MS = 1000;
/** A step of the wall clock that the server has to know of. */
const STEP_US = 1_000_000;
/** The latest that an anchor can name. */
const LATEST_US = 2 ** 52;

export interface AnchoringDeps {
  readonly clock: Clock;
  readonly time: Pick<KnownTime, 'isWallCredible'>;
  /** Kernel boot id, a UUID. */
  readonly bootId: string;
  readonly media: Pick<MediaClock, 'confirm'>;
  readonly gate: Pick<Gate, 'grantOf'>;
  readonly log: Logger;
}

/** Both clocks at one moment. */
interface Moment {
  readonly atUs: number;
  readonly monoUs: number;
  readonly estimated: boolean;
}

export class Anchoring implements Errand {
  readonly noun = null;
  readonly #deps: AnchoringDeps;
  #told: Moment | undefined;

  constructor(deps: AnchoringDeps) {
    this.#deps = deps;
  }

  receive(): void {}

  opening(): Opening | null {
    // The grant of this connection has just told the time.
    this.#deps.media.confirm();
    this.#told = undefined;
    if (!this.#isAnyGranted()) return null;
    return { noun: 'anchor', payload: this.#tell(this.#now()) };
  }

  async run(line: Line, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const now = this.#now();
      // What was told before a withdrawal is told again after it.
      if (!this.#isAnyGranted()) this.#told = undefined;
      else if (isNews(this.#told, now)) await this.#publish(line, this.#tell(now));
      await sleep(LOOK_MS, undefined, { signal }).catch(() => undefined);
    }
  }

  async #publish(line: Line, payload: Uint8Array): Promise<void> {
    const { log } = this.#deps;
    log.info('the server is told the time of the clock');
    await line
      .publish('anchor', payload)
      .catch((error: unknown) => log.debug({ code: toLenscapError(error).code }, 'not told'));
  }

  #isAnyGranted(): boolean {
    return SCOPES.some((scope) => this.#deps.gate.grantOf(scope) !== null);
  }

  #tell(moment: Moment): Uint8Array {
    this.#told = moment;
    return encodeAnchor({ bootId: this.#deps.bootId, ...moment });
  }

  #now(): Moment {
    const { clock, time } = this.#deps;
    const wallUs = clock.wallUs();
    return {
      atUs: Math.min(wallUs, LATEST_US),
      monoUs: clock.monoUs(),
      estimated: wallUs > LATEST_US || !time.isWallCredible(),
    };
  }
}

/** Whether what was told of the clock is not so any more. Pure. */
function isNews(told: Moment | undefined, now: Moment): boolean {
  if (told === undefined || told.estimated !== now.estimated) return true;
  return Math.abs(now.atUs - now.monoUs - (told.atUs - told.monoUs)) > STEP_US;
}
