// The launch string for looking at QR codes. Pure.
// INVARIANT: as in pipeline.ts, and no element of it keeps, encodes or passes on a picture: they end
// in fakesink, in the child.
import type { SourceConfig, VideoConfig } from '../../proto/agent-config.ts';
import type { Credentials } from './credentials.ts';
import type { PipelinePlan } from './protocol.ts';
import { sourceElement, sourceProperties, VIDEO_RTP } from './source.ts';
import { FILE_VIDEO_CAPS } from './tracks.ts';

/** A hand holds a code still for longer than that; more pictures only cost. */
const PICTURES_PER_SECOND = 5;
/** A code that fills a fifth of the width can still be read; larger pictures only cost. */
const MAX_PIXELS = 1280;
const FEWER = `videorate max-rate=${PICTURES_PER_SECOND} drop-only=true`;
/** The newest picture: who is slower than the camera must not look at old ones. */
const NEWEST = 'queue leaky=downstream max-size-buffers=1 max-size-bytes=0 max-size-time=0';
const SMALLER = `videoscale ! videoconvert ! video/x-raw,format={I420,NV12},width=[1,${MAX_PIXELS}],height=[1,${MAX_PIXELS}],pixel-aspect-ratio=1/1`;
/** Says once a second that pictures come, and says it on the bus only. */
const LIFE_SIGN = 'progressreport update-freq=1 do-query=false silent=true';
const READ = `${SMALLER} ! ${LIFE_SIGN} ! zbar`;

/** A pipeline that posts a message for each QR code in the pictures of a source. */
export function scanPlan(
  source: SourceConfig,
  video: VideoConfig,
  credentials: Credentials | null,
): PipelinePlan {
  const element = source.type === 'rtsp' ? 'd' : 'src';
  return {
    launch: `${pictures(source, video)} ! ${FEWER} ! ${toSink(source)}`,
    properties: sourceProperties(source, credentials, element),
  };
}

/** A recording is paced at its end, as it would be watched; a camera sets its own pace. */
function toSink({ type }: SourceConfig): string {
  return type === 'file'
    ? `queue ! ${READ} ! fakesink sync=true`
    : `${NEWEST} ! ${READ} ! fakesink sync=false`;
}

function pictures(source: SourceConfig, { width, height, frameRate }: VideoConfig): string {
  const size = `width=${width},height=${height}`;
  switch (source.type) {
    case 'test':
      return `${sourceElement(source, 'src')} ! video/x-raw,format=I420,${size},framerate=${frameRate}/1`;
    case 'libcamera':
      return `${sourceElement(source, 'src')} ! video/x-raw,${size}`;
    case 'rtsp':
      return `${sourceElement(source, 'd')}  d. ! ${VIDEO_RTP} ! decodebin`;
    case 'file':
      return `filesrc name=src ! parsebin name=d  d. ! capsfilter caps="${FILE_VIDEO_CAPS}" ! decodebin`;
    case 'v4l2':
      return `${sourceElement(source, 'src')} ! ${fromCamera(source.format, size)}`;
  }
}

function fromCamera(format: 'raw' | 'mjpeg' | 'h264', size: string): string {
  // Not every JPEG has to be decoded; of H.264 every picture has to be.
  if (format === 'mjpeg') return `image/jpeg,${size} ! ${FEWER} ! ${NEWEST} ! jpegdec`;
  return format === 'h264' ? `video/x-h264,${size} ! decodebin` : 'video/x-raw';
}
