// Short pipelines that tell what a source holds and which encoders work here. Pure.
// INVARIANT: as in pipeline.ts.
import type { SourceConfig } from '../../proto/agent-config.ts';
import type { Credentials } from './credentials.ts';
import type { PipelinePlan } from './protocol.ts';
import { AUDIO_RTP, sourceElement, sourceProperties, VIDEO_RTP } from './source.ts';
import { FILE_AUDIO_CAPS, FILE_VIDEO_CAPS } from './tracks.ts';

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
  return { launch, properties: sourceProperties(source, credentials, isFile ? 'src' : 'd') };
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
