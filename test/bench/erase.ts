// A withdrawal that finds a large spool on flash: from the owner's press until the server knows that
// the camera obeys, which it says only when everything is erased.
import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { nameOf } from '../../agent/spool/contents.ts';
import { Keyring, setOf } from '../../agent/spool/keys.ts';
import { type NewRecord, sealed } from '../../agent/spool/record.ts';
import { encodeSegmentHead } from '../../proto/segment.ts';
import { encodeStream, type Stream } from '../../proto/stream.ts';
import { absolute, type Bench, type Figure, spread } from './figures.ts';
import { run, stop } from './processes.ts';
import { makeClip, Scene, spooled, until } from './scene.ts';

const MB = 1e6;
const SEGMENT_BYTES = MB;
const SEGMENT_US = 4_000_000;
const WITHIN_MS = 500;
/** Share of the segments that has to wait yet. */
const STILL_THERE = 0.9;
const SCOPES = ['video'] as const;
/** What waited leaves so slowly that the spool is still full when the owner presses. */
const UPLINK = { backlogPercent: 1 };

export async function eraseFigures(bench: Bench): Promise<Figure[]> {
  const [rounds, megabytes] = bench.isQuick ? [1, 200] : [3, 2000];
  const scene = await Scene.open(bench, 'erase');
  try {
    const path = await makeClip(scene.folder);
    const tookMs: number[] = [];
    let left = 0;
    for (let round = 0; round < rounds; round++) {
      const erased = await eraseOnce(bench, scene, path, megabytes);
      tookMs.push(erased.tookMs);
      left += erased.left;
    }
    bench.print(`from the press to the applied epoch: ${spread(tookMs)} ms`);
    const name = `withdrawal to erased and said so, spool of ${megabytes} MB, longest of ${rounds}`;
    return [
      absolute(name, 'ms', Math.max(...tookMs), WITHIN_MS),
      absolute('segments left on flash after it', '', left, 0),
    ];
  } finally {
    await scene.close();
  }
}

async function eraseOnce(bench: Bench, scene: Scene, path: string, megabytes: number) {
  const { server, deviceId, stateDir } = scene;
  const epoch = await server.grant(deviceId);
  const spool = { maxBytes: 4 * megabytes * MB };
  const source = { type: 'file', path, loop: true };
  const settings = { source, audio: { source: 'none' }, spool, uplink: UPLINK };
  // It has to know the grant, or it would erase what waits as soon as it starts.
  await stop(await scene.record(settings));
  await fill(stateDir, deviceId, epoch, megabytes);
  const agent = await scene.record(settings);
  const waiting = spooled(stateDir);
  if (waiting < megabytes * STILL_THERE) throw new Error(`only ${waiting} segments wait`);
  const startMs = performance.now();
  await server.withdraw(deviceId);
  const answeredMs = performance.now();
  const { epoch: withdrawn } = await server.device(deviceId);
  await until(
    'the withdrawal was obeyed',
    async () => (await server.device(deviceId)).appliedEpoch === withdrawn,
    2,
  );
  const endMs = performance.now();
  const left = spooled(stateDir);
  bench.print(
    `${waiting} MB waited; answered after ${(answeredMs - startMs).toFixed(0)} ms, obeyed after ${(endMs - startMs).toFixed(0)} ms, ${left} left`,
  );
  await stop(agent);
  return { tookMs: endMs - startMs, left };
}

/** What an earlier boot of the camera could not send: segments of a megabyte, by the spool's own code. */
async function fill(
  stateDir: string,
  deviceId: string,
  epoch: number,
  megabytes: number,
): Promise<void> {
  const folder = join(stateDir, 'spool');
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const key = new Keyring(folder, deviceId, new Map()).obtain(setOf(SCOPES));
  const startAtUs = (Date.now() - 10_000) * 1000 - megabytes * SEGMENT_US;
  const stream: Stream = {
    streamId: randomBytes(16).toString('hex'),
    bootId: randomUUID(),
    startAtUs,
    startMonoUs: 1_000_000,
    epoch,
    scopes: SCOPES,
    tracks: [TRACK],
    timeEstimated: false,
    init: randomBytes(600),
  };
  const save = (record: NewRecord): void => {
    // Without the syncs that `Flash` takes so long for.
    const bytes = Buffer.concat([...sealed(record, deviceId, key)]);
    writeFileSync(join(folder, nameOf(record)), bytes, { mode: 0o600 });
  };
  const head = encodeStream(stream);
  save({ number: 1, kind: 'stream', scopes: SCOPES, head, media: [] });
  for (let sequence = 0; sequence < megabytes; sequence++) save(segment(stream, sequence));
  await run('sync', ['--file-system', folder]);
}

const TRACK = {
  kind: 'video',
  trackId: 1,
  codec: 'avc1.42c01e',
  timescale: 90_000,
  width: 640,
  height: 360,
  sampleRate: 0,
  channels: 0,
} as const;

function segment(stream: Stream, sequence: number): NewRecord {
  const media = [randomBytes(SEGMENT_BYTES)];
  const atUs = sequence * SEGMENT_US;
  const header = {
    streamId: stream.streamId,
    sequence,
    startAtUs: stream.startAtUs + atUs,
    startMonoUs: stream.startMonoUs + atUs,
    durationUs: SEGMENT_US,
    decodeStartUs: atUs,
    epoch: stream.epoch,
    scopes: SCOPES,
    sha256: createHash('sha256').update(Buffer.concat(media)).digest(),
  };
  const head = encodeSegmentHead(header, media);
  return { number: sequence + 2, kind: 'segment', scopes: SCOPES, head, media };
}
