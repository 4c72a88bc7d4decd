// Up to where all that was captured is safe (stored by the server, or on flash), as it survives a
// restart of the agent, so that the time while it was stopped becomes a Gap. INVARIANTS: it never
// claims too much, and never stops a capture; what cannot be read is absent.
import { readFileSync } from 'node:fs';
import type { Logger } from 'pino';
import { toLenscapError } from '../../proto/errors.ts';
import { documentChecker } from '../../proto/validate.ts';
import type { Clock } from '../clock.ts';
import { overwriteNote } from '../note-file.ts';
import type { Mark } from './outage.ts';

/**
 * Least time between two writes, but for the last one. Each costs 20 KiB of flash with blocks of 4 KiB,
 * of which 16 are the journal's, so 0.3 MiB an hour.
 */
const WRITE_EVERY_US = 240e6;
/** Time until the system has written what it was given, at the most. */
const WRITE_BACK_US = 35e6;
/** After a crash the board may have recorded so much further than what is read. */
export const LAST_PICTURES_LAG_US = WRITE_EVERY_US + WRITE_BACK_US;
/**
 * Always as many, in place: a new file and a rename cost the flash three times as much and need room
 * on a full disk; and one sector is written as a whole or not at all.
 */
const FILE_BYTES = 256;

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
  #written: Mark | undefined;
  #writtenMonoUs = Number.NEGATIVE_INFINITY;
  #isBroken = false;

  constructor(deps: LastPicturesDeps) {
    this.#deps = deps;
  }

  /** What an earlier run of the agent left, or null. */
  read(): Mark | null {
    try {
      const text = readFileSync(this.#deps.path, 'latin1').slice(0, FILE_BYTES);
      return checkMark(JSON.parse(text), 'the last pictures');
    } catch {
      return null;
    }
  }

  /** All that was captured up to here is safe. Only news of this boot counts. */
  note(mark: Mark): void {
    if (mark.bootId !== this.#deps.bootId) return;
    if (this.#mark !== undefined && mark.endMonoUs <= this.#mark.endMonoUs) return;
    this.#mark = mark;
    if (this.#deps.clock.monoUs() - this.#writtenMonoUs >= WRITE_EVERY_US) this.save();
  }

  /** Writes what was noted, if anything. Not synced: after a crash it may be some seconds older. */
  save(): void {
    const mark = this.#mark;
    if (mark === undefined || mark === this.#written) return;
    const { path, clock, log } = this.#deps;
    this.#writtenMonoUs = clock.monoUs();
    try {
      overwriteNote(path, textOf(mark), FILE_BYTES);
      this.#written = mark;
      this.#isBroken = false;
    } catch (error) {
      const { code, message } = toLenscapError(error, 'STORE_FAILED');
      if (!this.#isBroken)
        log.warn({ code }, `a stop of the agent will leave a longer gap: ${message}`);
      this.#isBroken = true;
    }
  }
}

function textOf({ bootId, endMonoUs, endAtUs, epoch }: Mark): string {
  return JSON.stringify({ bootId, endMonoUs, endAtUs, epoch });
}
