// One MQTT connection of a simulated board: TLS 1.3 and packets by hand, so that thousands fit into a
// process. It is over when `lost` resolves, and never connects again by itself.
import type { SecureContext, TLSSocket } from 'node:tls';
import { connect } from 'node:tls';
import { generate, type Packet, parser } from 'mqtt-packet';

export interface LinkSpec {
  readonly port: number;
  readonly servername: string;
  /** With the pinned authority, and key and certificate if there are any. */
  readonly context: SecureContext;
  readonly clientId: string;
  /** Absent for boards without an identity. */
  readonly username?: string;
  readonly keepaliveS: number;
  /** From TCP to CONNACK. */
  readonly connectTimeoutMs: number;
  readonly onMessage?: (topic: string, payload: Buffer) => void;
}

/**
 * `down`: nobody listens. `refused`: somebody does, and does not let this one in. `late`: this one
 * would not wait any longer. `lost`: afterwards.
 */
export type LinkFault = 'down' | 'refused' | 'late' | 'lost';

export class LinkError extends Error {
  readonly kind: LinkFault;

  constructor(kind: LinkFault, why: string) {
    super(why);
    this.kind = kind;
  }
}

export class Link {
  /** Resolves with why, when the connection is over. */
  readonly lost: Promise<string>;
  readonly socket: TLSSocket;
  readonly #spec: LinkSpec;
  readonly #lost = Promise.withResolvers<string>();
  readonly #accepted = Promise.withResolvers<void>();
  readonly #waiting = new Map<number, PromiseWithResolvers<readonly number[]>>();
  #messageId = 0;
  #pings: NodeJS.Timeout | undefined;

  private constructor(spec: LinkSpec) {
    this.#spec = spec;
    this.lost = this.#lost.promise;
    this.#accepted.promise.catch(() => undefined);
    this.socket = connect({
      host: '127.0.0.1',
      port: spec.port,
      servername: spec.servername,
      secureContext: spec.context,
      minVersion: 'TLSv1.3',
    });
    this.socket.setNoDelay(true);
    this.#listen();
  }

  /** Connects until CONNACK 0. @throws LinkError. */
  static async open(spec: LinkSpec): Promise<Link> {
    const link = new Link(spec);
    const late = setTimeout(
      () => link.#giveUp('late', `no CONNACK within ${spec.connectTimeoutMs} ms`),
      spec.connectTimeoutMs,
    );
    try {
      await link.#accepted.promise;
      return link;
    } finally {
      clearTimeout(late);
    }
  }

  /** The codes of the SUBACK: 128 = refused. Rejects when the connection is over first. */
  async subscribe(topics: readonly string[]): Promise<readonly number[]> {
    const messageId = this.#nextId();
    const subscriptions = topics.map((topic) => ({ topic, qos: 1 as const }));
    return await this.#ask(messageId, generate({ cmd: 'subscribe', messageId, subscriptions }));
  }

  /** Resolves when it is acknowledged. Rejects when the connection is over first. */
  async publish(topic: string, payload: Uint8Array): Promise<void> {
    const messageId = this.#nextId();
    const bytes = Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength);
    const head = { cmd: 'publish', qos: 1, dup: false, retain: false } as const;
    await this.#ask(messageId, generate({ ...head, topic, messageId, payload: bytes }));
  }

  /** Ends the connection without a farewell. */
  cut(): void {
    this.socket.destroy();
  }

  #listen(): void {
    const { socket } = this;
    let why = 'closed';
    const incoming = parser({ protocolVersion: 4 });
    incoming.on('packet', (packet: Packet) => this.#receive(packet));
    incoming.on('error', (error: Error) => socket.destroy(error));
    socket.on('data', (bytes: Buffer) => incoming.parse(bytes));
    socket.once('secureConnect', () => this.#introduce());
    socket.on('error', (error: Error & { readonly code?: string }) => {
      why = error.code ?? error.message;
    });
    socket.once('close', () => this.#end(why));
  }

  #introduce(): void {
    const { clientId, username, keepaliveS } = this.#spec;
    const protocol = { protocolId: 'MQTT', protocolVersion: 4, clean: true } as const;
    const named = username === undefined ? {} : { username };
    this.socket.write(
      generate({ cmd: 'connect', ...protocol, clientId, keepalive: keepaliveS, ...named }),
    );
    if (keepaliveS === 0) return;
    const ping = generate({ cmd: 'pingreq' });
    this.#pings = setInterval(() => this.socket.write(ping), keepaliveS * 1000);
  }

  #receive(packet: Packet): void {
    if (packet.cmd === 'connack') {
      if (packet.returnCode === 0) this.#accepted.resolve();
      else this.#giveUp('refused', `CONNACK ${packet.returnCode}`);
    } else if (packet.cmd === 'suback' || packet.cmd === 'puback') {
      const { messageId = 0 } = packet;
      const codes = packet.cmd === 'suback' ? packet.granted.map(Number) : [];
      this.#waiting.get(messageId)?.resolve(codes);
      this.#waiting.delete(messageId);
    } else if (packet.cmd === 'publish') {
      if (packet.qos === 1 && packet.messageId !== undefined)
        this.socket.write(generate({ cmd: 'puback', messageId: packet.messageId }));
      this.#spec.onMessage?.(packet.topic, Buffer.from(packet.payload));
    }
  }

  #ask(messageId: number, packet: Buffer): Promise<readonly number[]> {
    const answer = Promise.withResolvers<readonly number[]>();
    if (this.socket.destroyed) answer.reject(new LinkError('lost', 'over'));
    else {
      this.#waiting.set(messageId, answer);
      this.socket.write(packet);
    }
    return answer.promise;
  }

  #giveUp(kind: LinkFault, why: string): void {
    this.#accepted.reject(new LinkError(kind, why));
    this.socket.destroy();
  }

  #end(why: string): void {
    clearInterval(this.#pings);
    const kind = why === 'ECONNREFUSED' ? 'down' : 'refused';
    this.#accepted.reject(new LinkError(kind, `${why} before CONNACK`));
    for (const { reject } of this.#waiting.values()) reject(new LinkError('lost', why));
    this.#waiting.clear();
    this.#lost.resolve(why);
  }

  #nextId(): number {
    do this.#messageId = (this.#messageId % 65_535) + 1;
    while (this.#waiting.has(this.#messageId));
    return this.#messageId;
  }
}
