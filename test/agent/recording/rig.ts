// A camera as the agent joins it: gate, settings, schedule, motion and capture, without a spool.
import { pino } from 'pino';
import type { Test } from 'tap';
import { Camera, type CameraDeps, consentedSink } from '../../../agent/camera.ts';
import { Capture } from '../../../agent/capture/capture.ts';
import { Settings } from '../../../agent/config/settings.ts';
import type { Events } from '../../../agent/events/events.ts';
import { Watcher } from '../../../agent/motion/watcher.ts';
import { Roll } from '../../../agent/recording/roll.ts';
import { Wanted } from '../../../agent/recording/wanted.ts';
import {
  type AgentConfig,
  checkAgentConfig,
  type SourceConfig,
} from '../../../proto/agent-config.ts';
import type { Gap } from '../../../proto/gap.ts';
import type { SegmentHeader } from '../../../proto/segment.ts';
import type { Stream } from '../../../proto/stream.ts';
import { folderOf } from '../../e2e/folder.ts';
import { BOOT_ID, ffmpeg, mediaClock } from '../capture/harness.ts';
import { makeGate } from '../consent/grants.ts';

type Groups = {
  readonly [G in 'recording' | 'motion' | 'video' | 'segment' | 'audio' | 'masks']?: object;
};

/** Settings of a small camera; `over` says more, group by group. */
export function settingsOf(source: SourceConfig, over: Groups = {}): AgentConfig {
  const { video, ...others } = over;
  const small = {
    width: 160,
    height: 120,
    frameRate: 15,
    bitrateKbps: 200,
    keyframeIntervalMs: 500,
  };
  const needed = { identity: '/nowhere', stateDir: '/nowhere' };
  const raw = {
    ...needed,
    source,
    segment: { durationMs: 500 },
    video: { ...small, ...video },
    ...others,
  };
  return checkAgentConfig(raw, 'the settings of a test');
}

export interface Handed {
  readonly header: SegmentHeader;
  readonly stream: Stream;
  readonly chunks: readonly Uint8Array[];
}

/** One event as it was told: its kind, and its times in microseconds. */
export interface Noted {
  readonly kind: string;
  readonly fromUs: number;
  toUs: number | null;
}

/** Everything joined and running; `more` replaces what the test wants to hold itself. */
export function startCamera(
  t: Test,
  config: AgentConfig,
  more: Partial<Pick<CameraDeps, 'opening'>> & { readonly clock?: { wallUs(): number } } = {},
) {
  const { gate, clock } = makeGate(folderOf(t));
  const settings = new Settings(config);
  const got = {
    segments: [] as Handed[],
    gaps: [] as Gap[],
    events: [] as Noted[],
    /** Sizes of the small gray pictures. */
    grays: 0,
  };
  const streams = new Map<string, Stream>();
  const sink = consentedSink(
    {
      stream: (stream: Stream) => streams.set(stream.streamId, stream),
      segment: (header: SegmentHeader, chunks: readonly Uint8Array[]) => {
        const stream = streams.get(header.streamId);
        if (stream === undefined) throw new Error('a segment came before its stream');
        got.segments.push({ header, stream, chunks });
      },
      gap: (gap: Gap) => got.gaps.push(gap),
    },
    gate,
  );
  const events: Pick<Events, 'begin'> = {
    begin: (kind, { monoUs = 0 } = {}) => {
      const noted: Noted = { kind, fromUs: monoUs, toUs: null };
      got.events.push(noted);
      const end = (toUs?: number) => {
        noted.toUs = toUs ?? monoUs;
      };
      return { id: '0'.repeat(32), peak: () => undefined, end };
    },
  };
  const roll = new Roll({ settings, clock: mediaClock });
  const watcher = new Watcher({ settings, roll, events });
  const wanted = new Wanted({ settings, clock: more.clock ?? mediaClock, lookMs: 50 });
  const said: string[] = [];
  const log = pino({ level: 'info' }, { write: (line) => said.push(line) });
  const eyes = {
    gray: (frame: Uint8Array, monoUs: number) => {
      got.grays += 1;
      watcher.gray(frame, monoUs);
    },
    sound: (db: number, monoUs: number) => watcher.sound(db, monoUs),
  };
  const capture = new Capture({
    config: () => settings.now(),
    log,
    clock: mediaClock,
    random: () => 0,
    bootId: BOOT_ID,
    sink,
    roll,
    eyes,
  });
  const camera = new Camera({
    gate,
    capture,
    wanted,
    motion: roll,
    wantsSound: () => false,
    before: null,
    retryMs: 300,
    log,
    ...(more.opening && { opening: more.opening }),
  });
  const stop = new AbortController();
  const ended = Promise.all([wanted.run(stop.signal), camera.run(stop.signal)]).then(() =>
    watcher.stop(),
  );
  const end = () => {
    stop.abort();
    return ended;
  };
  t.teardown(end);
  /** How often it has said so. */
  const says = (what: string): number => said.filter((line) => line.includes(what)).length;
  return { says, gate, clock, settings, camera, roll, capture, ...got, got, stop: end };
}

/** A recording in which a box crosses the picture, again and again, between two times in seconds; all else is still. */
export async function passing(
  path: string,
  fromS: number,
  toS: number,
  lengthS: number,
): Promise<string> {
  const place = `if(between(t,${fromS},${toS}),10+mod((t-${fromS})*40,120),-100)`;
  const filter = `[0][1]overlay=x='${place}':y=40`;
  const inputs = [
    '-f',
    'lavfi',
    '-i',
    'smptebars=s=160x120:r=15',
    '-f',
    'lavfi',
    '-i',
    'color=red:s=24x40:r=15',
  ];
  const coded = [
    '-c:v',
    'libx264',
    '-preset',
    'ultrafast',
    '-bf',
    '0',
    '-g',
    '15',
    '-pix_fmt',
    'yuv420p',
  ];
  await ffmpeg(...inputs, '-filter_complex', filter, ...coded, '-t', String(lengthS), path);
  return path;
}

/** What lies between the pieces of a recording and its gaps, in microseconds: holes above 0. */
export function holes(segments: readonly Handed[], gaps: readonly Gap[]): number[] {
  const pieces = [...segments.map(({ header }) => header), ...gaps]
    .map(({ startMonoUs, durationUs }) => ({ startMonoUs, endMonoUs: startMonoUs + durationUs }))
    .sort((one, other) => one.startMonoUs - other.startMonoUs);
  return pieces.slice(1).map((piece, at) => piece.startMonoUs - (pieces[at]?.endMonoUs ?? 0));
}
