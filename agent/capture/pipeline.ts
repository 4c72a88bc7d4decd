// From a typed description to launch strings. Pure.
// INVARIANT: a launch string is made of constants and of numbers and words of closed sets. Paths,
// addresses, names and passwords are properties, set on the built pipeline.
import type { AudioConfig, SourceConfig, VideoConfig } from '../../proto/agent-config.ts';
import type { Settings } from '../../proto/settings.ts';
import { audioEncoder, videoEncoder } from './encoders.ts';
import {
  drawn,
  ENCODER,
  GAIN,
  isDrawn,
  isWatched,
  LOUDNESS,
  passed,
  sounding,
  sourceSize,
  turned,
  watching,
  writing,
} from './picture.ts';
import type { PipelinePlan, Property } from './protocol.ts';
import { FILE_AUDIO_CAPS, FILE_VIDEO_CAPS, type Tracks } from './tracks.ts';

export interface Credentials {
  readonly user: string;
  readonly password: string;
}

/** All that a pipeline is made from. */
export interface PipelineInput
  extends Pick<Settings, 'masks' | 'overlay' | 'label' | 'motion' | 'recording'> {
  readonly source: SourceConfig;
  readonly video: VideoConfig;
  readonly audio: AudioConfig;
  readonly credentials: Credentials | null;
  readonly tracks: Tracks;
  /** Names from encoders.ts; null where nothing is encoded. */
  readonly videoEncoder: string | null;
  readonly audioEncoder: string | null;
}

const H264 = 'h264parse ! video/x-h264,stream-format=(string)avc,alignment=(string)au';
export const VIDEO_RTP = 'application/x-rtp,media=(string)video';
const AUDIO_RTP = 'application/x-rtp,media=(string)audio';
const AAC_RATES = '{48000,44100,32000,24000,22050,16000,12000,11025,8000}';
/** Chunks of this length leave the muxer. */
const FRAGMENT_MS = 200;

/** Tells how loud it is, five times a second. */
const LEVEL = `level name=${LOUDNESS} interval=200000000`;

/** Name of the element that is the microphone. */
export const MICROPHONE = 'mic';

/** Whether the source brings its own sound. */
export function hasOwnSound({ type }: SourceConfig): boolean {
  return type === 'file' || type === 'rtsp' || type === 'test';
}

/** Whether there would be sound if the owner consented to it. */
export function wantsSound(source: SourceConfig, audio: AudioConfig): boolean {
  const isThere = audio.source === 'alsa' || (audio.source === 'source' && hasOwnSound(source));
  return audio.on && isThere;
}

/** Whether H.264 of the source is passed on as it is: nothing is drawn into it. */
export function isPassed(input: Pick<PipelineInput, 'tracks' | 'video' | 'masks' | 'overlay'>) {
  return input.tracks.video === 'h264' && !isDrawn(input);
}

/** Whether the pipeline has a branch of sound, and of what kind; null: none. */
export function soundOf({
  audio,
  tracks,
  audioEncoder,
}: Pick<PipelineInput, 'audio' | 'tracks' | 'audioEncoder'>): 'encoded' | 'passed' | null {
  const hasMicrophone = audio.source === 'alsa' && audioEncoder !== null;
  if (hasMicrophone) return 'encoded';
  if (tracks.audio === null) return null;
  return audioEncoder === null ? 'passed' : 'encoded';
}

/** Whether tracks have to be looked for before the pipeline can be built. */
export function needsInspection({ type }: SourceConfig): boolean {
  return type === 'file' || type === 'rtsp';
}

/** What is known of a source that need not be inspected. */
export function knownTracks(source: SourceConfig, withAudio: boolean): Tracks {
  const isH264 = source.type === 'v4l2' && source.format === 'h264';
  return {
    video: isH264 ? 'h264' : 'other',
    audio: withAudio && hasOwnSound(source) ? 'other' : null,
  };
}

/**
 * A pipeline that delivers a first buffer of each track to the appsinks `video` and `audio`. They do
 * not wait for each other (async=false), since one of them may have no track.
 */
