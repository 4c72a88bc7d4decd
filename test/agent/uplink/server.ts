// A server for the tests of the uplink: real aedes behind real TLS, whose answers a test decides.
import { once } from 'node:events';
import { createServer, type TLSSocket } from 'node:tls';
import { Aedes, type Client } from 'aedes';
import { type DownNoun, downTopic, parseTopic } from '../../../proto/topics.ts';
import type { Pair } from './pki.ts';

export interface Publish {
  readonly noun: string;
  readonly payload: Buffer;
  readonly atMs: number;
  /** Acknowledges. */
  readonly ack: () => void;
}

export interface ServerOptions {
  readonly pair: Pair;
  readonly ca: string;
  readonly deviceId: string;
  /** Called for each publish; has to call ack sooner or later. */
  readonly onPublish: (publish: Publish, server: TestServer) => void;
  /** Called when a device has subscribed to its verdicts. */
  readonly onReady: (server: TestServer) => void;
  /** Whether a device may connect by its user name. Absent: always. */
  readonly admits?: (userName: string) => boolean;
}

export class TestServer {
  readonly received: Publish[] = [];
  readonly #options: ServerOptions;
  readonly #sockets = new Set<TLSSocket>();
  #client: Client | undefined;
  readonly userNames: string[] = [];
  connections = 0;
  /** Bytes after TLS, of all connections. */
  bytes = 0;
  port = 0;
  #close: () => void = () => undefined;

  constructor(options: ServerOptions) {
    this.#options = options;
  }

  async start(port = 0): Promise<void> {
    const { pair, ca, deviceId, onPublish, onReady, admits = () => true } = this.#options;
    const broker = await Aedes.createBroker({
      authenticate: (_client, userName, _password, callback) => {
        this.userNames.push(userName ?? '');
        if (admits(userName ?? '')) return callback(null, true);
        callback(Object.assign(new Error('refused'), { returnCode: 5 as const }), false);
      },
      authorizePublish: (client, packet, callback) => {
        const noun = parseTopic(packet.topic)?.noun;
        if (client === null || noun === undefined) return callback(new Error('no such topic'));
        const payload = Buffer.from(packet.payload);
        packet.payload = Buffer.alloc(0);
        const publish = { noun, payload, atMs: performance.now(), ack: () => callback(null) };
        this.received.push(publish);
        return onPublish(publish, this);
      },
    });
    broker.on('client', (client) => {
      this.#client = client;
    });
    broker.on('subscribe', (subscriptions) => {
      const verdict = downTopic(deviceId, 'verdict');
      if (subscriptions.some(({ topic }) => topic === verdict)) onReady(this);
    });
    const server = createServer(
      {
        key: pair.privateKey,
        cert: pair.certificate,
        ca,
        requestCert: true,
        minVersion: 'TLSv1.3',
      },
      (socket) => {
        this.connections += 1;
        this.#sockets.add(socket);
        socket.on('error', () => undefined);
        socket.on('close', () => this.#sockets.delete(socket));
        socket.on('data', ({ length }: Buffer) => {
          this.bytes += length;
        });
        broker.handle(socket);
      },
    );
    server.listen(port, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    this.port = typeof address === 'object' && address !== null ? address.port : 0;
    this.#close = () => {
      this.reset();
      server.close();
      broker.close();
    };
  }

  say(noun: DownNoun, payload: Uint8Array): void {
    this.#client?.publish(
      {
        cmd: 'publish',
        topic: downTopic(this.#options.deviceId, noun),
        payload: Buffer.from(payload),
        qos: 1,
        retain: false,
        dup: false,
      },
      () => undefined,
    );
  }

  /** Breaks every connection. */
  reset(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  close(): void {
    this.#close();
  }

  nouns(): string[] {
    return this.received.map(({ noun }) => noun);
  }
}
