// A device made for tests: TLS and MQTT packets by hand, so that it can do what no honest agent does.
// It keeps everything the server says, in order.
import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { type ConnectionOptions, type TLSSocket, connect as tlsConnect } from 'node:tls';
import mqttPacket from 'mqtt-packet';
import { type ClaimAnswer, decodeClaimAnswer } from '../../proto/claim.ts';
import { encodeGap, type Gap } from '../../proto/gap.ts';
import type { IdentityBundle } from '../../proto/identity.ts';
import { decodeRenewed, type Renewed } from '../../proto/renewal.ts';
import { encodeSegment, type SegmentHeader } from '../../proto/segment.ts';
import { type Command, decodeCommand } from '../../proto/snapshot.ts';
import { encodeStream, type Stream } from '../../proto/stream.ts';
import { DOWN_NOUNS, downTopic, type UpNoun, upTopic } from '../../proto/topics.ts';
import { decodeVerdict, type Verdict } from '../../proto/verdict.ts';
import { eventually } from './processes.ts';
import { decodeGrantBody } from './wire.ts';

export type Packet = Parameters<typeof mqttPacket.generate>[0];

/** What the server said, in order. */
export type Said =
  | { readonly kind: 'verdict'; readonly verdict: Verdict }
  | { readonly kind: 'grant'; readonly epoch: number; readonly payload: Buffer }
  | { readonly kind: 'release'; readonly payload: Buffer }
  | { readonly kind: 'config'; readonly payload: Buffer }
  | { readonly kind: 'certificate'; readonly renewed: Renewed }
  | { readonly kind: 'answer'; readonly answer: ClaimAnswer }
  | { readonly kind: 'command'; readonly command: Command }
  | {
      readonly kind: 'puback' | 'suback';
      readonly messageId: number;
      readonly codes: readonly number[];
    };

export interface Answer {
  /** `closed`: the connection ended without an acknowledgement. */
  readonly outcome: 'acked' | 'closed';
  /** What came before that. */
  readonly before: readonly Said[];
  /** Codes of the verdicts among it. */
  readonly codes: readonly string[];
  readonly verdicts: readonly Verdict[];
}

/** A TLS connection with the bundle's key and certificate; what is in `over` wins. */
export function tls(
  { server, privateKey, certificate, ca }: IdentityBundle,
  over: ConnectionOptions = {},
): TLSSocket {
  const socket = tlsConnect({
    host: '127.0.0.1',
    servername: 'localhost',
    port: server.port,
    key: privateKey,
    cert: certificate,
    ca,
    ...over,
  });
  socket.on('error', () => undefined);
  return socket;
}

/** Id of one run of an agent. */
export function newInstance(): string {
  return randomBytes(16).toString('hex');
}

/** Without a user name when it is empty. */
export function connectPacket(clientId: string, username = newInstance()): Packet {
  return {
    cmd: 'connect',
    clientId,
    ...(username === '' ? {} : { username }),
    protocolId: 'MQTT',
    protocolVersion: 4,
    clean: true,
    keepalive: 300,
  };
}

export class TestDevice {
  readonly socket: TLSSocket;
  readonly id: string;
  readonly said: Said[] = [];
  readonly closed: Promise<void>;
  isClosed = false;
  /** Return code of the CONNACK; undefined while there is none. */
  connack: number | undefined;
  #nextMessageId = 1;