export function inspectionPlan(
  source: SourceConfig,
  credentials: Credentials | null,
  withAudio: boolean,
): PipelinePlan {
  const isFile = source.type === 'file';
  const wanted = isFile ? [FILE_VIDEO_CAPS, FILE_AUDIO_CAPS] : [VIDEO_RTP, AUDIO_RTP];
  const branch = (caps: string, name: string): string =>
    `d. ! capsfilter name=${name}_caps caps="${caps}" ! queue ! appsink name=${name} sync=false async=false max-buffers=2 drop=${!isFile}`;
  const launch = [
    isFile ? 'filesrc name=src ! parsebin name=d' : sourceElement(source, 'd'),
    branch(wanted[0] ?? '', 'video'),
    ...(withAudio ? [branch(wanted[1] ?? '', 'audio')] : []),
  ].join('  ');
  return { launch, properties: properties(source, credentials, isFile ? 'src' : 'd') };
}

/** A pipeline that proves that a video encoder works here, by a buffer at the appsink `video`. */
export function videoTrialPlan(encoder: string): PipelinePlan {
  return {
    launch: `videotestsrc num-buffers=4 ! video/x-raw,format=I420,width=320,height=240,framerate=30/1 ! ${encoder} ! h264parse ! appsink name=video sync=false`,
    properties: [],
  };
}

