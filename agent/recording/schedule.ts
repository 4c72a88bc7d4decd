// Hours of the week by a clock on the wall. Pure.
// INVARIANT: what is open is decided by what that clock shows alone: hours that it skips do not
// exist, and hours that it shows twice count twice.
import { DAYS, type Hours } from '../../proto/settings.ts';

const MINUTE_US = 60e6;
const HOUR_US = 3600e6;
const DAY_MINUTES = 1440;
/** After a week all has come round again; two more days for what a zone may do to its clock. */
const HORIZON_DAYS = 9;
/** No zone changes its clock twice within it. */
const LOOK_US = 6 * HOUR_US;

/** Minutes of a day; `to` beyond the day's end where the hours end on the next one. */
interface Span {
  readonly days: ReadonlySet<number>;
  readonly from: number;
  readonly to: number;
}

export class Schedule {
  readonly #spans: readonly Span[];
  readonly #format: Intl.DateTimeFormat;

  /** @param timeZone a name that Intl knows. */
  constructor(hours: readonly Hours[], timeZone: string) {
    this.#spans = hours.map(spanOf);
    this.#format = new Intl.DateTimeFormat('en-US', {
      timeZone,
      hourCycle: 'h23',
      calendar: 'gregory',
      numberingSystem: 'latn',
      year: 'numeric',
      month: 'numeric',
      day: 'numeric',
      hour: 'numeric',
      minute: 'numeric',
      second: 'numeric',
    });
  }

  isOpen(atUs: number): boolean {
    const minutes = Math.floor((atUs + this.#offsetUs(atUs)) / MINUTE_US);
    const ofDay = modulo(minutes, DAY_MINUTES);
    // 1970-01-01 was a Thursday.
    const day = modulo(Math.floor(minutes / DAY_MINUTES) + 3, 7);
    const before = modulo(day - 1, 7);
    return this.#spans.some(
      ({ days, from, to }) =>
        (days.has(day) && ofDay >= from && ofDay < to) ||
        (days.has(before) && ofDay + DAY_MINUTES < to),
    );
  }

  /** The next instant after `atUs` at which it opens or closes; null where it never does. */
  nextChange(atUs: number): number | null {
    const isOpen = this.isOpen(atUs);
    const untilUs = atUs + HORIZON_DAYS * DAY_MINUTES * MINUTE_US;
    const offsets = new Set([this.#offsetUs(atUs)]);
    const instants = this.#switches(atUs, untilUs, offsets);
    const firstDay = Math.floor(atUs / MINUTE_US / DAY_MINUTES) - 2;
    const edges = new Set(this.#spans.flatMap(({ from, to }) => [from, to]));
    for (const offsetUs of offsets)
      for (let day = firstDay; day <= firstDay + HORIZON_DAYS + 3; day += 1)
        for (const edge of edges) instants.push((day * DAY_MINUTES + edge) * MINUTE_US - offsetUs);
    const later = instants.filter((one) => one > atUs).sort((one, other) => one - other);
    return later.find((one) => this.isOpen(one) !== isOpen) ?? null;
  }

  /** When the zone changes its clock; the offsets that it has then are added to `offsets`. */
  #switches(fromUs: number, untilUs: number, offsets: Set<number>): number[] {
    const found: number[] = [];
    for (let at = fromUs; at < untilUs; at += LOOK_US) {
      const offsetUs = this.#offsetUs(at + LOOK_US);
      if (offsetUs === this.#offsetUs(at)) continue;
      offsets.add(offsetUs);
      found.push(this.#switchBetween(at, at + LOOK_US));
    }
    return found;
  }

  #switchBetween(earlyUs: number, lateUs: number): number {
    const after = this.#offsetUs(lateUs);
    let [low, high] = [Math.floor(earlyUs / 1e6), Math.ceil(lateUs / 1e6)];
    while (high - low > 1) {
      const middle = Math.floor((low + high) / 2);
      if (this.#offsetUs(middle * 1e6) === after) high = middle;
      else low = middle;
    }
    return high * 1e6;
  }

  /** What the clock on the wall is ahead of UTC. */
  #offsetUs(atUs: number): number {
    const seconds = Math.floor(atUs / 1e6);
    const parts = this.#format.formatToParts(seconds * 1000);
    const of = (type: Intl.DateTimeFormatPartTypes) =>
      Number(parts.find((part) => part.type === type)?.value);
    const wallMs = Date.UTC(
      of('year'),
      of('month') - 1,
      of('day'),
      of('hour'),
      of('minute'),
      of('second'),
    );
    return (wallMs / 1000 - seconds) * 1e6;
  }
}

function spanOf({ days, from, to }: Hours): Span {
  const [start, end] = [minuteOf(from), minuteOf(to)];
  return {
    days: new Set(days.map((day) => DAYS.indexOf(day))),
    from: start,
    to: end > start ? end : end + DAY_MINUTES,
  };
}

function minuteOf(time: string): number {
  const [hours = 0, minutes = 0] = time.split(':').map(Number);
  return hours * 60 + minutes;
}

function modulo(value: number, by: number): number {
  return ((value % by) + by) % by;
}
