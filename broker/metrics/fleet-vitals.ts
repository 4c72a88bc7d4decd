// How the fleet is, from what devices tell while they are connected: sums and counts in memory alone.
// INVARIANT: what a device told counts only while it is connected and its owner's consent covers it; no
// figure names a device, nor is of so few that it says how one of them is.
import { CONFIG_STATES, type ConfigState, type Reported } from '../../proto/desired-config.ts';
import { type Health, SPOOL_STATES, type Vitals } from '../../proto/health.ts';
import { INFO_FIELDS, type InfoField } from '../../proto/info.ts';
import type { Telling } from '../store/told.ts';

export interface FleetVitalsDeps {
  readonly isConnected: (deviceId: string) => boolean;
  /** Whether what a device told under this epoch of consent may be known. */
  readonly mayKnow: (deviceId: string, epoch: number) => boolean;
}

/** Of fewer devices nothing is said but how many they are. */
export const MIN_GROUP = 5;

/** Figures of connected devices; counts by plain labels. Null: too few tell. */
export interface FleetFigures {
  /** Devices that share health. */
  readonly reporting: number;
  readonly health: HealthFigures | null;
  readonly configurations: ReadonlyMap<ConfigState | 'drift', number> | null;
}

export interface HealthFigures {
  readonly gauges: Readonly<Record<Gauged, ReadonlyMap<string, number>>>;
  readonly spoolItems: number;
  readonly spoolBytes: number;
  readonly spools: ReadonlyMap<string, number>;
  /** Since the start of the server, as far as devices told of it twice. */
  readonly totals: Readonly<Record<Counted, number>>;
}

export const COUNTED = ['framesCaptured', 'framesDropped', 'connectionsLost'] as const;
export type Counted = (typeof COUNTED)[number];

/** Where each range ends, exclusive; the last one has no end. */
export const GAUGED = {
  celsius: [40, 60, 70, 80, 90],
  memoryAvailablePercent: [5, 10, 25, 50],
  cpuPercent: [25, 50, 75, 90],
  flashWearPercent: [50, 80, 100],
  clockOffsetMs: [100, 1000, 10_000],
  roundTripMs: [50, 200, 1000],
} as const;
export type Gauged = keyof typeof GAUGED;

interface Known {
  health?: Health;
  /** Without its settings, which may be long. */
  reported?: Pick<Reported, 'epoch' | 'state' | 'inForce'>;
}

export class FleetVitals {
  readonly #deps: FleetVitalsDeps;
  readonly #known = new Map<string, Known>();
  readonly #totals: Record<Counted, number> = {
    framesCaptured: 0,
    framesDropped: 0,
    connectionsLost: 0,
  };

  constructor(deps: FleetVitalsDeps) {
    this.#deps = deps;
  }

  /** A device told something, and it was stored. */
  note(deviceId: string, telling: Telling): void {
    const known = this.#known.get(deviceId) ?? {};
    if (telling.noun === 'health') {
      this.#count(known.health?.vitals, telling.message.vitals);
      known.health = telling.message;
    } else if (telling.noun === 'reported') {
      const { epoch, state, inForce } = telling.message;
      known.reported = { epoch, state, inForce };
    }
    this.#known.set(deviceId, known);
  }

  /** Forgets what may be known no longer: what consent does not cover, and what is not of these parts. */
  recheck(deviceId: string, parts: readonly InfoField[] = INFO_FIELDS): void {
    const known = this.#known.get(deviceId);
    if (!known) return;
    const { mayKnow } = this.#deps;
    const { health, reported } = known;
    const may = (part: InfoField, epoch: number): boolean =>
      parts.includes(part) && mayKnow(deviceId, epoch);
    if (health && !may('health', health.epoch)) delete known.health;
    if (reported && !may('configuration', reported.epoch)) delete known.reported;
    if (!known.health && !known.reported) this.#known.delete(deviceId);
  }

  /** `wanted` is the version of the configuration that is wanted of each device. */
  figures(wanted: ReadonlyMap<string, number>): FleetFigures {
    for (const deviceId of this.#known.keys()) this.recheck(deviceId);
    const here = [...this.#known].filter(([deviceId]) => this.#deps.isConnected(deviceId));
    const healths = here.flatMap(([, { health }]) => health ?? []);
    const states = here.flatMap(([deviceId, { reported }]) => {
      if (!reported) return [];
      const isDrift = reported.inForce !== (wanted.get(deviceId) ?? 0);
      return [isDrift ? [reported.state, 'drift' as const] : [reported.state]];
    });
    return {
      reporting: healths.length,
      health: healths.length < MIN_GROUP ? null : this.#health(healths),
      configurations:
        states.length < MIN_GROUP ? null : counted([...CONFIG_STATES, 'drift'], states.flat()),
    };
  }

  #health(healths: readonly Health[]): HealthFigures {
    return {
      gauges: {
        celsius: rangesOf('celsius', healths),
        memoryAvailablePercent: rangesOf('memoryAvailablePercent', healths),
        cpuPercent: rangesOf('cpuPercent', healths),
        flashWearPercent: rangesOf('flashWearPercent', healths),
        clockOffsetMs: rangesOf('clockOffsetMs', healths),
        roundTripMs: rangesOf('roundTripMs', healths),
      },
      spoolItems: sum(healths.map(({ spool }) => spool.items)),
      spoolBytes: sum(healths.map(({ spool }) => spool.bytes)),
      spools: counted(
        SPOOL_STATES,
        healths.map(({ spool }) => spool.state),
      ),
      totals: { ...this.#totals },
    };
  }

  /** The first report says nothing of when; a run of the agent that is younger counts from its start. */
  #count(before: Vitals | undefined, now: Vitals): void {
    if (!before) return;
    const isAnotherRun = now.uptimeS < before.uptimeS;
    for (const key of COUNTED)
      this.#totals[key] += Math.max(0, now[key] - (isAnotherRun ? 0 : before[key]));
  }
}

/** What a figure of one device is; null: not known. */
function figureOf(gauge: Gauged, { vitals }: Health): number | null {
  const { memoryTotalBytes: total, memoryAvailableBytes, clockOffsetMs } = vitals;
  switch (gauge) {
    case 'celsius':
      return vitals.temperatureCelsius;
    case 'memoryAvailablePercent':
      return total === 0 ? null : (memoryAvailableBytes / total) * 100;
    case 'clockOffsetMs':
      return clockOffsetMs === null ? null : Math.abs(clockOffsetMs);
    default:
      return vitals[gauge];
  }
}

/** How many devices are in each range, and in `unknown`; every range is there. */
function rangesOf(gauge: Gauged, healths: readonly Health[]): Map<string, number> {
  const ends: readonly number[] = GAUGED[gauge];
  const labels = [...ends.map((end, at) => `${ends[at - 1] ?? ''}-${end}`), `${ends.at(-1)}-`];
  const ranges = new Map([...labels, 'unknown'].map((label) => [label, 0]));
  for (const health of healths) {
    const value = figureOf(gauge, health);
    const at = value === null ? -1 : ends.findIndex((end) => value < end);
    const label = value === null ? 'unknown' : (labels.at(at) ?? 'unknown');
    ranges.set(label, (ranges.get(label) ?? 0) + 1);
  }
  return ranges;
}

/** How often each of `all` is there. */
function counted<T>(all: readonly T[], values: readonly T[]): Map<T, number> {
  const counts = new Map(all.map((one) => [one, 0]));
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  return counts;
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