/** The same for sound, at the appsink `audio`. */
export function audioTrialPlan(encoder: string): PipelinePlan {
  return {
    launch: `audiotestsrc num-buffers=8 ! audioconvert ! audio/x-raw,rate=48000,channels=1 ! audioconvert ! ${encoder} ! appsink name=audio sync=false`,
    properties: [],
  };
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
      ...properties(source, credentials, source.type === 'rtsp' ? 'd' : 'src'),
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

/** The element that reads a source; a recording has none of its own. */
export function sourceElement(source: SourceConfig, name: string): string {
  if (source.type === 'rtsp')
    return `rtspsrc name=${name} protocols=${source.transport} latency=${source.latencyMs} tcp-timeout=10000000`;
  if (source.type === 'v4l2') return `v4l2src name=${name}`;
  if (source.type === 'libcamera') return `libcamerasrc name=${name}`;
  return 'videotestsrc name=src is-live=true pattern=ball';
}

/** What is set on the element named `element`, which reads the source. */
export function properties(
  source: SourceConfig,
  credentials: Credentials | null,
  element: string,
): Property[] {
  const set = (name: string, value: string): Property => ({ element, name, value });
  if (source.type === 'v4l2') return [set('device', source.device)];
  if (source.type === 'file') return [set('location', source.path)];
  if (source.type === 'libcamera')
    return source.camera === null ? [] : [set('camera-name', source.camera)];
  if (source.type === 'test') return [];
  return [
    set('location', source.url),
    ...(credentials === null
      ? []
      : [set('user-id', credentials.user), set('user-pw', credentials.password)]),
  ];
}

/**
 * The track with these caps of the source `d`, whose pads come later and, of a network camera, from
 * several threads at once. An element and not a filter on the link: for each of those GStreamer puts
 * in a capsfilter per attempt, and two attempts at once take one end each and leave the track unlinked.
 */
function track(caps: string): string {
  return `d. ! capsfilter caps="${caps}"`;
}

function videoBranch(input: PipelineInput): string {
  const { source, video } = input;
  if (isPassed(input))
    return `${codedSource(source, video)} ! ${H264} ! ${passed(source.type === 'file', input)} ! mux.`;
  return `${rawSource(input)} ! ${drawn(source.type === 'file')} ! ${encodeVideo(input)}`;
}

/** H.264 as it comes. */
function codedSource(source: SourceConfig, video: VideoConfig): string {
  if (source.type === 'file') return track('video/x-h264');
  if (source.type === 'rtsp') return `${track(VIDEO_RTP)} ! rtph264depay`;
  return `${sourceElement(source, 'src')} ! video/x-h264,${sourceSize(video)}`;
}

/** Pictures of the size and rate that are recorded. */
function rawSource({ source, video }: PipelineInput): string {
  const { width, height, frameRate } = video;
  const size = sourceSize(video);
  if (source.type === 'test') {
    const raw = `video/x-raw,format=I420,width=${width},height=${height},framerate=${frameRate}/1`;
    return `${sourceElement(source, 'src')} ! ${turned(video)}${raw}`;
  }
  if (source.type === 'libcamera')
    return `${sourceElement(source, 'src')} ! video/x-raw,${size} ! queue ! ${convertVideo(video)}`;
  if (source.type === 'v4l2') {
    const from = {
      mjpeg: `image/jpeg,${size} ! queue ! jpegdec`,
      h264: `video/x-h264,${size} ! queue ! decodebin`,
      raw: 'video/x-raw ! queue',
    };
    return `${sourceElement(source, 'src')} ! ${from[source.format]} ! ${convertVideo(video)}`;
  }
  const isFile = source.type === 'file';
  return `${track(isFile ? FILE_VIDEO_CAPS : VIDEO_RTP)} ! decodebin ! ${oneSegment(isFile)}${convertVideo(video)}`;
}

/** Encoders want times that only grow, also where a file begins again. */
function oneSegment(isFile: boolean): string {
  return isFile ? 'identity single-segment=true ! ' : '';
}

function convertVideo(video: VideoConfig): string {
  const { width, height, frameRate } = video;
  return `videorate ! videoscale ! videoconvert ! ${turned(video)}video/x-raw,format=I420,width=${width},height=${height},framerate=${frameRate}/1,pixel-aspect-ratio=1/1 ! queue`;
}

function encodeVideo(input: PipelineInput): string {
  const encoder = videoEncoder(input.videoEncoder ?? '', input.video) ?? 'x264enc';
  return `${encoder.replace(' ', ` name=${ENCODER} `)} ! ${H264} ! queue ! mux.`;
}

function audioBranch(input: PipelineInput): string {
  const { source, audio, tracks } = input;
  if (audio.source === 'alsa')
    // Without its clock: times of capture are those of the machine, not of the sound card.
    return `alsasrc name=${MICROPHONE} provide-clock=false ! queue ! ${encodeAudio(input)}`;
  if (source.type === 'test')
    return `audiotestsrc is-live=true freq=440 volume=0.1 samplesperbuffer=2048 ! audio/x-raw,rate=48000,channels=1 ! ${encodeAudio(input)}`;
  const isFile = source.type === 'file';
  const from = track(isFile ? FILE_AUDIO_CAPS : AUDIO_RTP);
  if (input.audioEncoder !== null)
    return `${from} ! decodebin ! ${oneSegment(isFile)}queue ! ${encodeAudio(input)}`;
  const depay = {
    aac: 'rtpmp4gdepay',
    'aac-latm': 'rtpmp4adepay',
    opus: 'rtpopusdepay',
    other: '',
  };
  const unpack = isFile ? '' : ` ! ${depay[tracks.audio ?? 'other']}`;
  return `${from}${unpack} ! ${tracks.audio === 'opus' ? 'opusparse' : 'aacparse'} ! ${listened(input)}queue ! mux.`;
}

/** Sound that is passed on has to be decoded to be heard. */
function listened({ source, audio }: PipelineInput): string {
  if (audio.eventDb === null) return '';
  const level = `decodebin ! audioconvert ! ${LEVEL} ! fakesink sync=${source.type === 'file'} async=false`;
  return `tee name=heard  heard. ! queue ! ${level}  heard. ! `;
}

function encodeAudio({ audio, audioEncoder: name }: PipelineInput): string {
  const rates = audio.codec === 'opus' ? '48000' : AAC_RATES;
  const parse = audio.codec === 'opus' ? 'opusparse' : 'aacparse';
  return `audioconvert ! audioresample ! audio/x-raw,rate=${rates},channels=[1,2] ! volume name=${GAIN} ! ${LEVEL} ! audioconvert ! ${audioEncoder(name ?? '', audio.bitrateKbps)} ! ${parse} ! queue ! mux.`;
}
