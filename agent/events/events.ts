// What happens at the camera or to it, told to the server: at its begin, and once more at its end.
// Invariants: nothing is made of what consent does not cover at that moment; what began under a consent
// that was interrupted since is not told any more.
import { randomBytes } from 'node:crypto';
import type { Logger } from 'pino';
import type { ErrorCode } from '../../proto/errors.ts';
import type { Event, EventKind } from '../../proto/event.ts';
import type { MediaTime } from '../clock.ts';
import type { Gate } from '../consent/gate.ts';
import { coverOfEvent, type Spool } from '../spool/spool.ts';

/** Of an end that nobody saw. */
const LEFT_OPEN = 'it lasted until then at least: the camera broke off';
/** Strongest that a message can carry. */
const MAX_PEAK = 200;

export interface Told {
  /** When it began; absent: now. */
  readonly monoUs?: number;
  readonly peak?: number;
  /** For people; never names, addresses or what was seen. */
  readonly detail?: string;
  readonly code?: ErrorCode | null;
}

/** Something that lasts. */
export interface Happening {
  /** Null: consent does not cover it, and nobody is told. */
  readonly id: string | null;
  /** How strong it is now; the strongest is told with the end. */
  peak(value: number): void;
  /** It is over, by now or at that moment. Said twice, the first counts. */
  end(monoUs?: number): void;
}

export interface EventsDeps {
  readonly gate: Pick<Gate, 'knownEpoch' | 'mayKeep'>;
  /** Where events wait to be sent. */
  readonly sink: Pick<Spool, 'event'>;
  readonly time: MediaTime;
  /** Kernel boot id, a UUID. */
  readonly bootId: string;
  readonly log: Logger;
}

const UNTOLD: Happening = { id: null, peak: () => undefined, end: () => undefined };

export class Events {
  readonly #deps: EventsDeps;

  constructor(deps: EventsDeps) {
    this.#deps = deps;
  }

  /** Something has begun and lasts. */
  begin(kind: EventKind, told: Told = {}): Happening {
    const begun = this.#made(kind, told);
    if (begun === null) return UNTOLD;
    this.#tell({ ...begun, lasts: true });
    let peak: number | undefined = told.peak === undefined ? undefined : begun.peak;
    let isOver = false;
    return {
      id: begun.eventId,
      peak: (value) => {
        // Loudness is told as dB below full scale.
        const strongest = kind === 'sound' ? Math.min : Math.max;
        peak = strongest(peak ?? wholePeak(value), wholePeak(value));
      },
      end: (monoUs = this.#deps.time.monoUs()) => {
        if (isOver) return;
        isOver = true;
        // Nothing is over in the moment it began: that would be one without an end.
        const durationUs = Math.max(1, Math.round(monoUs) - begun.startMonoUs);
        if (this.#deps.gate.mayKeep(coverOfEvent(begun)))
          this.#tell({ ...begun, peak: peak ?? 0, durationUs });
      },
    };
  }

  /** Something that takes no time. Returns its id, or null when nobody is told. */
  moment(kind: EventKind, told: Told = {}): string | null {
    const event = this.#made(kind, told);
    if (event === null) return null;
    this.#tell(event);
    return event.eventId;
  }

  /** What an earlier run told the begin of, and could not end: it lasted until then, if not longer. */
  leftOpen(begun: Event, untilMonoUs: number): void {
    if (!this.#deps.gate.mayKeep(coverOfEvent(begun))) return;
    const durationUs = Math.max(1, untilMonoUs - begun.startMonoUs);
    this.#tell({ ...begun, lasts: false, durationUs, detail: LEFT_OPEN });
  }

  #made(kind: EventKind, { monoUs, peak = 0, detail = '', code = null }: Told): Event | null {
    const { gate, time, bootId } = this.#deps;
    // As a Gap, it is noted beyond the end of a lease, and does not leave before the next one.
    const epoch = gate.knownEpoch();
    if (epoch === null || !gate.mayKeep(coverOfEvent({ kind, epoch }))) return null;
    const nowUs = time.monoUs();
    const startMonoUs = Math.max(0, Math.min(nowUs, Math.round(monoUs ?? nowUs)));
    return {
      eventId: randomBytes(16).toString('hex'),
      kind,
      bootId,
      startAtUs: Math.max(0, time.wallUs() - (nowUs - startMonoUs)),
      startMonoUs,
      durationUs: 0,
      lasts: false,
      epoch,
      peak: wholePeak(peak),
      code,
      detail,
    };
  }

  #tell(event: Event): void {
    const { kind, eventId, lasts, code, detail } = event;
    this.#deps.log.info({ event: kind, eventId, lasts, ...(code && { code }) }, detail || kind);
    this.#deps.sink.event(event);
  }
}

function wholePeak(value: number): number {
  return Math.max(0, Math.min(MAX_PEAK, Math.round(value)));
}
