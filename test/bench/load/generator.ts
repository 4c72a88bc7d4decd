// The load generator: a process of its own, so that what it costs is not counted for anybody.
import { Connection } from './connection.ts';
import type { FromGenerator, LoadResult, LoadSpec, ToGenerator } from './messages.ts';
import { makeMedia } from './payload.ts';

const MEDIA_BUFFERS = 4;
let connections: readonly Connection[] = [];

const say = (message: FromGenerator): void => {
  process.send?.(message);
};

async function load(spec: LoadSpec): Promise<void> {
  const media = Array.from({ length: MEDIA_BUFFERS }, () => makeMedia(spec.segmentBytes));
  connections = spec.devices.map((_, index) => new Connection(spec, index, media));
  const [cipher = ''] = await Promise.all(connections.map((connection) => connection.open()));
  say({ kind: 'ready', cipher });
  const startMs = performance.now();
  await Promise.all(connections.map((connection) => connection.send()));
  const wallMs = performance.now() - startMs;
  say({ kind: 'done', result: { ...sum(spec), wallMs, cipher } });
  for (const connection of connections) connection.close();
}

function sum(spec: LoadSpec): Omit<LoadResult, 'wallMs' | 'cipher'> {
  const latencies = connections.flatMap(({ latenciesMs }) => latenciesMs).sort((a, b) => a - b);
  const at = (share: number): number => latencies[Math.floor(latencies.length * share)] ?? 0;
  const accepted = connections.reduce((total, connection) => total + connection.accepted, 0);
  const codes: Record<string, number> = {};
  for (const connection of connections)
    for (const [code, count] of Object.entries(connection.codes))
      codes[code] = (codes[code] ?? 0) + count;
  return {
    accepted,
    refused: connections.reduce((total, connection) => total + connection.refused, 0),
    codes,
    bytes: accepted * spec.segmentBytes,
    p50Ms: at(0.5),
    p99Ms: at(0.99),
  };
}

process.on('message', (message: ToGenerator) => {
  if (message.kind === 'stop') for (const connection of connections) connection.stop();
  if (message.kind === 'epoch') connections[message.device]?.newEpoch(message.epoch);
  if (message.kind !== 'start') return;
  load(message.spec).then(
    () => process.disconnect?.(),
    (error: unknown) => {
      say({ kind: 'failed', why: error instanceof Error ? error.message : String(error) });
      process.exit(1);
    },
  );
});
process.once('disconnect', () => process.exit());
