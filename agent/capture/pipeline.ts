// From a typed description to launch strings. Pure.
// INVARIANT: a launch string is made of constants and of numbers and words of closed sets. Paths,
// addresses, names and passwords are properties, set on the built pipeline.
import type { VideoConfig } from '../../proto/agent-config.ts';
import type { Settings } from '../../proto/settings.ts';
import type { Credentials } from './credentials.ts';
import { videoEncoder } from './encoders.ts';
import {
  drawn,
  ENCODER,
  isDrawn,
  isWatched,
  passed,
  sounding,
  watching,
  writing,
} from './picture.ts';
import type { PipelinePlan, Property } from './protocol.ts';
import { audioBranch, MICROPHONE, type SoundInput, soundOf } from './sound.ts';
import { codedSource, rawSource, sourceElement, sourceProperties } from './source.ts';

/** All that a pipeline is made from. */
export interface PipelineInput
  extends SoundInput,
    Pick<Settings, 'masks' | 'overlay' | 'label' | 'motion' | 'recording'> {
  readonly video: VideoConfig;
  readonly credentials: Credentials | null;
  /** Name from encoders.ts; null where no picture is encoded. */
  readonly videoEncoder: string | null;
}

const H264 = 'h264parse ! video/x-h264,stream-format=(string)avc,alignment=(string)au';
/** Chunks of this length leave the muxer. */
const FRAGMENT_MS = 200;

/** Whether H.264 of the source is passed on as it is: nothing is drawn into it. */
export function isPassed(input: Pick<PipelineInput, 'tracks' | 'video' | 'masks' | 'overlay'>) {
  return input.tracks.video === 'h264' && !isDrawn(input);
}

/** The pipeline that captures: fragmented MP4 into descriptor 4. The masks are set apart. */
export function capturePlan(input: PipelineInput): PipelinePlan {
  const { source, audio, credentials } = input;
  const isFile = source.type === 'file';
  const hasMicrophone = audio.source === 'alsa' && input.audioEncoder !== null;
  const launch = [
    ...(isFile ? ['filesrc name=src ! parsebin name=d'] : []),
    ...(source.type === 'rtsp' ? [sourceElement(source, 'd')] : []),
    videoBranch(input),
    ...(soundOf(input) !== null ? [audioBranch(input)] : []),
    `mp4mux name=mux trak-timescale=90000 fragment-duration=${FRAGMENT_MS} streamable=true ! fdsink fd=4 sync=${isFile}`,
  ].join('  ');
  const microphone: Property[] = hasMicrophone
    ? [{ element: MICROPHONE, name: 'device', value: audio.device }]
    : [];
  return {
    launch,
    properties: [
      ...sourceProperties(source, credentials, source.type === 'rtsp' ? 'd' : 'src'),
      ...microphone,
      ...liveProperties(input, tapsOf(input)),
    ],
  };
}

/** What of a pipeline can be told something while it runs. */
export interface Taps {
  readonly isPassed: boolean;
  readonly hasEyes: boolean;
  readonly sound: 'encoded' | 'passed' | null;
  readonly hasLevel: boolean;
}

export function tapsOf(input: PipelineInput): Taps {
  const sound = soundOf(input);
  const isCopied = isPassed(input);
  return {
    isPassed: isCopied,
    hasEyes: !isCopied || isWatched(input),
    sound,
    hasLevel: sound === 'encoded' || (sound === 'passed' && input.audio.eventDb !== null),
  };
}

/** What is set on its elements at the start and at each change, all but bit rate and masks. */
export function liveProperties(
  settings: Pick<Settings, 'audio' | 'masks' | 'overlay' | 'label' | 'motion' | 'recording'>,
  taps: Taps,
): Property[] {
  return [
    ...(taps.hasEyes ? [watching(settings)] : []),
    ...(taps.isPassed ? [] : writing(settings)),
    ...(taps.hasLevel ? sounding(settings.audio, taps.sound === 'encoded') : []),
  ];
}

function videoBranch(input: PipelineInput): string {
  const { source, video } = input;
  if (isPassed(input))
    return `${codedSource(source, video)} ! ${H264} ! ${passed(source.type === 'file', input)} ! mux.`;
  return `${rawSource(source, video)} ! ${drawn(source.type === 'file')} ! ${encodeVideo(input)}`;
}

function encodeVideo(input: PipelineInput): string {
  const encoder = videoEncoder(input.videoEncoder ?? '', input.video) ?? 'x264enc';
  return `${encoder.replace(' ', ` name=${ENCODER} `)} ! ${H264} ! queue ! mux.`;
}
