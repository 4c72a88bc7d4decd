// The running server: the parts in one list, started in order, stopped in reverse.

import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { ServerConfig } from '../proto/server-config.ts';
import { Collector } from './collector/collector.ts';
import { GroupCommit } from './collector/group-commit.ts';
import { Retention } from './collector/retention.ts';
import { Instances } from './fleet/clones.ts';
import { RolloutEngine } from './fleet/rollout-engine.ts';
import { type Installation, openInstallation } from './installation.ts';
import { FleetVitals } from './metrics/fleet-vitals.ts';
import { Metrics } from './metrics/metrics.ts';
import { Broker } from './mqtt/broker.ts';
import { Presence } from './operator/presence.ts';
import { Portal } from './portal/portal.ts';
import { dataVersion } from './store/commit.ts';
import { makeFolder, writeFileDurably } from './store/durable.ts';
import { takeLock } from './store/lock.ts';
import { MediaMemory } from './store/media-memory.ts';
import { Overview } from './store/overview.ts';
import { finishBegun } from './store/repair.ts';
import type { Store } from './store/store.ts';

/** How soon a change by another process, such as a publication, takes effect here. */
const WATCH_MS = 250;
const DAY_MS = 86_400_000;

/** Where a running server can be reached; in `run/server.json` while it runs. */
export interface ServerAddress {
  readonly pid: number;
  readonly mqttPort: number;
  readonly httpUrl: string;
  /** Where Prometheus finds the figures. */
  readonly metricsUrl: string;
}

/** Runs the server on a data folder until aborted. @throws STORE_LOCKED when one runs on it. */
export async function serve(
  folder: string,
  config: ServerConfig,
  log: Logger,
  signal: AbortSignal,
  ready: (address: ServerAddress) => void,
): Promise<void> {
  const memory = new MediaMemory();
  await makeFolder(join(folder, 'run'));
  const lock = takeLock(join(folder, 'run', 'serve.lock'), 0);
  const delay = monitorEventLoopDelay({ resolution: 1 });
  const installation = await openInstallation(folder, config);
  try {
    await finishLastRun(installation.store, log);
    const broker = await makeBroker(installation, config, log, memory);
    const portal = makePortal(installation, config, log, broker);
    const metrics = makeMetrics(installation, config, log, broker);
    const mqttPort = await broker.listen();
    const { url: httpUrl } = await portal.listen();
    const metricsUrl = await metrics.listen();
    const address = { pid: process.pid, mqttPort, httpUrl, metricsUrl };
    await writeFileDurably(join(folder, 'run', 'server.json'), JSON.stringify(address)).catch(
      (err: unknown) => log.error({ err }, 'verbs are not told where the server listens'),
    );
    log.info(address, 'listening');
    ready(address);
    delay.enable();
    const presence = new Presence({ folder, connected: () => broker.connected(), log });
    const retention = new Retention({ ...installation.store, ...installation, log });
    await runAll(signal, [
      (stop) => Promise.race([installation.store.failed, aborted(stop)]),
      (stop) => broker.run(stop),
      (stop) => portal.run(stop),
      (stop) => metrics.run(stop),
      (stop) => presence.run(stop),
      (stop) => retention.run(stop),
      (stop) => makeRollouts(installation, log).run(stop),
      (stop) => watch(installation, broker, config, log, stop),
    ]);
  } finally {
    await rm(join(folder, 'run', 'server.json'), { force: true });
    await installation.store.close();
    lock.release();
    log.info({ eventLoopDelayP99Ms: delay.percentile(99) / 1e6 }, 'stopped');
  }
}

