// The MQTT gate: aedes behind the guard. A device is who its certificate says; PUBACK is written only
// after the collector has stored the message, and media never travel on through aedes' routing.
// INVARIANT: every hook answers its callback exactly once and never throws; aedes dies of either.
import type { TLSSocket } from 'node:tls';
import { Aedes, type Client, type PublishPacket } from 'aedes';
import type { Logger } from 'pino';
import { toLenscapError } from '../../proto/errors.ts';
import type { ServerConfig } from '../../proto/server-config.ts';
import { downTopic, parseTopic } from '../../proto/topics.ts';
import { encodeVerdict } from '../../proto/verdict.ts';
import type { Collector, Sender } from '../collector/collector.ts';
import type { Consent } from '../consent/consent.ts';
import type { Devices } from '../store/devices.ts';
import type { MediaMemory } from '../store/media-memory.ts';
import { mayPublish, maySubscribe, whyNotAdmitted } from './authorize.ts';
import { Guard } from './guard.ts';
import { Listener } from './listener.ts';

export interface BrokerDeps {
  readonly config: ServerConfig['mqtt'];
  /** PEM. */
  readonly tls: { readonly key: string; readonly cert: string; readonly ca: string };
  readonly devices: Devices;
  readonly consent: Consent;
  readonly collector: Collector;
  readonly memory: MediaMemory;
  readonly nowUs: () => number;
  readonly log: Logger;
}

/** One accepted connection of a device. */
interface Session extends Sender {
  readonly client: Client;
  readonly guard: Guard;
  readonly serial: string;
  readonly certificateEndUs: number;
}

/** CONNACK codes. [MQTT-3.2.2-6] */
const IDENTIFIER_REJECTED = 2;
const SERVER_UNAVAILABLE = 3;
const NOT_AUTHORIZED = 5;
const EMPTY = Buffer.alloc(0);
const OUTGOING_LIMIT_BYTES = 1 << 20;

export class Broker {
  readonly #deps: BrokerDeps;
  readonly #listener: Listener;
  readonly #aedes: Aedes;
  readonly #sessions = new Map<Client, Session>();

