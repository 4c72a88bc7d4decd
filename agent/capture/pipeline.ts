// From a typed description to launch strings. Pure.
// INVARIANT: a launch string is made of constants and of numbers and words of closed sets. Paths,
// addresses, names and passwords are properties, set on the built pipeline.
import type { AudioConfig, SourceConfig, VideoConfig } from '../../proto/agent-config.ts';
import { audioEncoder, videoEncoder } from './encoders.ts';
import type { PipelinePlan, Property } from './protocol.ts';
import { FILE_AUDIO_CAPS, FILE_VIDEO_CAPS, type Tracks } from './tracks.ts';

export interface Credentials {
  readonly user: string;
  readonly password: string;
}

/** All that a pipeline is made from. */
export interface PipelineInput {
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

/** Name of the element that is the microphone. */
export const MICROPHONE = 'mic';

/** Whether the source brings its own sound. */
export function hasOwnSound({ type }: SourceConfig): boolean {
  return type === 'file' || type === 'rtsp' || type === 'test';
}

/** Whether there would be sound if the owner consented to it. */
export function wantsSound(source: SourceConfig, audio: AudioConfig): boolean {
  return audio.source === 'alsa' || (audio.source === 'source' && hasOwnSound(source));
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

/** The pipeline that captures: fragmented MP4 into descriptor 4. */
export function capturePlan(input: PipelineInput): PipelinePlan {
  const { source, audio, tracks, credentials } = input;
  const isFile = source.type === 'file';
  const hasMicrophone = audio.source === 'alsa' && input.audioEncoder !== null;
  const launch = [
    ...(isFile ? ['filesrc name=src ! parsebin name=d'] : []),
    ...(source.type === 'rtsp' ? [sourceElement(source, 'd')] : []),
    videoBranch(input),
    ...(hasMicrophone || tracks.audio !== null ? [audioBranch(input)] : []),
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
    ],
  };
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
  const { source, video, tracks } = input;
  const size = `width=${video.width},height=${video.height}`;
  if (source.type === 'test') {
    const raw = `video/x-raw,format=I420,${size},framerate=${video.frameRate}/1`;
    return `${sourceElement(source, 'src')} ! ${raw} ! ${encodeVideo(input)}`;
  }
  if (source.type === 'libcamera')
    return `${sourceElement(source, 'src')} ! video/x-raw,${size} ! queue ! ${convertVideo(video)} ! ${encodeVideo(input)}`;
  if (source.type === 'v4l2') {
    const camera = sourceElement(source, 'src');
    if (source.format === 'h264')
      return `${camera} ! video/x-h264,${size} ! ${H264} ! queue ! mux.`;
    const from =
      source.format === 'mjpeg' ? `image/jpeg,${size} ! queue ! jpegdec` : 'video/x-raw ! queue';
    return `${camera} ! ${from} ! ${convertVideo(video)} ! ${encodeVideo(input)}`;
  }
  const isFile = source.type === 'file';
  if (tracks.video === 'h264')
    return isFile
      ? `${track('video/x-h264')} ! ${H264} ! queue ! mux.`
      : `${track(VIDEO_RTP)} ! rtph264depay ! ${H264} ! queue ! mux.`;
  return `${track(isFile ? FILE_VIDEO_CAPS : VIDEO_RTP)} ! decodebin ! ${oneSegment(isFile)}${convertVideo(video)} ! ${encodeVideo(input)}`;
}

/** Encoders want times that only grow, also where a file begins again. */
function oneSegment(isFile: boolean): string {
  return isFile ? 'identity single-segment=true ! ' : '';
}

function convertVideo({ width, height, frameRate }: VideoConfig): string {
  return `videorate ! videoscale ! videoconvert ! video/x-raw,format=I420,width=${width},height=${height},framerate=${frameRate}/1,pixel-aspect-ratio=1/1 ! queue`;
}

function encodeVideo(input: PipelineInput): string {
  const encoder = videoEncoder(input.videoEncoder ?? '', input.video) ?? 'x264enc';
  return `${encoder} ! ${H264} ! queue ! mux.`;
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
  return `${from}${unpack} ! ${tracks.audio === 'opus' ? 'opusparse' : 'aacparse'} ! queue ! mux.`;
}

function encodeAudio({ audio, audioEncoder: name }: PipelineInput): string {
  const rates = audio.codec === 'opus' ? '48000' : AAC_RATES;
  const parse = audio.codec === 'opus' ? 'opusparse' : 'aacparse';
  return `audioconvert ! audioresample ! audio/x-raw,rate=${rates},channels=[1,2] ! audioconvert ! ${audioEncoder(name ?? '', audio.bitrateKbps)} ! ${parse} ! queue ! mux.`;
}
