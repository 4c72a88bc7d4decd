// What the server says goes to the one client it is for, and is not routed.
import type { Client } from 'aedes';

const OUTGOING_LIMIT_BYTES = 1 << 20;

/** Resolves when it is written. A client that does not read is cut off before it costs memory. */
export async function send(client: Client, topic: string, payload: Uint8Array): Promise<void> {
  if (client.conn.writableLength > OUTGOING_LIMIT_BYTES) {
    client.conn.destroy();
    return;
  }
  const head = { cmd: 'publish', qos: 1, retain: false, dup: false } as const;
  const packet = { ...head, topic, payload: Buffer.from(payload) };
  await new Promise<void>((written) => client.publish(packet, () => written()));
}
