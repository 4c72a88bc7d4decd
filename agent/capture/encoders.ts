// Encoders that may be used, in order of preference, and how each is told what to do. Pure.
import type { VideoConfig } from '../../proto/agent-config.ts';

type Slice = Pick<VideoConfig, 'bitrateKbps' | 'keyframeIntervalMs' | 'frameRate'>;

/** Frames from one keyframe to the next. */
export function keyframeFrames({ keyframeIntervalMs, frameRate }: Slice): number {
  return Math.max(1, Math.round((keyframeIntervalMs * frameRate) / 1000));
}

const kilobits = (name: string, keyframes: string) => (video: Slice) =>
  `${name} bitrate=${video.bitrateKbps} ${keyframes}=${keyframeFrames(video)}`;

/** Launch text of each; hardware first. */
const VIDEO: Readonly<Record<string, (video: Slice) => string>> = {
  v4l2h264enc: (video) =>
    `v4l2h264enc extra-controls="controls,video_bitrate=${video.bitrateKbps * 1000},h264_i_frame_period=${keyframeFrames(video)},repeat_sequence_header=1" ! video/x-h264,level=(string)4`,
  mpph264enc: (video) =>
    `mpph264enc bps=${video.bitrateKbps * 1000} gop=${keyframeFrames(video)} header-mode=each-idr`,
  vah264enc: kilobits('vah264enc b-frames=0', 'key-int-max'),
  vaapih264enc: kilobits('vaapih264enc max-bframes=0', 'keyframe-period'),
  omxh264enc: (video) =>
    `omxh264enc control-rate=variable target-bitrate=${video.bitrateKbps * 1000} interval-intraframes=${keyframeFrames(video)}`,
  x264enc: kilobits('x264enc speed-preset=ultrafast tune=zerolatency', 'key-int-max'),
  openh264enc: (video) =>
    `openh264enc complexity=low bitrate=${video.bitrateKbps * 1000} gop-size=${keyframeFrames(video)}`,
};

export const VIDEO_ENCODERS: readonly string[] = Object.keys(VIDEO);

/** Launch text of a video encoder, or undefined when it is not one of ours. */
export function videoEncoder(name: string, video: Slice): string | undefined {
  return Object.hasOwn(VIDEO, name) ? VIDEO[name]?.(video) : undefined;
}

export const AUDIO_ENCODERS = {
  aac: ['fdkaacenc', 'avenc_aac', 'voaacenc', 'faac'],
  opus: ['opusenc'],
} as const;

/** Launch text of an audio encoder. All of them take bits per second. */
export function audioEncoder(name: string, bitrateKbps: number): string {
  return `${name} bitrate=${bitrateKbps * 1000}`;
}

/** Encoders whose bit rate is known to follow while pictures flow, and what one kbit/s is to them. */
const LIVE_BITRATE: Readonly<Record<string, number>> = { x264enc: 1, openh264enc: 1000 };

/** What `bitrate` of this encoder is set to; undefined where it cannot be changed while it runs. */
export function liveBitrate(name: string, bitrateKbps: number): number | undefined {
  const unit = Object.hasOwn(LIVE_BITRATE, name) ? LIVE_BITRATE[name] : undefined;
  return unit === undefined ? undefined : bitrateKbps * unit;
}
