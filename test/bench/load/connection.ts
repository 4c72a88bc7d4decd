// One camera of the load: a TLS connection that keeps a window of unacknowledged segments filled.
// A segment counts as accepted when it was acknowledged and no verdict named it before.
import { randomBytes, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { connect, type TLSSocket } from 'node:tls';
import { generate, type Packet, parser } from 'mqtt-packet';
import { downTopic, parseTopic, upTopic } from '../../../proto/topics.ts';
import { decodeVerdict } from '../../../proto/verdict.ts';
import type { Device, LoadSpec } from './messages.ts';
import {
  checkShortcut,
  type Media,
  type Run,
  segmentHead,
  streamPayload,
  varint,
} from './payload.ts';

interface Pending {
  readonly sentMs: number;
  /** Undefined for a stream. */
  readonly segment: string | undefined;
}

export class Connection {
  readonly latenciesMs: number[] = [];
  readonly codes: Record<string, number> = {};
  accepted = 0;
  refused = 0;
  readonly #spec: LoadSpec;
  readonly #device: Device;
  readonly #media: readonly Media[];
  readonly #socket: TLSSocket;
  readonly #pending = new Map<number, Pending>();
  readonly #refusals = new Map<string, string>();
  readonly #done = Promise.withResolvers<void>();
  readonly #topic: Buffer;
  #run: Run;
  #sequence = 0;
  #sent = 0;
  #messageId = 0;
  #isStreamSent = false;
  #isStopping = false;

  constructor(spec: LoadSpec, index: number, media: readonly Media[]) {
    const device = spec.devices[index];
    if (!device) throw new Error('no such device');
    this.#spec = spec;
    this.#device = device;
    this.#media = media;
    this.#topic = Buffer.from(upTopic(device.deviceId, 'segment'));
    this.#run = newRun(spec.epochs[index] ?? 1);
    const [first] = media;
    if (first) checkShortcut(this.#run, first);
    this.#socket = connect({
      host: '127.0.0.1',
      port: spec.port,
      servername: spec.servername,
      ca: spec.ca,
      key: device.key,
      cert: device.certificate,
      minVersion: 'TLSv1.3',
    });
    this.#socket.setNoDelay(true);
    this.#socket.on('error', (error) => this.#done.reject(error));
    this.#socket.on('close', () =>
      this.#done.reject(new Error(`${device.deviceId}: the connection was closed`)),
    );
    this.#done.promise.catch(() => undefined);
  }

  /** Resolves with the cipher's name once subscribed. */
  async open(): Promise<string> {
    await Promise.race([once(this.#socket, 'secureConnect'), this.#done.promise]);
    const incoming = parser({ protocolVersion: 4 });
    const subscribed = Promise.withResolvers<void>();
    incoming.on('packet', (packet: Packet) => {
      if (packet.cmd === 'connack') this.#subscribe();
      else if (packet.cmd === 'suback') subscribed.resolve();
      else this.#receive(packet);
    });
    this.#socket.on('data', (bytes: Buffer) => incoming.parse(bytes));
    const clientId = this.#device.deviceId;
    this.#socket.write(
      generate({
        cmd: 'connect',
        clientId,
        username: randomBytes(16).toString('hex'),
        protocolId: 'MQTT',
        protocolVersion: 4,
        clean: true,
        keepalive: 600,
      }),
    );
    await Promise.race([subscribed.promise, this.#done.promise]);
    return this.#socket.getCipher().standardName;
  }

  /** Sends until the count is reached or stop() was called; resolves when nothing is pending. */
  async send(): Promise<void> {
    this.#fill();
    await this.#done.promise;
  }

  stop(): void {
    this.#isStopping = true;
    this.#settle();
  }

  close(): void {
    this.#socket.destroy();
  }

  /** Goes on as a new run of capture. */
  newEpoch(epoch: number): void {
    this.#run = newRun(epoch);
    this.#sequence = 0;
    this.#isStreamSent = false;
  }

  #subscribe(): void {
    const { deviceId } = this.#device;
    const subscriptions = (['grant', 'verdict'] as const).map((noun) => ({
      topic: downTopic(deviceId, noun),
      qos: 1 as const,
    }));
    this.#socket.write(generate({ cmd: 'subscribe', messageId: this.#nextId(), subscriptions }));
  }

  #receive(packet: Packet): void {
    if (packet.cmd === 'puback' && packet.messageId !== undefined) this.#acked(packet.messageId);
    if (packet.cmd !== 'publish') return;
    if (packet.qos === 1 && packet.messageId !== undefined)
      this.#socket.write(generate({ cmd: 'puback', messageId: packet.messageId }));
    const topic = parseTopic(packet.topic);
    if (topic?.noun !== 'verdict' || !Buffer.isBuffer(packet.payload)) return;
    const { target, code } = decodeVerdict(packet.payload);
    if (target.kind === 'segment')
      this.#refusals.set(`${target.streamId}/${target.sequence}`, code);
  }

  #acked(messageId: number): void {
    const pending = this.#pending.get(messageId);
    this.#pending.delete(messageId);
    if (pending?.segment !== undefined) {
      const code = this.#refusals.get(pending.segment);
      this.#refusals.delete(pending.segment);
      this.latenciesMs.push(performance.now() - pending.sentMs);
      if (code === undefined) this.accepted++;
      else {
        this.refused++;
        this.codes[code] = (this.codes[code] ?? 0) + 1;
      }
    }
    this.#fill();
  }

  #fill(): void {
    const { window, perDevice } = this.#spec;
    while (!this.#isStopping && this.#pending.size < window) {
      if (perDevice > 0 && this.#sent === perDevice) break;
      if (!this.#isStreamSent) this.#sendStream();
      else this.#sendSegment();
    }
    this.#settle();
  }

  #settle(): void {
    const isAllSent = this.#spec.perDevice > 0 && this.#sent === this.#spec.perDevice;
    if ((isAllSent || this.#isStopping) && this.#pending.size === 0) this.#done.resolve();
  }

  #sendStream(): void {
    const topic = upTopic(this.#device.deviceId, 'stream');
    const messageId = this.#nextId();
    this.#pending.set(messageId, { sentMs: performance.now(), segment: undefined });
    const payload = Buffer.from(streamPayload(this.#run));
    this.#socket.write(
      generate({ cmd: 'publish', topic, payload, qos: 1, messageId, dup: false, retain: false }),
    );
    this.#isStreamSent = true;
  }

  #sendSegment(): void {
    const sequence = this.#sequence++;
    const media = this.#media[this.#sent++ % this.#media.length];
    if (!media) return;
    const messageId = this.#nextId();
    const head = segmentHead(this.#run, sequence, media);
    const ids = Buffer.alloc(2);
    ids.writeUInt16BE(messageId);
    const topicBytes = Buffer.alloc(2);
    topicBytes.writeUInt16BE(this.#topic.length);
    const variable = [topicBytes, this.#topic, ids, head];
    const remaining = variable.reduce((sum, { length }) => sum + length, media.media.length);
    const segment = `${this.#run.streamId}/${sequence}`;
    this.#pending.set(messageId, { sentMs: performance.now(), segment });
    this.#socket.cork();
    this.#socket.write(Buffer.concat([Buffer.from([0x32]), varint(remaining), ...variable]));
    this.#socket.write(media.media);
    this.#socket.uncork();
  }

  #nextId(): number {
    do this.#messageId = (this.#messageId % 65535) + 1;
    while (this.#pending.has(this.#messageId));
    return this.#messageId;
  }
}

function newRun(epoch: number): Run {
  const startAtUs = Math.round(Date.now() * 1000);
  return { streamId: randomBytes(16).toString('hex'), bootId: randomUUID(), epoch, startAtUs };
}
