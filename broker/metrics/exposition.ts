// The figures themselves: gauges of what is stored, counters of what came, read afresh for each answer.
// Several questions at once share one reading.
import { Counter, Gauge, Registry } from 'prom-client';
import { STATES } from '../fleet/states.ts';
import type { Census, Overview } from '../store/overview.ts';
import type { Figures } from './figures.ts';
import type { FleetFigures, FleetVitals, HealthFigures } from './fleet-vitals.ts';

export interface ExpositionDeps {
  readonly overview: Pick<Overview, 'census' | 'wantedVersions'>;
  readonly fleet: Pick<FleetVitals, 'figures'>;
  /** Wrong proofs after which a setup code is void. */
  readonly claimFailures: number;
  readonly figures: () => Figures;
  /** Wall time, microseconds since 1970. */
  readonly nowUs: () => number;
  /** Of the event loop, nanoseconds. */
  readonly delay: { percentile(percentile: number): number; reset(): void };
}

type Labelled = ReadonlyMap<string, number> | Readonly<Record<string, number>>;

const CONNECTED = 'of connected devices';
const QUANTILES = [0.5, 0.99, 1] as const;

export class Exposition {
  readonly #deps: ExpositionDeps;
  readonly #registry = new Registry();
  #reading: Promise<string> | undefined;

  constructor(deps: ExpositionDeps) {
    this.#deps = deps;
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  /** In the text format of Prometheus. */
  text(): Promise<string> {
    this.#reading ??= this.#read().finally(() => {
      this.#reading = undefined;
    });
    return this.#reading;
  }

  async #read(): Promise<string> {
    const { overview, fleet, claimFailures, figures, nowUs } = this.#deps;
    const census = await overview.census(nowUs(), claimFailures);
    const told = fleet.figures(await overview.wantedVersions());
    this.#registry.clear();
    this.#stored(census);
    this.#come(figures());
    this.#told(told);
    this.#process();
    return this.#registry.metrics();
  }

  #stored(census: Census): void {
    const none = new Map(STATES.map((state) => [state, 0]));
    this.#gauges('lenscap_devices', 'Devices, by state.', 'state', [...none, ...census.devices]);
    this.#gauges('lenscap_boards', 'Enrolled boards, by state.', 'state', census.boards);
    this.#gauge(
      'lenscap_claims_open',
      'Setup codes that a board may still use.',
      census.openClaims,
    );
    this.#gauges(
      'lenscap_certificates',
      'Devices that may connect, by the days that their certificate has left.',
      'remaining_days',
      census.certificates,
    );
    this.#gauge('lenscap_stored_segments', 'Segments stored.', census.segments);
    this.#gauge('lenscap_stored_bytes', 'Bytes of media stored.', census.bytes);
  }

  #come({ connections, messages, bytes, refusals, claims }: Figures): void {
    this.#gauges('lenscap_connections', 'Open connections, by kind.', 'kind', connections);
    this.#counters('lenscap_messages_total', 'Messages of devices taken in.', 'noun', messages);
    this.#counter('lenscap_message_bytes_total', 'Bytes of messages of devices taken in.', bytes);
    this.#counters('lenscap_refusals_total', 'What was refused, by code.', 'code', refusals);
    this.#counters(
      'lenscap_claim_attempts_total',
      'Boards that asked for an identity: issued, or the code that they were answered.',
      'result',
      claims,
    );
  }

  #told({ reporting, health, configurations }: FleetFigures): void {
    this.#gauge('lenscap_fleet_reporting', 'Connected devices that share health.', reporting);
    if (health) this.#health(health);
    if (configurations)
      this.#gauges(
        'lenscap_fleet_configurations',
        `Count ${CONNECTED}, by what became of the configuration; drift: another one is in force.`,
        'state',
        configurations,
      );
  }

  #health({ gauges, totals, ...spool }: HealthFigures): void {
    for (const [name, label, what, values] of [
      ['temperature', 'celsius', 'hottest sensor', gauges.celsius],
      ['memory_available', 'percent', 'memory to spare', gauges.memoryAvailablePercent],
      ['cpu', 'percent', 'processor in use', gauges.cpuPercent],
      ['flash_wear', 'percent', 'life of the flash used up', gauges.flashWearPercent],
      ['clock_offset', 'ms', 'clock less that of the server, either way', gauges.clockOffsetMs],
      ['round_trip', 'ms', 'round trip of a small message', gauges.roundTripMs],
    ] as const)
      this.#gauges(`lenscap_fleet_${name}`, `Count ${CONNECTED}, by ${what}.`, label, values);
    this.#gauges('lenscap_fleet_spools', 'Where what waits is kept.', 'state', spool.spools);
    this.#gauge('lenscap_fleet_spool_items', `What waits on all ${CONNECTED}.`, spool.spoolItems);
    this.#gauge('lenscap_fleet_spool_bytes', `Bytes ${CONNECTED} that wait.`, spool.spoolBytes);
    for (const [name, count] of [
      ['frames_captured', totals.framesCaptured],
      ['frames_dropped', totals.framesDropped],
      ['connections_lost', totals.connectionsLost],
    ] as const)
      this.#counter(`lenscap_fleet_${name}_total`, 'As devices tell that share health.', count);
  }

  #process(): void {
    const { delay } = this.#deps;
    const delays = QUANTILES.map((quantile): [string, number] => [
      String(quantile),
      delay.percentile(quantile * 100) / 1e9,
    ]);
    this.#gauges(
      'lenscap_event_loop_delay_seconds',
      'Delay of the event loop since the reading before.',
      'quantile',
      delays,
    );
    delay.reset();
    const { rss } = process.memoryUsage();
    this.#gauge('lenscap_resident_bytes', 'Memory of the process.', rss);
  }

  #gauge(name: string, help: string, value: number): void {
    new Gauge({ name, help, registers: [this.#registry] }).set(value);
  }

  #gauges(name: string, help: string, label: string, values: Labelled | [string, number][]): void {
    const gauge = new Gauge({ name, help, labelNames: [label], registers: [this.#registry] });
    for (const [value, count] of entries(values)) gauge.set({ [label]: value }, count);
  }

  #counter(name: string, help: string, value: number): void {
    new Counter({ name, help, registers: [this.#registry] }).inc(value);
  }

  #counters(name: string, help: string, label: string, values: Labelled): void {
    const counter = new Counter({ name, help, labelNames: [label], registers: [this.#registry] });
    for (const [value, count] of entries(values)) counter.inc({ [label]: value }, count);
  }
}

function entries(values: Labelled | [string, number][]): Iterable<[string, number]> {
  if (Array.isArray(values) || values instanceof Map) return values;
  return Object.entries(values);
}
