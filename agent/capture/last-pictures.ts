// Up to where there are pictures, as it survives a restart of the agent, so that the time while it
// was stopped becomes a Gap. One small file, replaced as a whole and never synced: it may be a few
// seconds old after a crash. INVARIANT: it never stops a capture; what cannot be read is absent.
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import type { Logger } from 'pino';
import { toLenscapError } from '../../proto/errors.ts';
import { documentChecker } from '../../proto/validate.ts';
import type { Clock } from '../clock.ts';
import type { Mark } from './outage.ts';

/** Least time between two writes, but for the last one. */
const WRITE_EVERY_US = 2e6;

const whole = (minimum: number, maximum: number) => ({ type: 'integer', minimum, maximum });
const checkMark = documentChecker<Mark>(
  {
    type: 'object',
    required: ['bootId', 'endMonoUs', 'endAtUs', 'epoch'],
    additionalProperties: false,
    properties: {
      bootId: { type: 'string', pattern: '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' },
      endMonoUs: whole(0, 2 ** 52),
      endAtUs: whole(0, 2 ** 52),
      epoch: whole(1, Number.MAX_SAFE_INTEGER),
    },
  },
  'STORE_CORRUPT',
);

/** Of a segment or a Gap. */
interface Stretch {
  /** Absent: this one. */
  readonly bootId?: string;
  readonly startAtUs: number;
  readonly startMonoUs: number;
  readonly durationUs: number;
  readonly epoch: number;
}

export interface LastPicturesDeps {
  readonly path: string;
  /** Kernel boot id, a UUID. */
  readonly bootId: string;
  readonly clock: Clock;
  readonly log: Logger;
}

export class LastPictures {
  readonly #deps: LastPicturesDeps;
  #mark: Mark | undefined;
  #writtenMonoUs = Number.NEGATIVE_INFINITY;
  #isBroken = false;

  constructor(deps: LastPicturesDeps) {
    this.#deps = deps;
  }

  /** What an earlier run of the agent left, or null. */
  read(): Mark | null {
    try {
      return checkMark(JSON.parse(readFileSync(this.#deps.path, 'utf8')), 'the last pictures');
    } catch {
      return null;
    }
  }

  /** The end of a segment or a Gap. One that began before this boot tells no time of it. */
  note({ bootId, startMonoUs, startAtUs, durationUs, epoch }: Stretch): void {
    if (bootId !== undefined && bootId !== this.#deps.bootId) return;
    this.#mark = {
      bootId: this.#deps.bootId,
      endMonoUs: startMonoUs + durationUs,
      endAtUs: startAtUs + durationUs,
      epoch,
    };
    if (this.#deps.clock.monoUs() - this.#writtenMonoUs >= WRITE_EVERY_US) this.save();
  }

  /** Writes what was noted, if anything. */
  save(): void {
    if (this.#mark === undefined) return;
    const { path, clock, log } = this.#deps;
    this.#writtenMonoUs = clock.monoUs();
    try {
      writeFileSync(`${path}.new`, JSON.stringify(this.#mark), { mode: 0o600 });
      renameSync(`${path}.new`, path);
      this.#isBroken = false;
    } catch (error) {
      const { code, message } = toLenscapError(error, 'STORE_FAILED');
      if (!this.#isBroken) log.warn({ code }, `a stop of the agent will leave no gap: ${message}`);
      this.#isBroken = true;
    }
  }
}
