// One round of the baseline: Mosquitto behind TLS 1.3 with client certificates, and a subscriber
// in C that writes and syncs a file for each message.
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from '../free-port.ts';
import { type Certificates, makeCertificates } from './certificates.ts';
import type { IngestSize } from './ingest.ts';
import { Load } from './load/load.ts';
import type { LoadResult } from './load/messages.ts';
import type { Native } from './native.ts';
import { needTool } from './native.ts';
import { cpuSeconds, peakRssMb, type Started, start, stop } from './processes.ts';

export interface BaselineRound {
  readonly cpuSPerGb: number;
  readonly brokerCpuSPerGb: number;
  readonly lost: number;
  readonly peakRssMb: number;
  readonly load: LoadResult;
}

const IDLE_ROUNDS = 50;

/** @throws when Mosquitto is missing or does not start. */
export async function mosquittoRound(
  native: Native,
  folder: string,
  size: IngestSize,
): Promise<BaselineRound> {
  const files = join(folder, 'baseline');
  mkdirSync(files, { recursive: true });
  const ids = Array.from(
    { length: size.connections },
    (_, i) => `cam-${'abcdefghij'[i % 10]}${String(2 + (i % 6))}${'a'.repeat(14)}`,
  );
  const certificates = await makeCertificates(ids);
  const { broker, tlsPort, plainPort } = await startMosquitto(folder, certificates);
  const subscriber = start(native.subscriber, [String(plainPort), files, 'lenscap/1/+/up/segment']);
  await subscriber.line(/^subscribed/, 10_000);
  const load = new Load({
    port: tlsPort,
    ca: certificates.ca,
    servername: 'localhost',
    devices: certificates.devices,
    segmentBytes: size.segmentBytes,
    window: size.window,
    perDevice: size.perDevice,
    epochs: ids.map(() => 1),
  });
  try {
    await load.ready();
    const before = cpuSeconds(broker.pid) + cpuSeconds(subscriber.pid);
    const brokerBefore = cpuSeconds(broker.pid);
    const result = await load.done();
    await quiet(subscriber, files, result.accepted);
    const brokerCpu = cpuSeconds(broker.pid) - brokerBefore;
    const cpu = cpuSeconds(broker.pid) + cpuSeconds(subscriber.pid) - before;
    const peak = peakRssMb(broker.pid);
    await stop(subscriber);
    const [, messages] = await subscriber.line(/^received (\d+)/, 2_000);
    const gb = result.bytes / 1e9;
    return {
      cpuSPerGb: cpu / gb,
      brokerCpuSPerGb: brokerCpu / gb,
      lost: result.accepted - Number(messages),
      peakRssMb: peak,
      load: result,
    };
  } finally {
    await load.end();
    await stop(subscriber);
    await stop(broker);
    rmSync(files, { recursive: true, force: true });
  }
}

/** Mosquitto on two free ports. @throws when it is missing or does not start. */
export async function startMosquitto(
  folder: string,
  certificates: Certificates,
): Promise<{ readonly broker: Started; readonly tlsPort: number; readonly plainPort: number }> {
  const [tlsPort, plainPort] = [await freePort(), await freePort()];
  const config = writeConfig(folder, tlsPort, plainPort, certificates);
  const broker = start(needTool('mosquitto', 'mosquitto'), ['-c', config]);
  await broker.line(/running/, 10_000);
  return { broker, tlsPort, plainPort };
}

/** Until everything is written, or nothing has been for a while. */
async function quiet(subscriber: Started, files: string, wanted: number): Promise<void> {
  let last = -1;
  for (let idle = 0; idle < IDLE_ROUNDS; idle++) {
    const cpu = cpuSeconds(subscriber.pid);
    if (cpu !== last) idle = 0;
    last = cpu;
    await sleep(100);
    if (idle === 0 && readdirSync(files).length >= wanted) return;
  }
}

function writeConfig(
  folder: string,
  tlsPort: number,
  plainPort: number,
  { ca, server }: Certificates,
): string {
  const at = (name: string, text: string): string => {
    const path = join(folder, name);
    writeFileSync(path, text);
    return path;
  };
  return at(
    'mosquitto.conf',
    `user root
persistence false
max_queued_messages 0
allow_anonymous true
log_type error
log_type information
log_dest stderr
listener ${plainPort} 127.0.0.1
listener ${tlsPort} 127.0.0.1
cafile ${at('ca.pem', ca)}
certfile ${at('server.pem', server.certificate)}
keyfile ${at('server.key', server.key)}
require_certificate true
use_identity_as_username true
tls_version tlsv1.3
`,
  );
}