  constructor(socket: TLSSocket, id: string) {
    this.socket = socket;
    this.id = id;
    this.closed = new Promise((resolve) => {
      socket.once('close', () => {
        this.isClosed = true;
        resolve();
      });
    });
    const parser = mqttPacket.parser({ protocolVersion: 4 });
    parser.on('packet', (packet: Packet) => this.#receive(packet));
    socket.on('data', (bytes) => parser.parse(bytes));
  }

  /** Connects and subscribes to what the server has to say. @throws Error when it is refused. */
  static async connect(bundle: IdentityBundle, over: ConnectionOptions = {}): Promise<TestDevice> {
    const device = await TestDevice.tryConnect(bundle, { over });
    if (device.connack !== 0) throw new Error(`not connected: CONNACK ${device.connack}`);
    const { deviceId } = bundle;
    await device.subscribe(...DOWN_NOUNS.map((noun) => downTopic(deviceId, noun)));
    return device;
  }

  /** Sends a CONNECT and waits for its CONNACK or the end of the connection. */
  static async tryConnect(
    bundle: IdentityBundle,
    {
      over = {},
      packet = connectPacket(bundle.deviceId),
    }: { over?: ConnectionOptions; packet?: Packet } = {},
  ): Promise<TestDevice> {
    const device = new TestDevice(tls(bundle, over), bundle.deviceId);
    device.send(packet);
    await eventually('CONNACK or the end', () => device.connack !== undefined || device.isClosed);
    return device;
  }

  get verdicts(): Verdict[] {
    return this.said.flatMap((said) => (said.kind === 'verdict' ? said.verdict : []));
  }

  /** The epoch of the last grant; 0 before the first. */
  get epoch(): number {
    return this.said.reduce((epoch, said) => (said.kind === 'grant' ? said.epoch : epoch), 0);
  }

  send(packet: Packet): void {
    if (!this.socket.destroyed) this.socket.write(mqttPacket.generate(packet));
  }

  /** Codes of the SUBACK, empty when the connection ended instead. */
  async subscribe(...topics: readonly string[]): Promise<readonly number[]> {
    const messageId = this.#messageId();
    this.send({
      cmd: 'subscribe',
      messageId,
      subscriptions: topics.map((topic) => ({ topic, qos: 1 })),
    });
    const answer = () =>
      this.said.find((said) => said.kind === 'suback' && said.messageId === messageId);
    await eventually('SUBACK', () => answer() !== undefined || this.isClosed);
    const said = answer();
    return said?.kind === 'suback' ? said.codes : [];
  }

  /** Publishes and waits for the answer. */
  publish(noun: UpNoun, payload: Uint8Array): Promise<Answer> {
    return this.publishTo(upTopic(this.id, noun), payload);
  }

  async publishTo(
    topic: string,
    payload: Uint8Array,
    { qos = 1, retain = false }: { qos?: 0 | 1 | 2; retain?: boolean } = {},
  ): Promise<Answer> {
    const messageId = this.#messageId();
    const from = this.said.length;
    const bytes = Buffer.from(payload);
    const head = { cmd: 'publish', topic, payload: bytes, retain, dup: false } as const;
    this.send(qos === 0 ? { ...head, qos } : { ...head, qos, messageId });
    const at = () =>
      this.said.findIndex(
        (said, i) => i >= from && said.kind === 'puback' && said.messageId === messageId,
      );
    await eventually(`an answer to ${topic}`, () => at() >= 0 || this.isClosed);
    const before = this.said.slice(from, at() >= 0 ? at() : undefined);
    const verdicts = before.flatMap((said) => (said.kind === 'verdict' ? said.verdict : []));
    return {
      outcome: at() >= 0 ? 'acked' : 'closed',
      before,
      verdicts,
      codes: verdicts.map(({ code }) => code),
    };
  }

  async close(): Promise<void> {
    this.socket.destroy();
    await this.closed;
  }

  #messageId(): number {
    this.#nextMessageId = (this.#nextMessageId % 60_000) + 1;
    return this.#nextMessageId;
  }

  #receive(packet: Packet): void {
    if (packet.cmd === 'connack') this.connack = packet.returnCode ?? -1;
    else if (packet.cmd === 'puback')
      this.said.push({ kind: 'puback', messageId: packet.messageId ?? 0, codes: [] });
    else if (packet.cmd === 'suback')
      this.said.push({
        kind: 'suback',
        messageId: packet.messageId ?? 0,
        codes: packet.granted.map(Number),
      });
    else if (packet.cmd === 'publish') {
      const payload = Buffer.from(packet.payload);
      const said = saidOn(packet.topic, payload);
      if (said) this.said.push(said);
      if (packet.qos === 1) this.send({ cmd: 'puback', messageId: packet.messageId ?? 0 });
    }
  }
}

