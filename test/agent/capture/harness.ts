// A capture on a thread of events that tests can wait for, and eyes to look at what it made.
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { Writable } from 'node:stream';
import { promisify } from 'node:util';
import { pino } from 'pino';
import type { Test } from 'tap';
import { Capture, type CaptureConfig, type CaptureDeps } from '../../../agent/capture/capture.ts';
import { KnownTime, MediaClock, systemClock } from '../../../agent/clock.ts';
import type { SourceConfig } from '../../../proto/agent-config.ts';
import type { Gap } from '../../../proto/gap.ts';
import type { SegmentHeader } from '../../../proto/segment.ts';
import type { Stream } from '../../../proto/stream.ts';
import { eventually } from '../../e2e/processes.ts';

const run = promisify(execFile);
export const BOOT_ID = '01234567-89ab-cdef-0123-456789abcdef';
export const MOTION = new URL('../../fixtures/motion.mov', import.meta.url).pathname;
/** Of a board whose clock is right. */
export const mediaClock = new MediaClock({
  clock: systemClock,
  time: new KnownTime(systemClock, 0),
  bootId: BOOT_ID,
  last: null,
  lastLagUs: 0,
});
/** Guards against waiting for ever; a loaded machine may take long. */
const DEADLINE_MS = 60_000;

export interface Overrides {
  readonly video?: Partial<CaptureConfig['video']>;
  readonly audio?: Partial<CaptureConfig['audio']>;
  readonly segment?: Partial<CaptureConfig['segment']>;
  readonly capture?: Partial<CaptureConfig['capture']>;
  readonly recording?: Partial<CaptureConfig['recording']>;
  readonly motion?: Partial<CaptureConfig['motion']>;
  readonly masks?: CaptureConfig['masks'];
  readonly overlay?: Partial<CaptureConfig['overlay']>;
  readonly clock?: CaptureConfig['clock'];
  readonly label?: Partial<CaptureConfig['label']>;
}

/** A segment for every keyframe, and those often. */
export const QUICK = { segment: { durationMs: 200 }, video: { keyframeIntervalMs: 200 } } as const;

/** Small pictures and short times. */
export function captureConfig(source: SourceConfig, over: Overrides = {}): CaptureConfig {
  return {
    source,
    video: {
      width: 160,
      height: 120,
      frameRate: 15,
      bitrateKbps: 200,
      keyframeIntervalMs: 1000,
      rotation: 0,
      flip: 'none',
      brightness: 0,
      encoder: 'auto',
      ...over.video,
    },
    audio: {
      on: true,
      source: 'source',
      device: 'default',
      codec: 'aac',
      bitrateKbps: 64,
      gainDb: 0,
      eventDb: null,
      ...over.audio,
    },
    segment: { durationMs: 1000, ...over.segment },
    recording: {
      mode: 'continuous',
      schedule: null,
      preRollMs: 4000,
      postRollMs: 5000,
      ...over.recording,
    },
    motion: { on: false, sensitivityPercent: 50, zones: [], ...over.motion },
    masks: over.masks ?? [],
    overlay: { name: false, clock: false, ...over.overlay },
    clock: over.clock ?? { timeZone: 'Etc/UTC' },
    label: { name: null, location: null, ...over.label },
    capture: {
      stallTimeoutMs: 4000,
      startTimeoutMs: 30_000,
      backoffMinMs: 100,
      backoffMaxMs: 500,
      clockJumpMs: 1000,
      ...over.capture,
    },
  };
}

export interface Recorded {
  readonly header: SegmentHeader;
  readonly chunks: readonly Uint8Array[];
  readonly stream: Stream;
  /** Monotonic time at which it was handed over. */
  readonly atUs: number;
}

/** A capture that runs, with all that its sink got. */
export class Recording {
  readonly streams: Stream[] = [];
  readonly segments: Recorded[] = [];
  readonly gaps: Gap[] = [];
  readonly order: string[] = [];
  log = '';
  isOver = false;
  readonly #stop = new AbortController();
  readonly #revoke = new AbortController();
  readonly #news = new EventEmitter();
  readonly ended: Promise<void>;
  readonly capture: Capture;
  /** The settings in force. */
  config: CaptureConfig;

