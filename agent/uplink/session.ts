// One MQTT connection from its start to its end, over a line that was dialled; the only file that
// knows the MQTT library. Invariant: a session never reconnects by itself; after `lost` it is over.

import { setTimeout as sleep } from 'node:timers/promises';
import type { TLSSocket } from 'node:tls';
import { MqttClient } from 'mqtt';
import type { LenscapError } from '../../proto/errors.ts';
import { lostBecause } from './cause.ts';
import { Outflow } from './outflow.ts';
import { Patience } from './patience.ts';
import { queuedBytes } from './send-queue.ts';

const CLOSE_TIMEOUT_MS = 1000;

export interface SessionDeps {
  readonly socket: TLSSocket;
  readonly clientId: string;
  /** Absent: none. */
  readonly userName?: string;
  readonly keepaliveS: number;
  readonly connectTimeoutMs: number;
  /** Without an acknowledgement and without a byte that moves. */
  readonly ackTimeoutMs: number;
  /** Most that is sent, kilobits per second; absent or 0: no limit. */
  readonly maxKbps?: () => number;
  /** Subscribed to before anything else; none = the server has only to admit. */
  readonly topics: readonly string[];
  /** Called in order of arrival, and before the acknowledgements that arrive later. */
  readonly onMessage: (topic: string, payload: Uint8Array) => void;
  /** Called whenever nothing is unsent any more. */
  readonly onDrained?: () => void;
}

export interface Session {
  /** Resolves when the server has acknowledged. @throws UPLINK_LOST, IDENTITY_REFUSED. */
  publish(topic: string, payload: Uint8Array): Promise<void>;
  /** Resolves when the connection is over, with why. Never rejects. */
  readonly lost: Promise<LenscapError>;
  /** Bytes handed over that have not left this process yet. */
  unsentBytes(): number;
  /** Ends the connection at once. */
  drop(cause: Error): void;
  /** Takes leave of the server and ends the connection. */
  close(): Promise<void>;
}

/**
 * Connects and subscribes. The socket belongs to the session from now on.
 * @throws UPLINK_LOST, IDENTITY_REFUSED, AbortError.
 */
export async function openSession(deps: SessionDeps, signal: AbortSignal): Promise<Session> {
  if (signal.aborted) deps.socket.destroy();
  signal.throwIfAborted();
  const session = new MqttSession(deps);
  const onAbort = () => session.drop(new Error('stopped'));
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    await session.ready();
    return session;
  } catch (error) {
    session.drop(new Error('the connection was not set up'));
    signal.throwIfAborted();
    throw error;
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}

class MqttSession implements Session {
  readonly lost: Promise<LenscapError>;
  readonly #deps: SessionDeps;
  readonly #client: MqttClient;
  readonly #outflow: Outflow;
  readonly #patience: Patience;
  readonly #waiting = new Set<(error: LenscapError) => void>();
  readonly #connected = Promise.withResolvers<void>();
  #over: LenscapError | undefined;
  #cause: Error | undefined;
  #isConnected = false;

  constructor(deps: SessionDeps) {
    this.#deps = deps;
    const { promise, resolve } = Promise.withResolvers<LenscapError>();
    this.lost = promise;
    const noteCause = (error: Error) => {
      this.#cause ??= error;
    };
    // An alert that turns down our certificate comes after the handshake [RFC 8446, 4.4.2.4].
    deps.socket.on('error', noteCause);
    this.#outflow = new Outflow(deps.socket, deps.maxKbps ?? (() => 0), () => deps.onDrained?.());
    this.#patience = this.#makePatience();
    this.#client = new MqttClient(() => this.#outflow, clientOptions(deps));
    this.#client.on('connect', () => {
      this.#isConnected = true;
      this.#connected.resolve();
    });
    this.#client.on('message', (topic, payload) => deps.onMessage(topic, payload));
    this.#client.on('error', noteCause);
    this.#client.on('close', () => {
      this.#patience.end();
      this.#over ??= lostBecause(this.#cause ?? new Error(this.#whyClosed()));
      for (const reject of this.#waiting) reject(this.#over);
      this.#waiting.clear();
      resolve(this.#over);
    });
  }

  async ready(): Promise<void> {
    const { topics } = this.#deps;
    await this.#orLost(this.#connected.promise);
    if (topics.length === 0) return;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#client.subscribe([...topics], { qos: 1 }, (error) => {
      if (error) reject(lostBecause(this.#cause ?? error));
      else resolve();
    });
    await this.#inTime(promise);
  }

  async publish(topic: string, payload: Uint8Array): Promise<void> {
    const bytes = Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength);
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#client.publish(topic, bytes, { qos: 1 }, (error) => {
      if (error) reject(lostBecause(this.#cause ?? error));
      else resolve();
    });
    await this.#inTime(promise);
  }

  unsentBytes(): number {
    return this.#outflow.unsentBytes;
  }

  drop(cause: Error): void {
    this.#cause ??= cause;
    this.#client.end(true);
    // A client that is already taking its leave ignores the line above.
    this.#outflow.destroy();
  }

  async close(): Promise<void> {
    this.#cause ??= new Error('stopped');
    this.#client.end(false);
    const patience = new AbortController();
    const tooLong = sleep(CLOSE_TIMEOUT_MS, undefined, { signal: patience.signal });
    await Promise.race([this.lost, tooLong.catch(() => undefined)]);
    patience.abort();
    this.drop(new Error('stopped'));
    await this.lost;
  }

  /** Under TLS 1.3 a certificate that is turned down often shows as nothing but a close. */
  #whyClosed(): string {
    return this.#isConnected
      ? 'the server closed the connection'
      : 'the server closed the connection without an answer; it may not accept this certificate';
  }

  /** Of a server from which nothing comes and to which nothing goes. */
  #makePatience(): Patience {
    const { socket, ackTimeoutMs } = this.#deps;
    const { localPort = 0, remotePort = 0 } = socket;
    return new Patience({
      timeoutMs: ackTimeoutMs,
      leftBytes: () => this.#outflow.leftBytes,
      queuedBytes: () => queuedBytes(localPort, remotePort),
      onStalled: () =>
        this.drop(
          new Error(`no acknowledgement within ${ackTimeoutMs} ms, and nothing moves on the line`),
        ),
    });
  }

  /** The same promise; a server that does not acknowledge is left when nothing moves any more. */
  async #inTime(promise: Promise<void>): Promise<void> {
    const end = this.#patience.wait();
    await this.#orLost(promise).finally(end);
  }

  /** The same promise, but rejected when the connection is over first. */
  async #orLost<T>(promise: Promise<T>): Promise<T> {
    if (this.#over) {
      promise.catch(() => undefined);
      throw this.#over;
    }
    const lost = Promise.withResolvers<T>();
    this.#waiting.add(lost.reject);
    return Promise.race([promise, lost.promise]).finally(() => this.#waiting.delete(lost.reject));
  }
}

function clientOptions({ clientId, userName, keepaliveS, connectTimeoutMs }: SessionDeps) {
  return {
    clientId,
    ...(userName === undefined ? {} : { username: userName }),
    protocolVersion: 4 as const,
    clean: true,
    keepalive: keepaliveS,
    connectTimeout: connectTimeoutMs,
    reconnectPeriod: 0,
    resubscribe: false,
  };
}