function saidOn(topic: string, payload: Buffer): Said | undefined {
  switch (topic.slice(topic.lastIndexOf('/') + 1)) {
    case 'verdict':
      return { kind: 'verdict', verdict: decodeVerdict(payload) };
    case 'grant':
      return { kind: 'grant', epoch: decodeGrantBody(payload).epoch, payload };
    case 'release':
      return { kind: 'release', payload };
    case 'config':
      return { kind: 'config', payload };
    case 'certificate':
      return { kind: 'certificate', renewed: decodeRenewed(payload) };
    case 'command':
      return { kind: 'command', command: decodeCommand(payload) };
    case 'answer':
      return { kind: 'answer', answer: decodeClaimAnswer(payload) };
    default:
      return undefined;
  }
}

/** A run of capture, made up: the server never looks into media. */
export class Run {
  readonly stream: Stream;
  readonly #startAtUs = Date.now() * 1000;
  #sequence = 0;

  constructor(epoch: number, over: Partial<Stream> = {}) {
    this.stream = {
      streamId: randomBytes(16).toString('hex'),
      bootId: randomUUID(),
      startAtUs: this.#startAtUs,
      startMonoUs: 1_000_000,
      epoch,
      scopes: ['video'],
      tracks: [VIDEO],
      timeEstimated: false,
      init: randomBytes(600),
      ...over,
    };
  }

  get streamPayload(): Uint8Array {
    return encodeStream(this.stream);
  }

  /** The next segment. */
  next(
    bytes = 4096,
    over: Partial<SegmentHeader> = {},
  ): { payload: Buffer; header: SegmentHeader; media: Buffer } {
    const sequence = this.#sequence++;
    const media = randomBytes(bytes);
    const header: SegmentHeader = {
      streamId: this.stream.streamId,
      sequence,
      startAtUs: this.#startAtUs + sequence * 100_000,
      startMonoUs: 1_000_000 + sequence * 100_000,
      durationUs: 100_000,
      decodeStartUs: sequence * 100_000,
      epoch: this.stream.epoch,
      scopes: this.stream.scopes,
      sha256: createHash('sha256').update(media).digest(),
      ...over,
    };
    return { payload: encodeSegment(header, [media]), header, media };
  }
}

export const VIDEO = {
  kind: 'video',
  trackId: 1,
  codec: 'avc1.64001f',
  timescale: 90_000,
  width: 320,
  height: 240,
  sampleRate: 0,
  channels: 0,
} as const;
export const AUDIO = {
  ...VIDEO,
  kind: 'audio',
  trackId: 2,
  codec: 'mp4a.40.2',
  width: 0,
  height: 0,
  sampleRate: 48_000,
  channels: 1,
} as const;

export function gapPayload(epoch: number, over: Partial<Gap> = {}): Uint8Array {
  return encodeGap({
    gapId: randomBytes(16).toString('hex'),
    bootId: randomUUID(),
    startAtUs: Date.now() * 1000,
    startMonoUs: 5,
    durationUs: 1000,
    reason: 'source_lost',
    epoch,
    code: null,
    ...over,
  });
}

/** A device that keeps publishing, to see that others' faults do not reach it. */
export class Witness {
  readonly device: TestDevice;
  readonly #run: Run;
  stored = 0;

  private constructor(device: TestDevice, run: Run) {
    this.device = device;
    this.#run = run;
  }

  static async begin(bundle: IdentityBundle): Promise<Witness> {
    const device = await TestDevice.connect(bundle);
    await eventually('the grant', () => device.epoch > 0);
    const run = new Run(device.epoch);
    await device.publish('stream', run.streamPayload);
    return new Witness(device, run);
  }

  /** One more segment is stored, on the same connection. */
  async goesOn(): Promise<boolean> {
    const { outcome, codes } = await this.device.publish('segment', this.#run.next().payload);
    if (outcome !== 'acked' || codes.length > 0) return false;
    this.stored += 1;
    return true;
  }
}
