// An uplink with a real gate and a real spool, joined to a test server.
import { pino } from 'pino';
import { type Clock, KnownTime, systemClock } from '../../../agent/clock.ts';
import { Gate } from '../../../agent/consent/gate.ts';
import { Flash } from '../../../agent/spool/flash.ts';
import { eraseSpool, spoolFolder } from '../../../agent/spool/folder.ts';
import { SpoolQueue } from '../../../agent/spool/queue.ts';
import type { Errand } from '../../../agent/uplink/errand.ts';
import { LinkFigures } from '../../../agent/uplink/figures.ts';
import { Uplink } from '../../../agent/uplink/uplink.ts';
import { consent, DEVICE, grant } from '../consent/grants.ts';
import { BOOT, header, media, SECOND_US, stream } from '../spool/captured.ts';
import { makeAuthority, makePair } from './pki.ts';
import { type ServerOptions, TestServer } from './server.ts';

export const authority = await makeAuthority('authority');
export const other = await makeAuthority('another authority');
export const devicePair = await makePair(authority, DEVICE);
export const serverPair = await makePair(authority, 'server', { type: 'dns', value: 'localhost' });

/** Of the agent's run, as the server hears it. */
export const INSTANCE = '0123456789abcdef0123456789abcdef';

export const config = {
  window: 2,
  backlogPercent: 80,
  maxKbps: 0,
  meteredInterfaces: [] as readonly string[],
  keepaliveS: 60,
  connectTimeoutMs: 5000,
  ackTimeoutMs: 5000,
  backoffMinMs: 20,
  backoffMaxMs: 100,
  drainTimeoutMs: 3000,
};

export const spoolConfig = {
  maxBytes: 256 << 20,
  maxAgeS: 604_800,
  memoryBytes: 64 << 20,
  flushAfterMs: 60_000,
  minFreeMemoryBytes: 0,
  durability: 'sparing',
} as const;

export interface RigOptions extends Partial<ServerOptions> {
  readonly stateDir: string;
  readonly config?: Partial<typeof config>;
  /** How old is what counts as backlog, milliseconds. */
  readonly flushAfterMs?: number;
  readonly identity?: {
    ca?: string;
    certificate?: string;
    privateKey?: string;
    host?: string;
    port?: number;
  };
  readonly grantTimeoutMs?: number;
  readonly errands?: readonly Errand[];
  /** The clock by which dates of certificates are judged. */
  readonly clock?: Clock;
  /** Moment that has passed for certain, microseconds. */
  readonly floorUs?: number;
}

interface LogLine {
  readonly level: number;
  readonly msg: string;
  readonly code?: string;
  readonly nextAttemptMs?: number;
  readonly noun?: string;
  readonly lane?: string;
}

export type Rig = Awaited<ReturnType<typeof makeRig>>;

/** By default the server grants video at epoch 1 and acknowledges everything. */
export async function makeRig(options: RigOptions) {
  const server = new TestServer({
    pair: serverPair,
    ca: authority.pem,
    deviceId: DEVICE,
    onPublish: ({ ack }) => ack(),
    onReady: (ready) => ready.say('grant', grant(1, ['video'])),
    ...options,
  });
  await server.start();
  const lines: LogLine[] = [];
  const log = pino({ level: 'debug' }, { write: (line: string) => lines.push(JSON.parse(line)) });
  const opened = Flash.open(spoolFolder(options.stateDir), DEVICE, log);
  const spool = new SpoolQueue({
    config: { ...spoolConfig, flushAfterMs: options.flushAfterMs ?? spoolConfig.flushAfterMs },
    flash: opened.flash,
    opened,
    clock: systemClock,
    bootId: BOOT,
    floorUs: () => 0,
    usualUs: SECOND_US,
    mark: null,
    eraseUnread: () => eraseSpool(options.stateDir),
    onSafe: () => undefined,
    log,
  });
  const gate = new Gate({
    stateDir: options.stateDir,
    identity: { deviceId: DEVICE, consentKey: consent.publicKey },
    clock: systemClock,
    log,
    retain: (mayKeep) => spool.retain(mayKeep),
  });
  const { host = 'localhost', port = server.port, ...pems } = options.identity ?? {};
  const identity = {
    deviceId: DEVICE,
    ca: authority.pem,
    ...devicePair,
    ...pems,
    server: { host, port },
  };
  const told: ('admitted' | 'refused')[] = [];
  const figures = new LinkFigures();
  const uplink = new Uplink({
    figures,
    credentials: {
      next: () => identity,
      admitted: () => told.push('admitted'),
      refused: () => told.push('refused'),
    },
    instanceId: INSTANCE,
    time: new KnownTime(options.clock ?? systemClock, options.floorUs ?? 0),
    errands: options.errands ?? [],
    config: { ...config, ...options.config },
    spool,
    gate,
    clock: systemClock,
    log,
    random: () => 0.5,
    grantTimeoutMs: options.grantTimeoutMs ?? 5000,
  });
  const stop = new AbortController();
  const end = new AbortController();
  const flushing = spool.run(new AbortController().signal, end.signal);
  let running: Promise<void> | undefined;
  return {
    server,
    spool,
    gate,
    figures,
    lines,
    /** What the uplink learned about its credentials. */
    told,
    start: () => {
      running = uplink.run(stop.signal);
    },
    /** Asks for the end and waits for it; returns how long it took. */
    stop: async () => {
      const startMs = performance.now();
      stop.abort();
      await running;
      return performance.now() - startMs;
    },
    end: async () => {
      spool.retain(() => false);
      stop.abort();
      server.close();
      await running;
      end.abort();
      await flushing;
    },
  };
}

/** One stream with so many segments. */
export function fill(
  { spool }: Pick<Rig, 'spool'>,
  segments: number,
  name = 'a',
  bytes = 1000,
): void {
  spool.stream(stream(name));
  for (let sequence = 0; sequence < segments; sequence += 1)
    spool.segment(header(name, sequence), media(bytes));
}

/** Waits until a condition holds; fails after a minute. */
export async function eventually(what: string, holds: () => boolean): Promise<void> {
  const endMs = performance.now() + 60_000;
  while (!holds()) {
    if (performance.now() > endMs) throw new Error(`did not happen: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
