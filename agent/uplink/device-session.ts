// A session as a device: shows its certificate, names this run of the agent, hears what the server has
// to say to this device alone.
import { networkInterfaces } from 'node:os';
import type { LenscapError } from '../../proto/errors.ts';
import {
  DOWN_NOUNS,
  type DownNoun,
  downTopic,
  parseTopic,
  type UpNoun,
  upTopic,
} from '../../proto/topics.ts';
import type { KnownTime } from '../clock.ts';
import { lostBecause } from './cause.ts';
import { type Address, dial, type Pair } from './dial.ts';
import { interfaceOf } from './network.ts';
import { localAddressTo } from './route.ts';
import { openSession } from './session.ts';

/** What of an identity a connection needs. */
export interface Credentials extends Pair {
  readonly deviceId: string;
  readonly server: Address;
  /** PEM. */
  readonly ca: string;
}

export interface DeviceSessionDeps {
  readonly identity: Credentials;
  /** Random for each run of the agent; tells two boards with one certificate apart. */
  readonly instanceId: string;
  readonly keepaliveS: number;
  readonly connectTimeoutMs: number;
  readonly ackTimeoutMs: number;
  /** Kilobits per second; absent or 0: no limit. */
  readonly maxKbps?: () => number;
  readonly time: Pick<KnownTime, 'isWallCredible'>;
  /** Absent: nothing is subscribed to. */
  readonly onMessage?: (noun: DownNoun, payload: Uint8Array) => void;
  /** Called whenever nothing is unsent any more. */
  readonly onDrained?: () => void;
}

export interface DeviceSession {
  /** Resolves when the server has acknowledged. @throws UPLINK_LOST, IDENTITY_REFUSED. */
  publish(noun: UpNoun, payload: Uint8Array): Promise<void>;
  readonly lost: Promise<LenscapError>;
  /** The network interface it goes over; undefined when that is not known. */
  readonly networkInterface: string | undefined;
  /** The one that a new connection would go over now; undefined when there is none. */
  nextInterface(): Promise<string | undefined>;
  unsentBytes(): number;
  drop(cause: Error): void;
  close(): Promise<void>;
}

/** @throws UPLINK_LOST, IDENTITY_REFUSED, AbortError. */
export async function openDeviceSession(
  deps: DeviceSessionDeps,
  signal: AbortSignal,
): Promise<DeviceSession> {
  const { identity, instanceId, onMessage, time, ...limits } = deps;
  const { deviceId, server, ca } = identity;
  const socket = await dial(
    { server, ca, pair: identity, timeoutMs: limits.connectTimeoutMs, time },
    signal,
  ).catch((error: unknown) => {
    signal.throwIfAborted();
    throw lostBecause(error);
  });
  const { localAddress, remoteAddress = '', remotePort = 0 } = socket;
  const networkInterface = interfaceOf(localAddress ?? '', networkInterfaces());
  const session = await openSession(
    {
      ...limits,
      socket,
      clientId: deviceId,
      userName: instanceId,
      topics: onMessage === undefined ? [] : DOWN_NOUNS.map((noun) => downTopic(deviceId, noun)),
      onMessage: (topic, payload) => {
        const parsed = parseTopic(topic);
        if (parsed?.direction !== 'down' || parsed.deviceId !== deviceId) return;
        onMessage?.(parsed.noun, payload);
      },
    },
    signal,
  );
  return {
    publish: (noun, payload) => session.publish(upTopic(deviceId, noun), payload),
    lost: session.lost,
    networkInterface,
    nextInterface: async () =>
      interfaceOf((await localAddressTo(remoteAddress, remotePort)) ?? '', networkInterfaces()),
    unsentBytes: () => session.unsentBytes(),
    drop: (cause) => session.drop(cause),
    close: () => session.close(),
  };
}
