// A server that has the real one's keys for TLS, but not its honesty: it says to a device whatever
// the test makes it say, and keeps what the device publishes.
import { createPrivateKey, type KeyObject } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Test } from 'tap';
import { type Grant, signGrant } from '../../proto/grant.ts';
import { TestServer } from '../agent/uplink/server.ts';
import type { Added, House } from './house.ts';

const text = (...path: readonly string[]): string => readFileSync(join(...path), 'utf8');

/** Takes the place of the house's server, which has to have ended. */
export async function forgedServer(
  t: Test,
  { folder, mqttPort }: House,
  device: Added,
): Promise<TestServer> {
  const server = new TestServer({
    pair: {
      privateKey: text(folder, 'ca', 'server.key'),
      certificate: text(folder, 'ca', 'server.pem'),
    },
    ca: text(folder, 'ca', 'ca.pem'),
    deviceId: device.id,
    onPublish: ({ ack }) => ack(),
    onReady: () => undefined,
  });
  await server.start(mqttPort);
  t.teardown(() => server.close());
  return server;
}

/** The key that only the real server has. */
export function consentKey({ folder }: House): KeyObject {
  return createPrivateKey(text(folder, 'keys', 'consent.key'));
}

/** A grant of everything, signed with this key. */
export function grantOf(
  deviceId: string,
  epoch: number,
  key: KeyObject,
  over: Partial<Grant> = {},
): Uint8Array {
  const granted = new Map([
    ['video', epoch],
    ['audio', epoch],
  ] as const);
  const body = {
    deviceId,
    epoch,
    granted,
    policySha256: Buffer.alloc(32, 1),
    issuedAtUs: Date.now() * 1000,
    leaseS: 3600,
    infoFields: [],
  };
  return signGrant({ ...body, ...over }, key);
}