  constructor(deps: BrokerDeps) {
    this.#deps = deps;
    this.#aedes = new Aedes({
      connectTimeout: deps.config.connectTimeoutMs,
      drainTimeout: 10_000,
      queueLimit: 8,
      maxInflightInbound: 1,
      maxTopicLevels: 8,
      preConnect: (_client, packet, done) => {
        if (packet.protocolVersion !== 4) done(new Error('MQTT 3.1.1 only'), false);
        else if (packet.will) done(new Error('wills are not taken'), false);
        // A kept session would queue what the device does not acknowledge, without a bound.
        else if (!packet.clean) done(new Error('clean sessions only'), false);
        else done(null, true);
      },
      authenticate: (client, _user, _password, done) => {
        this.#admit(client).then(
          (refusal) => done(refusal, refusal === null),
          (error: unknown) => done(connackError(String(error), SERVER_UNAVAILABLE), false),
        );
      },
      authorizePublish: (client, packet, done) => {
        this.#take(client, packet).then(() => done(null), done);
      },
      authorizeSubscribe: (client, subscription, done) => {
        done(null, maySubscribe(client.id, subscription.topic) ? subscription : null);
      },
      // Nothing is routed from one client to another; what we send goes to its addressee alone.
      authorizeForward: (client, packet) => (maySubscribe(client.id, packet.topic) ? packet : null),
    });
    this.#listener = new Listener({
      config: deps.config,
      tls: deps.tls,
      log: deps.log,
      accept: (socket) => this.#accept(socket),
    });
    this.#listen();
  }

  /** Starts to listen; returns the port. */
  async listen(): Promise<number> {
    await this.#aedes.listen();
    return this.#listener.listen();
  }

  async run(signal: AbortSignal): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    signal.addEventListener('abort', () => resolve(), { once: true });
    if (!signal.aborted) await promise;
    await this.#listener.close();
    await new Promise<void>((done) => this.#aedes.close(done));
  }

  isConnected(deviceId: string): boolean {
    return this.#sessionsOf(deviceId).length > 0;
  }

  /** Sends a device the consent in force, if it is connected. */
  async tell(deviceId: string): Promise<void> {
    const sessions = this.#sessionsOf(deviceId);
    if (sessions.length === 0) return;
    const payload = Buffer.from(await this.#deps.consent.signedGrant(deviceId));
    for (const { client } of sessions) await send(client, downTopic(deviceId, 'grant'), payload);
  }

  /** Tells every connected device, which renews their leases. */
  async tellAll(): Promise<void> {
    const deviceIds = [...this.#sessions.values()].map(({ deviceId }) => deviceId);
    await Promise.allSettled(deviceIds.map((deviceId) => this.tell(deviceId)));
  }

  /** Cuts off every device whose certificate has ended while it was connected. */
  cutExpired(): void {
    const nowUs = this.#deps.nowUs();
    for (const { deviceId, guard, certificateEndUs } of this.#sessions.values()) {
      if (certificateEndUs > nowUs) continue;
      this.#deps.log.warn({ deviceId, why: 'the certificate has expired' }, 'device cut off');
      guard.destroy();
    }
  }

  /** After a change by another process: reloads consent and cuts off what is no longer admitted. */
  async recheck(): Promise<void> {
    await Promise.allSettled([...this.#sessions.values()].map((session) => this.#recheck(session)));
  }

  /** Takes a certificate made anew into use, for connections from now on. */
  setCertificate(tls: { readonly key: string; readonly cert: string }): void {
    this.#listener.setCertificate(tls);
  }

  async #recheck(session: Session): Promise<void> {
    const { deviceId, client, serial, guard } = session;
    const certificate = await this.#deps.devices.certificate(serial);
    const refusal = whyNotAdmitted(client.id, deviceId, certificate, this.#deps.nowUs());
    if (refusal === undefined) {
      await this.#deps.consent.load(deviceId);
      await this.tell(deviceId);
      return;
    }
    this.#deps.log.warn({ deviceId, serial, why: refusal }, 'device cut off');
    guard.destroy();
  }

  #listen(): void {
    const { log } = this.#deps;
    this.#aedes.on('clientDisconnect', (client) => {
      const session = this.#sessions.get(client);
      this.#sessions.delete(client);
      if (!session) return;
      log.info({ deviceId: session.deviceId }, 'device disconnected');
      this.#noteSeen(session.deviceId);
    });
    this.#aedes.on('clientError', (client, error) =>
      log.warn({ deviceId: client.id, why: error.message }, 'connection ended'),
    );
    this.#aedes.on('connectionError', (client, error) =>
      log.warn({ clientId: client.id, why: error.message }, 'connection refused'),
    );
    this.#aedes.on('subscribe', (subscriptions, client) => {
      const isForGrants = subscriptions.some(({ topic }) => parseTopic(topic)?.noun === 'grant');
      const session = this.#sessions.get(client);
      if (!session || !isForGrants) return;
      this.tell(session.deviceId).catch((err: unknown) => {
        log.error({ err, deviceId: session.deviceId }, 'the grant could not be sent');
        session.guard.destroy();
      });
    });
  }

  /** Best effort: a full disk must not keep a device from hearing that its owner withdrew. */
  #noteSeen(deviceId: string): void {
    const { devices, nowUs, log } = this.#deps;
    devices
      .seen(deviceId, nowUs())
      .catch((err: unknown) => log.error({ err, deviceId }, 'the time of connection is not noted'));
  }

  #accept(socket: TLSSocket): void {
    const guard = new Guard(socket, this.#deps.config);
    // Taken now: a destroyed socket has neither address nor certificate.
    const from = socket.remoteAddress;
    const device = commonName(socket);
    guard.on('error', (error) => {
      this.#deps.log.warn({ from, device, why: error.message }, 'connection ended');
    });
    this.#aedes.handle(guard);
  }

  /** Null when the client is admitted, else the error that becomes its CONNACK. */
  async #admit(client: Client): Promise<ReturnType<typeof connackError> | null> {
    const guard = client.conn;
    if (!(guard instanceof Guard)) return connackError('no guard', NOT_AUTHORIZED);
    const { socket } = guard;
    if (!isTls(socket) || !socket.authorized) return connackError('no certificate', NOT_AUTHORIZED);
    const serial = socket.getPeerCertificate()?.serialNumber?.toLowerCase() ?? '';
    // Asked of the index on every connect: a resumed TLS session skips all other checks.
    const certificate = await this.#deps.devices.certificate(serial);
    const name = commonName(socket);
    const refusal = whyNotAdmitted(client.id, name, certificate, this.#deps.nowUs());
    if (refusal !== undefined) {
      this.#deps.log.warn({ clientId: client.id, name, serial, why: refusal }, 'device refused');
      return connackError(refusal, client.id === name ? NOT_AUTHORIZED : IDENTIFIER_REJECTED);
    }
    const device = await this.#deps.devices.byId(client.id);
    if (!device) return connackError('no such device', NOT_AUTHORIZED);
    const { device_id: deviceId, account_id: accountId } = device;
    await this.#deps.consent.load(deviceId);
    this.#noteSeen(deviceId);
    if (guard.destroyed) return connackError('gone', NOT_AUTHORIZED);
    const certificateEndUs = certificate?.not_after_us ?? 0;
    this.#sessions.set(client, { deviceId, accountId, client, guard, serial, certificateEndUs });
    this.#deps.log.info({ deviceId, serial }, 'device connected');
    // Again, for a revocation that came while the session was not yet known here.
    const now = await this.#deps.devices.certificate(serial);
    if (now?.revoked_at_us !== null) return connackError('revoked', NOT_AUTHORIZED);
    guard.authenticated();
    return null;
  }

  /** Resolves when PUBACK may be written; rejects to cut the connection without one. */
  async #take(client: Client | null, packet: PublishPacket): Promise<void> {
    const session = client && this.#sessions.get(client);
    if (!session || session.guard.destroyed) throw new Error('no session: wills are not taken');
    const allowed = mayPublish(session.deviceId, packet);
    if ('refusal' in allowed) throw new Error(allowed.refusal);
    const sent = typeof packet.payload === 'string' ? Buffer.from(packet.payload) : packet.payload;
    const payload = this.#deps.memory.keep(sent);
    try {
      const reply = await this.#deps.collector.take(session, allowed.noun, payload);
      if (reply !== 'stored') {
        const verdict = Buffer.from(encodeVerdict(reply.verdict));
        await send(session.client, downTopic(session.deviceId, 'verdict'), verdict);
        if (!reply.isFinal) throw new Error(`not stored: ${reply.verdict.code}`);
      }
    } catch (error) {
      throw toLenscapError(error);
    } finally {
      // What aedes goes on to route is nothing.
      packet.payload = EMPTY;
      packet.retain = false;
      this.#deps.memory.discard(sent);
      // After this turn, so that PUBACK is on its way before the next PUBLISH is let in.
      setImmediate(() => session.guard.release());
    }
  }

  #sessionsOf(deviceId: string): Session[] {
    return [...this.#sessions.values()].filter((session) => session.deviceId === deviceId);
  }
}

/** Resolves when it is written. A device that does not read is cut off before it costs memory. */
async function send(client: Client, topic: string, payload: Buffer): Promise<void> {
  if (client.conn.writableLength > OUTGOING_LIMIT_BYTES) {
    client.conn.destroy();
    return;
  }
  const packet = { cmd: 'publish', topic, payload, qos: 1, retain: false, dup: false } as const;
  await new Promise<void>((written) => client.publish(packet, () => written()));
}

function connackError(why: string, returnCode: number): Error & { returnCode: number } {
  return Object.assign(new Error(why), { returnCode });
}

function isTls(socket: object): socket is TLSSocket {
  return 'authorized' in socket && 'getPeerCertificate' in socket;
}

function commonName(socket: TLSSocket): string | undefined {
  const name = socket.getPeerCertificate()?.subject?.CN;
  return Array.isArray(name) ? undefined : name;
}
