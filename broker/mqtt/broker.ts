// The MQTT gate: aedes behind the guard. A device is who its certificate says; a board without an
// identity is kept apart. PUBACK is written only after what was sent is stored or answered, and media
// never travel on through aedes' routing.
// INVARIANT: every hook answers its callback exactly once and never throws; aedes dies of either.
import type { TLSSocket } from 'node:tls';
import { Aedes, type Client, type ConnectPacket, type PublishPacket } from 'aedes';
import type { Logger } from 'pino';
import { toLenscapError } from '../../proto/errors.ts';
import type { ServerConfig } from '../../proto/server-config.ts';
import { type Exchange, parseExchangeId, parseTopic, type UpNoun } from '../../proto/topics.ts';
import type { Figures } from '../metrics/figures.ts';
import type { MediaMemory } from '../store/media-memory.ts';
import {
  mayPublish,
  maySubscribe,
  REFUSALS,
  type Refusal,
  type Refused,
  refused,
} from './authorize.ts';
import { Guard } from './guard.ts';
import { Inbox, type InboxDeps } from './inbox.ts';
import { Listener } from './listener.ts';
import { peerOf, saidOf } from './peer.ts';
import { type Answering, Quarantine } from './quarantine.ts';
import { type Arrival, Sessions, type SessionsDeps } from './sessions.ts';
import { Tally } from './tally.ts';

export type BrokerDeps = Omit<SessionsDeps, 'certificates' | 'lifecycle'> &
  Omit<InboxDeps, 'certificates' | 'lifecycle'> & {
    readonly config: Pick<ServerConfig, 'mqtt' | 'claims'>;
    /** PEM; `cert` with its authority, which a board looks for before it trusts anybody. */
    readonly tls: { readonly key: string; readonly cert: string; readonly ca: string };
    readonly certificates: SessionsDeps['certificates'] & InboxDeps['certificates'];
    readonly lifecycle: SessionsDeps['lifecycle'] & InboxDeps['lifecycle'];
    readonly claims: Answering;
    readonly memory: MediaMemory;
    readonly log: Logger;
  };

const EMPTY = Buffer.alloc(0);

export class Broker {
  readonly #deps: BrokerDeps;
  readonly #listener: Listener;
  readonly #aedes: Aedes;
  readonly #sessions: Sessions;
  readonly #inbox: Inbox;
  readonly #quarantine: Quarantine;
  /** Of open connections, by what aedes knows them by. */
  readonly #arrivals = new WeakMap<object, Arrival>();
  /** What boards in the handshake ask for; aedes knows them by a name of their own. */
  readonly #exchanges = new WeakMap<Client, Exchange>();
  readonly #messages = new Tally<UpNoun>();
  readonly #refusals = new Tally<Refusal>();
  #bytes = 0;
  #boards = 0;