  constructor(
    config: CaptureConfig,
    audio = true,
    more: Partial<Pick<CaptureDeps, 'clock' | 'childEnv' | 'eyes'>> = {},
  ) {
    const sink = {
      stream: (stream: Stream) => this.#note('stream', () => this.streams.push(stream)),
      segment: (header: SegmentHeader, chunks: readonly Uint8Array[]) =>
        this.#note('segment', () => {
          const stream = this.streams.find(({ streamId }) => streamId === header.streamId);
          if (stream === undefined) throw new Error('a segment came before its stream');
          this.segments.push({ header, chunks, stream, atUs: systemClock.monoUs() });
        }),
      gap: (gap: Gap) => this.#note('gap', () => this.gaps.push(gap)),
    };
    const lines = new Writable({
      write: (line, _encoding, done) => {
        this.log += String(line);
        this.#news.emit('news');
        done();
      },
    });
    this.config = config;
    const capture = new Capture({
      config: () => this.config,
      log: pino({ level: 'debug' }, lines),
      clock: mediaClock,
      random: () => 0,
      bootId: BOOT_ID,
      sink,
      ...more,
    });
    this.capture = capture;
    const permit = { epoch: 7, audio, revoked: this.#revoke.signal };
    this.ended = capture.run(this.#stop.signal, permit).then(() => {
      this.isOver = true;
      this.#news.emit('news');
    });
  }

  /** Resolves when the condition holds; after a deadline it ends the capture, and rejects. */
  async until(what: string, holds: () => boolean, deadlineMs = DEADLINE_MS): Promise<void> {
    const signal = AbortSignal.timeout(deadlineMs);
    while (!holds())
      await once(this.#news, 'news', { signal }).catch(async () => {
        await this.stop();
        throw new Error(
          `waited in vain for: ${what}\n${this.order.join(' ')}\n${this.log.slice(-600)}`,
        );
      });
  }

  /** Resolves when so many more pictures were captured, handed over or not. */
  async pictures(count: number): Promise<void> {
    const want = this.capture.figures().framesCaptured + count;
    await eventually(`${count} pictures`, () => this.capture.figures().framesCaptured >= want);
  }

  /** Changes settings while it runs. */
  adjust(over: Partial<CaptureConfig>): Promise<'set' | 'restart'> {
    this.config = { ...this.config, ...over };
    return this.capture.adjust();
  }

  stop(): Promise<void> {
    this.#stop.abort();
    return this.ended;
  }

  revoke(): Promise<void> {
    this.#revoke.abort();
    return this.ended;
  }

  /** The segment as a file that has to play alone. */
  async write(dir: string, index: number): Promise<string> {
    const { stream, chunks } = this.segments[index] ?? never('no such segment');
    return writeMedia(join(dir, `segment-${index}.mp4`), [stream.init, ...chunks]);
  }

  /** All segments of the first stream, one after another. */
  writeAll(dir: string, name = 'all.mp4'): Promise<string> {
    const { stream } = this.segments[0] ?? never('no segment');
    const chunks = this.segments
      .filter((one) => one.stream === stream)
      .flatMap((one) => one.chunks);
    return writeMedia(join(dir, name), [stream.init, ...chunks]);
  }

  #note(what: string, act: () => void): void {
    act();
    this.order.push(what);
    this.#news.emit('news');
  }
}

async function writeMedia(path: string, parts: readonly Uint8Array[]): Promise<string> {
  await writeFile(path, Buffer.concat(parts));
  return path;
}

export function never(what: string): never {
  throw new Error(what);
}

/** What ffmpeg complains about when it decodes all of these files; empty when they are sound. */
export async function decodeErrors(...paths: readonly string[]): Promise<string> {
  try {
    // Times as they are: rounded to the frame rate, jitter of a network camera looks like an error.
    const output = ['-fps_mode', 'passthrough', '-enc_time_base', '-1', '-f', 'null', '-'];
    const inputs = paths.flatMap((path) => ['-i', path]);
    const all = paths.flatMap((_, index) => ['-map', `${index}`]);
    return (await run('ffmpeg', ['-v', 'error', '-xerror', ...inputs, ...all, ...output])).stderr;
  } catch (error) {
    return String(error);
  }
}

/** Fields of the packets of a stream (`v` or `a`). */
export async function packets(path: string, stream: string, fields: string): Promise<string[][]> {
  const args = ['-v', 'error', '-select_streams', stream, '-show_entries', `packet=${fields}`];
  const { stdout } = await run('ffprobe', [...args, '-of', 'csv=p=0', path], {
    maxBuffer: 64 << 20,
  });
  return stdout
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => line.split(','));
}

/**
 * Hashes of the payloads of a stream's packets, in order. Of H.264 only the slices count: parameter
 * sets are repeated and dropped on the way.
 */
export async function payloadHashes(path: string, stream: 'v' | 'a'): Promise<string[]> {
  const slices = stream === 'v' ? ['-bsf:v', 'filter_units=pass_types=1|5'] : [];
  const args = ['-v', 'error', '-i', path, '-map', `0:${stream}`, '-c', 'copy', ...slices];
  const { stdout } = await run('ffmpeg', [...args, '-f', 'framemd5', '-'], { maxBuffer: 64 << 20 });
  return stdout
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => line.split(',').at(-1)?.trim() ?? '');
}

const CAMERA = new URL('../../fixtures/camera.py', import.meta.url).pathname;

/** A network camera on a free port of loopback; see camera.py for the arguments. */
export async function camera(
  t: Test,
  ...args: readonly string[]
): Promise<{ url: string; process: ChildProcess }> {
  const process = spawn('/usr/bin/python3', [CAMERA, '0', ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.teardown(() => process.kill('SIGKILL'));
  const lines = createInterface({ input: process.stdout ?? never('no output') });
  const [line] = await once(lines, 'line');
  return { url: `rtsp://127.0.0.1:${String(line).split(' ')[1]?.trim()}/cam`, process };
}

/** A recording of such a camera. */
export function rtsp(
  url: string,
  options: { credentialsFile?: string; transport?: 'tcp' | 'udp' } = {},
  over: Overrides = {},
): Recording {
  const { credentialsFile = null, transport = 'tcp' } = options;
  return new Recording(
    captureConfig({ type: 'rtsp', url, credentialsFile, transport, latencyMs: 100 }, over),
  );
}

export async function ffmpeg(...args: readonly string[]): Promise<void> {
  await run('ffmpeg', ['-v', 'error', '-y', ...args]);
}