/** Nothing is taken in yet. A disk that does not let it be done does not keep owners out. */
async function finishLastRun(store: Store, log: Logger): Promise<void> {
  try {
    const begun = await finishBegun(store);
    if (begun.finished > 0) log.info(begun, 'deletions finished that were begun before');
    if (begun.removed > 0) log.info(begun, 'objects removed that a crash had left without a row');
    if (begun.kept > 0) log.error(begun, 'many objects without a row; is the index an old one?');
  } catch (err) {
    log.error({ err }, 'what the last run had begun is not finished; the next start tries again');
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  signal.addEventListener('abort', () => resolve(), { once: true });
  if (signal.aborted) resolve();
  return promise;
}

/** Runs parts together; the first that fails stops the others. */
async function runAll(
  signal: AbortSignal,
  parts: readonly ((stop: AbortSignal) => Promise<void>)[],
): Promise<void> {
  const failed = new AbortController();
  const stop = AbortSignal.any([signal, failed.signal]);
  const running = parts.map((run) =>
    run(stop).catch((error: unknown) => {
      failed.abort(error);
      throw error;
    }),
  );
  await Promise.allSettled(running);
  await Promise.all(running);
}

/** The gate of an installation, told of every change of its devices. */
export async function makeBroker(
  installation: Installation,
  config: ServerConfig,
  log: Logger,
  memory: MediaMemory,
): Promise<Broker> {
  const { store, consent, authority, gate, nowUs, toldListeners } = installation;
  const { key, cert } = await authority.server(hostsOf(config));
  const groups = new GroupCommit({ ...store, minFreeBytes: config.store.minFreeBytes });
  const broker = new Broker({
    ...installation,
    config,
    tls: { key, cert, ca: authority.certificate },
    instances: new Instances(() => performance.now()),
    collector: new Collector({ ...store, consent, toldListeners, gate, groups, nowUs, log }),
    memory,
    log,
  });
  installation.listeners.add((deviceId) => {
    broker
      .recheck(deviceId)
      .catch((err: unknown) => log.error({ err, deviceId }, 'a change was not told'));
  });
  installation.reconfigured.add((deviceId) => {
    broker
      .tellConfiguration(deviceId)
      .catch((err: unknown) => log.error({ err, deviceId }, 'a configuration was not told'));
  });
  return broker;
}

function makePortal(
  installation: Installation,
  config: ServerConfig,
  log: Logger,
  broker: Broker,
): Portal {
  return new Portal({
    ...installation,
    config: config.http,
    claimLimits: config.claims,
    log,
    isConnected: (deviceId) => broker.isConnected(deviceId),
    command: (deviceId, payload) => broker.command(deviceId, payload),
  });
}

function makeMetrics(
  installation: Installation,
  config: ServerConfig,
  log: Logger,
  broker: Broker,
): Metrics {
  const { store, nowUs } = installation;
  return new Metrics({
    fleet: makeVitals(installation, (deviceId) => broker.isConnected(deviceId)),
    config: config.metrics,
    overview: new Overview(store.index),
    claimFailures: config.claims.failures,
    figures: () => broker.figures(),
    nowUs,
    log,
  });
}

/** How the fleet is, told of what is stored and of each change of consent. */
export function makeVitals(
  { gate, consent, listeners, toldListeners }: Installation,
  isConnected: (deviceId: string) => boolean,
): FleetVitals {
  const fleet = new FleetVitals({
    isConnected,
    mayKnow: (deviceId, epoch) => gate.mayTakeIn(deviceId, { epoch, scopes: ['device_info'] }),
  });
  toldListeners.add((deviceId, telling) => fleet.note(deviceId, telling));
  listeners.add((deviceId) => {
    consent.infoInForce(deviceId).then(
      ({ parts }) => fleet.recheck(deviceId, parts),
      () => fleet.recheck(deviceId, []),
    );
  });
  return fleet;
}

/** Carries out what the operator's verbs have begun. */
export function makeRollouts(installation: Installation, log: Logger): RolloutEngine {
  const engine = new RolloutEngine({
    ...installation,
    changed: (deviceId) => {
      for (const listener of installation.reconfigured) listener(deviceId);
    },
    log,
    wait: (ms, signal) => sleep(ms, undefined, { signal }).catch(() => undefined),
  });
  installation.toldListeners.add((deviceId, { noun }) => {
    if (noun === 'reported') engine.reported(deviceId);
  });
  return engine;
}

/** Names under which devices may reach the listener. */
function hostsOf({ mqtt }: ServerConfig): string[] {
  return [mqtt.publicHost, 'localhost', '127.0.0.1'];
}

/** Notices what other processes changed, and renews leases and the certificate in time. */
async function watch(
  { store, authority }: Installation,
  broker: Broker,
  config: ServerConfig,
  log: Logger,
  signal: AbortSignal,
): Promise<void> {
  let version = await dataVersion(store.index);
  const renewMs = Math.min(config.consent.leaseS * 250, DAY_MS);
  let renewAt = performance.now() + renewMs;
  while (!signal.aborted) {
    await sleep(WATCH_MS, undefined, { signal }).catch(() => undefined);
    if (signal.aborted) return;
    try {
      broker.cutExpired();
      const now = await dataVersion(store.index);
      if (now !== version) await broker.recheckAll();
      version = now;
      if (performance.now() < renewAt) continue;
      broker.tellAll();
      // Made anew by itself a month before its end.
      broker.setCertificate(await authority.server(hostsOf(config)));
      renewAt = performance.now() + renewMs;
    } catch (err) {
      log.error({ err }, 'changes could not be read; tried again');
    }
  }
}