  constructor(deps: BrokerDeps) {
    this.#deps = deps;
    this.#sessions = new Sessions(deps);
    this.#inbox = new Inbox(deps);
    this.#quarantine = new Quarantine({
      ...deps,
      config: deps.config.claims,
      nowMs: () => performance.now(),
    });
    this.#aedes = this.#makeAedes();
    this.#listener = new Listener({
      config: deps.config.mqtt,
      tls: deps.tls,
      log: deps.log,
      accept: (socket, done) => this.#accept(socket, done),
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
    await this.#sessions.close();
  }

  isConnected(deviceId: string): boolean {
    return this.#sessions.isConnected(deviceId);
  }

  /** Ids of the devices that are connected. */
  connected(): string[] {
    return this.#sessions.connected();
  }

  /** Sends a device a command, if it is connected; whether it was. */
  command(deviceId: string, payload: Uint8Array): Promise<boolean> {
    return this.#sessions.command(deviceId, payload);
  }

  /** After a change of one device: cuts it off when it is admitted no more, else tells it. */
  recheck(deviceId: string): Promise<void> {
    return this.#sessions.recheck(deviceId);
  }

  /** The same for all, after changes by another process. */
  recheckAll(): Promise<void> {
    return this.#sessions.recheckAll();
  }

  /** Tells a device the configuration that is wanted, if it is connected. */
  tellConfiguration(deviceId: string): Promise<void> {
    return this.#sessions.tellConfiguration(deviceId);
  }

  /** Tells every connected device what is in force, which renews their leases. */
  tellAll(): void {
    this.#sessions.tellAll();
  }

  /** Cuts off every device whose certificate has ended while it was connected. */
  cutExpired(): void {
    this.#sessions.cutExpired();
  }

  /** Takes a certificate made anew into use, for connections from now on. */
  setCertificate(tls: { readonly key: string; readonly cert: string }): void {
    this.#listener.setCertificate(tls);
  }

  /** Plain numbers for whoever shows them. */
  figures(): Figures {
    const [device, farewell] = [this.#sessions.count('device'), this.#sessions.count('farewell')];
    const quarantine = this.#quarantine.size;
    const handshake = this.#listener.size - device - farewell - quarantine;
    return {
      connections: { device, farewell, quarantine, handshake },
      messages: this.#messages.counts,
      bytes: this.#bytes,
      refusals: this.#refusals.counts,
      claims: this.#quarantine.claimCounts(),
    };
  }

  #makeAedes(): Aedes {
    return new Aedes({
      connectTimeout: this.#deps.config.mqtt.connectTimeoutMs,
      drainTimeout: 10_000,
      queueLimit: 8,
      maxInflightInbound: 1,
      maxTopicLevels: 8,
      preConnect: (client, packet, done) => {
        const fault = faultOf(packet);
        if (fault === undefined) this.#setApart(client, packet);
        done(fault === undefined ? null : new Error(fault), fault === undefined);
      },
      authenticate: (client, userName, _password, done) => {
        const answer = (refusal: Refused | undefined): void => {
          this.#arrivals.get(client.conn)?.done();
          done(refusal ? this.#refused(client, refusal) : null, refusal === undefined);
        };
        this.#admit(client, userName).then(answer, (err: unknown) => {
          this.#deps.log.error({ err, clientId: client.id }, 'a connection could not be judged');
          answer(refused('failed'));
        });
      },
      authorizePublish: (client, packet, done) => {
        this.#take(client, packet).then(() => done(null), done);
      },
      authorizeSubscribe: (client, subscription, done) => {
        done(null, this.#mayHear(client, subscription.topic) ? subscription : null);
      },
      // Nothing is routed from one client to another; what we send goes to its addressee alone.
      authorizeForward: (client, packet) => (this.#mayHear(client, packet.topic) ? packet : null),
    });
  }

  /** A name of its own for each board, since aedes lets a second client push out the first. */
  #setApart(client: Client, packet: ConnectPacket): void {
    const exchange = parseExchangeId(packet.clientId);
    if (!exchange) return;
    this.#exchanges.set(client, exchange);
    this.#boards += 1;
    packet.clientId = `${packet.clientId}#${this.#boards}`;
  }

  #listen(): void {
    const { log } = this.#deps;
    this.#aedes.on('clientError', (client, error) =>
      log.warn({ deviceId: client.id, why: error.message }, 'connection ended'),
    );
    this.#aedes.on('connectionError', (client, error) =>
      log.warn({ clientId: client.id, why: error.message }, 'connection refused'),
    );
    this.#aedes.on('subscribe', (subscriptions, client) => {
      const nouns = subscriptions.map(({ topic }) => parseTopic(topic)?.noun);
      this.#sessions.heard(client, nouns);
    });
  }

  #accept(socket: TLSSocket, done: () => void): void {
    const guard = new Guard(socket, this.#deps.config.mqtt);
    const peer = peerOf(socket);
    this.#arrivals.set(guard, { guard, socket, peer, done });
    guard.on('error', (error) => {
      this.#deps.log.warn({ ...saidOf(peer), why: error.message }, 'connection ended');
    });
    this.#aedes.handle(guard);
  }

  async #admit(client: Client, userName: string | undefined): Promise<Refused | undefined> {
    const arrival = this.#arrivals.get(client.conn);
    if (!arrival) return refused('gone');
    const exchange = this.#exchanges.get(client);
    return exchange
      ? this.#quarantine.admit(client, arrival, exchange)
      : this.#sessions.admit(client, arrival, userName);
  }

  /** The error that becomes the CONNACK. */
  #refused(client: Client, { refusal, why }: Refused): Error & { returnCode: number } {
    this.#refusals.add(refusal);
    const peer = this.#arrivals.get(client.conn)?.peer;
    const said = peer && saidOf(peer);
    this.#deps.log.warn({ clientId: client.id, ...said, why }, 'device refused');
    return Object.assign(new Error(why), { returnCode: REFUSALS[refusal].connack });
  }

  #mayHear(client: Client, topic: string): boolean {
    if (this.#quarantine.has(client)) return this.#quarantine.mayHear(client, topic);
    return this.#sessions.of(client) !== undefined && maySubscribe(client.id, topic);
  }

  /** Resolves when PUBACK may be written; rejects to cut the connection without one. */
  async #take(client: Client | null, packet: PublishPacket): Promise<void> {
    const sent = typeof packet.payload === 'string' ? Buffer.from(packet.payload) : packet.payload;
    try {
      if (!client) throw new Error('wills are not taken');
      if (this.#quarantine.has(client)) await this.#quarantine.take(client, packet, sent);
      else await this.#takeOfDevice(client, packet, sent);
    } catch (error) {
      throw toLenscapError(error);
    } finally {
      // What aedes goes on to route is nothing.
      packet.payload = EMPTY;
      packet.retain = false;
      this.#deps.memory.discard(sent);
      // After this turn, so that PUBACK is on its way before the next PUBLISH is let in.
      setImmediate(() => client && this.#arrivals.get(client.conn)?.guard.release());
    }
  }

  async #takeOfDevice(client: Client, packet: PublishPacket, sent: Buffer): Promise<void> {
    const session = this.#sessions.of(client);
    if (!session || session.guard.destroyed) throw new Error('no session');
    const allowed = mayPublish(session.deviceId, packet);
    if ('refusal' in allowed) throw new Error(allowed.refusal);
    const bytes = sent.byteLength;
    await this.#inbox.take(session, allowed.noun, this.#deps.memory.keep(sent));
    this.#messages.add(allowed.noun);
    this.#bytes += bytes;
  }
}

/** Why no CONNECT like this is taken, of whoever it is. */
function faultOf({ protocolVersion, will, clean }: ConnectPacket): string | undefined {
  if (protocolVersion !== 4) return 'MQTT 3.1.1 only';
  if (will) return 'wills are not taken';
  // A kept session would queue what the device does not acknowledge, without a bound.
  return clean ? undefined : 'clean sessions only';
}
