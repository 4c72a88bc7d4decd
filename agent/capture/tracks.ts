// What a file or a network camera holds, as far as it matters to the pipeline. Pure: from caps to
// one of a closed set of words, so that nothing a source says reaches a launch string.
import type { Caps } from './protocol.ts';

/** Media types that GStreamer decodes, by which a track is recognised in a file. */
const VIDEO_TYPES = [
  'video/x-h264',
  'video/x-h265',
  'video/mpeg',
  'image/jpeg',
  'video/x-raw',
  'video/x-msmpeg',
  'video/x-divx',
  'video/x-xvid',
  'video/x-h263',
  'video/x-vp8',
  'video/x-vp9',
  'video/x-av1',
  'video/x-theora',
  'video/x-wmv',
  'video/x-dv',
  'video/x-prores',
] as const;
const AUDIO_TYPES = [
  'audio/mpeg',
  'audio/x-raw',
  'audio/x-mulaw',
  'audio/x-alaw',
  'audio/x-opus',
  'audio/x-vorbis',
  'audio/x-flac',
  'audio/x-ac3',
  'audio/x-eac3',
  'audio/x-adpcm',
  'audio/G722',
  'audio/G726',
  'audio/AMR',
  'audio/AMR-WB',
  'audio/x-wma',
] as const;

export const FILE_VIDEO_CAPS = VIDEO_TYPES.join(';');
export const FILE_AUDIO_CAPS = AUDIO_TYPES.join(';');

/** `other` is decoded and encoded anew. */
export type VideoTrack = 'h264' | 'other';
export type AudioTrack = 'aac' | 'aac-latm' | 'opus' | 'other';

/** What is known of a source before its pipeline is built; null = no such track. */
export interface Tracks {
  readonly video: VideoTrack;
  readonly audio: AudioTrack | null;
}

export function fileVideo(caps: Caps): VideoTrack {
  return caps.name === 'video/x-h264' ? 'h264' : 'other';
}

export function fileAudio(caps: Caps): AudioTrack {
  if (caps.name === 'audio/x-opus') return 'opus';
  const version = caps.mpegversion;
  return caps.name === 'audio/mpeg' && (version === 4 || version === 2) ? 'aac' : 'other';
}

export function rtspVideo(caps: Caps): VideoTrack {
  return caps['encoding-name'] === 'H264' ? 'h264' : 'other';
}

export function rtspAudio(caps: Caps): AudioTrack {
  if (caps['encoding-name'] === 'OPUS') return 'opus';
  if (caps['encoding-name'] === 'MPEG4-GENERIC') return 'aac';
  return caps['encoding-name'] === 'MP4A-LATM' ? 'aac-latm' : 'other';
}
