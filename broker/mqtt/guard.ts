// The guard between a TLS socket and aedes, which has no limits of its own. It lets through one
// CONNECT of bounded size, then nothing until authenticated() was called, then packets of bounded
// size and rate that get on in bounded time, and at most `maxInflight` PUBLISHes that release() has
// not answered; the rest stays with the sender by TCP back-pressure. Bytes are passed on unchanged and
// uncopied.
import { Duplex } from 'node:stream';
import { LenscapError } from '../../proto/errors.ts';

export interface GuardLimits {
  readonly maxConnectBytes: number;
  readonly maxControlBytes: number;
  readonly maxControlPerS: number;
  readonly maxPacketBytes: number;
  readonly maxInflight: number;
  readonly packetTimeoutMs: number;
  readonly connectTimeoutMs: number;
}

const CONNECT = 1;
const PUBLISH = 3;
/**
 * So much of a packet has to come in each `packetTimeoutMs`: a segment of megabytes may take minutes
 * on a slow line, while one byte at a time does not hold a connection.
 */
const STEP_BYTES = 64 * 1024;

export class Guard extends Duplex {
  readonly socket: Duplex;
  #limits: GuardLimits;
  /** Bytes that have to wait: for authenticated(), or for release(). */
  #held: Buffer | null = null;
  #isWanted = false;
  #isEnded = false;
  #isAuthenticated = false;
  #isFirst = true;
  #inflight = 0;
  #controls = 0;
  #controlSecond = 0;
  /** Where the scanner stands: at a packet's type, in its length, or in its body. */
  #state: 'type' | 'length' | 'body' = 'type';
  #type = 0;
  #multiplier = 1;
  #left = 0;
  /** What of the step is still to come. */
  #step = STEP_BYTES;
  #packetTimer: NodeJS.Timeout | undefined;
  readonly #connectTimer: NodeJS.Timeout;

  constructor(socket: Duplex, limits: GuardLimits) {
    super({ allowHalfOpen: false, readableHighWaterMark: 256 * 1024 });
    this.socket = socket;
    this.#limits = limits;
    this.#connectTimer = this.#timer(limits.connectTimeoutMs, 'no accepted CONNECT in time');
    socket.on('readable', () => this.#pump());
    socket.on('end', () => {
      this.#isEnded = true;
      if (!this.#held) this.push(null);
    });
    socket.on('error', (error) => this.destroy(error));
    socket.on('close', () => this.destroy());
  }

  /** The CONNECT was accepted; packets after it may pass, within these limits where they differ. */
  authenticated(limits: Partial<GuardLimits> = {}): void {
    clearTimeout(this.#connectTimer);
    this.#limits = { ...this.#limits, ...limits };
    this.#isAuthenticated = true;
    this.#pump();
  }

  /** One PUBLISH was answered; the next one may pass. */
  release(): void {
    if (this.#inflight > 0) this.#inflight--;
    this.#pump();
  }

  override _read(): void {
    this.#isWanted = true;
    this.#pump();
  }

  override _write(
    chunk: Buffer,
    _encoding: BufferEncoding,
    done: (error?: Error | null) => void,
  ): void {
    this.socket.write(chunk, done);
  }

  override _writev(chunks: { chunk: Buffer }[], done: (error?: Error | null) => void): void {
    this.socket.write(Buffer.concat(chunks.map(({ chunk }) => chunk)), done);
  }

  override _final(done: () => void): void {
    this.socket.end();
    done();
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    clearTimeout(this.#packetTimer);
    clearTimeout(this.#connectTimer);
    this.socket.destroy();
    done(error);
  }

  #pump(): void {
    while (this.#isWanted && !this.destroyed) {
      const bytes: Buffer | null = this.#held ?? this.socket.read();
      this.#held = null;
      if (bytes === null) return;
      this.#pass(bytes, this.#scan(bytes));
      if (this.#held) return;
      if (this.#isEnded) {
        this.push(null);
        return;
      }
    }
  }

  /** Hands on the first `count` bytes and holds the rest. */
  #pass(bytes: Buffer, count: number): void {
    if (this.destroyed) return;
    if (count < bytes.length) this.#held = bytes.subarray(count);
    if (count > 0) this.#isWanted = this.push(bytes.subarray(0, count));
  }

  /** How many of the bytes may pass; stops before a packet that has to wait. */
  #scan(bytes: Buffer): number {
    let at = 0;
    while (at < bytes.length && !this.destroyed) {
      if (this.#state === 'body') {
        const taken = Math.min(this.#left, bytes.length - at);
        at += taken;
        this.#left -= taken;
        this.#advance(taken);
      } else {
        const byte = bytes.readUInt8(at);
        if (this.#state === 'type' && !this.#begin(byte)) return at;
        else if (this.#state === 'length') this.#length(byte);
        else this.#state = 'length';
        at++;
      }
      if (this.#state === 'body' && this.#left === 0) this.#complete();
    }
    return at;
  }

  /** Whether a packet that begins with this byte may begin now. */
  #begin(byte: number): boolean {
    const type = byte >> 4;
    const qos = (byte >> 1) & 3;
    if (this.#isFirst && type !== CONNECT) return this.#refuse('the first packet is not CONNECT');
    if (!this.#isFirst && !this.#isAuthenticated) return false;
    if (type === PUBLISH && this.#inflight >= this.#limits.maxInflight) return false;
    if (type !== PUBLISH && !this.#mayControl())
      return this.#refuse(`more than ${this.#limits.maxControlPerS} control packets in a second`);
    if (type === PUBLISH && qos > 0) this.#inflight++;
    this.#type = type;
    this.#multiplier = 1;
    this.#left = 0;
    this.#step = STEP_BYTES;
    this.#packetTimer = this.#timer(
      this.#limits.packetTimeoutMs,
      'a packet was not completed in time',
    );
    return true;
  }

  /** Small packets cost aedes far more than their bytes; a flood of them would starve the others. */
  #mayControl(): boolean {
    const second = Math.floor(performance.now() / 1000);
    if (second !== this.#controlSecond) this.#controls = 0;
    this.#controlSecond = second;
    return ++this.#controls <= this.#limits.maxControlPerS;
  }

  /** One byte of the remaining length. [MQTT-2.2.3] */
  #length(byte: number): void {
    this.#left += (byte & 127) * this.#multiplier;
    this.#multiplier *= 128;
    if (byte & 128) {
      if (this.#multiplier > 128 ** 3) this.#refuse('a packet has no valid length');
      return;
    }
    const limit = this.#limitOf(this.#type);
    if (this.#left > limit) {
      this.#refuse(`a packet declares ${this.#left} bytes, the limit is ${limit}`);
      return;
    }
    this.#isFirst = false;
    this.#state = 'body';
  }

  #limitOf(type: number): number {
    if (this.#isFirst) return this.#limits.maxConnectBytes;
    return type === PUBLISH ? this.#limits.maxPacketBytes : this.#limits.maxControlBytes;
  }

  #advance(bytes: number): void {
    this.#step -= bytes;
    if (this.#step > 0) return;
    this.#step = STEP_BYTES;
    this.#packetTimer?.refresh();
  }

  #complete(): void {
    this.#state = 'type';
    clearTimeout(this.#packetTimer);
  }

  #timer(timeoutMs: number, why: string): NodeJS.Timeout {
    return setTimeout(() => this.#refuse(why), timeoutMs);
  }

  #refuse(why: string): false {
    this.destroy(new LenscapError('PACKET_REFUSED', why));
    return false;
  }
}
