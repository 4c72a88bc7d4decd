// How a source is read: elements, tracks, and pictures of the size and rate that are recorded. Pure.
// INVARIANT: as in pipeline.ts.
import type { SourceConfig, VideoConfig } from '../../proto/agent-config.ts';
import type { Credentials } from './credentials.ts';
import { sourceSize, turned } from './picture.ts';
import { type Property, RATE } from './protocol.ts';
import { FILE_VIDEO_CAPS, type Tracks } from './tracks.ts';

export const VIDEO_RTP = 'application/x-rtp,media=(string)video';
export const AUDIO_RTP = 'application/x-rtp,media=(string)audio';

/** Whether the source brings its own sound. */
export function hasOwnSound({ type }: SourceConfig): boolean {
  return type === 'file' || type === 'rtsp' || type === 'test';
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

/** The element that reads a source; a recording has none of its own. */
export function sourceElement(source: SourceConfig, name: string): string {
  if (source.type === 'rtsp')
    return `rtspsrc name=${name} protocols=${source.transport} latency=${source.latencyMs} tcp-timeout=10000000`;
  if (source.type === 'v4l2') return `v4l2src name=${name}`;
  if (source.type === 'libcamera') return `libcamerasrc name=${name}`;
  return 'videotestsrc name=src is-live=true pattern=ball';
}

/** What is set on the element named `element`, which reads the source. */
export function sourceProperties(
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
export function track(caps: string): string {
  return `d. ! capsfilter caps="${caps}"`;
}

/** H.264 as it comes. */
export function codedSource(source: SourceConfig, video: VideoConfig): string {
  if (source.type === 'file') return track('video/x-h264');
  if (source.type === 'rtsp') return `${track(VIDEO_RTP)} ! rtph264depay`;
  return `${sourceElement(source, 'src')} ! video/x-h264,${sourceSize(video)}`;
}

/** Pictures of the size and rate that are recorded. */
export function rawSource(source: SourceConfig, video: VideoConfig): string {
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
export function oneSegment(isFile: boolean): string {
  return isFile ? 'identity single-segment=true ! ' : '';
}

function convertVideo(video: VideoConfig): string {
  const { width, height, frameRate } = video;
  return `videorate name=${RATE} ! videoscale ! videoconvert ! ${turned(video)}video/x-raw,format=I420,width=${width},height=${height},framerate=${frameRate}/1,pixel-aspect-ratio=1/1 ! queue`;
}
