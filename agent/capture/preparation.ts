// What has to be known before the pipeline can be built: credentials, tracks, working encoders.
import { LenscapError } from '../../proto/errors.ts';
import type { CaptureProcess } from './capture-process.ts';
import { type Credentials, readCredentials } from './credentials.ts';
import type { EncoderChoice, Trial } from './encoder-choice.ts';
import { captureError } from './faults.ts';
import { isPassed, type PipelineInput } from './pipeline.ts';
import type { CaptureConfig } from './session-terms.ts';
import { knownTracks, needsInspection } from './source.ts';
import { fileAudio, fileVideo, rtspAudio, rtspVideo, type Tracks } from './tracks.ts';
import { inspectionPlan } from './trial-plans.ts';

/** Wait for the second track once the first is there: recordings interleave, networks delay. */
const GRACE_MS = { file: 700, rtsp: 2000 } as const;
const TRIAL_MS = 3000;

export interface PreparationDeps {
  readonly config: CaptureConfig;
  readonly mayRecordAudio: boolean;
  readonly encoders: EncoderChoice;
  readonly process: CaptureProcess;
  /** Resolves when the child crashed or hung; never when it was ended from outside. */
  readonly broken: Promise<'broken'>;
}

export class Preparation {
  readonly #config: CaptureConfig;
  readonly #withAudio: boolean;
  readonly #encoders: EncoderChoice;
  readonly #process: CaptureProcess;
  readonly #broken: Promise<'broken'>;
  #secrets: readonly string[] = [];
  #videoEncoder: string | null = null;
  #audioEncoder: string | null = null;

  constructor({ config, mayRecordAudio, encoders, process, broken }: PreparationDeps) {
    this.#config = config;
    this.#withAudio = mayRecordAudio && config.audio.on && config.audio.source !== 'none';
    this.#encoders = encoders;
    this.#process = process;
    this.#broken = broken;
  }

  /** Never to be shown. */
  get secrets(): readonly string[] {
    return this.#secrets;
  }

  /** Null: not encoded. Known once plan() has resolved. */
  get videoEncoder(): string | null {
    return this.#videoEncoder;
  }

  get audioEncoder(): string | null {
    return this.#audioEncoder;
  }

  /** What the pipeline is made from. @throws CAPTURE_UNAUTHORIZED, CAPTURE_NO_SOURCE, CAPTURE_UNSUPPORTED, CAPTURE_FAILED. */
  async plan(): Promise<PipelineInput> {
    const { source, video, audio, masks, overlay, label, motion, recording } = this.#config;
    const credentials = await this.#credentials();
    const tracks = await this.#tracks(credentials);
    const trial: Trial = (plan, sink) =>
      Promise.race([
        this.#process.inspect(plan, [sink], { timeoutMs: TRIAL_MS, graceMs: 0 }),
        this.#broken,
      ]);
    if (!isPassed({ tracks, video, masks, overlay }))
      this.#videoEncoder = await this.#encoders.video(video, trial);
    if (this.#encodesAudio(tracks)) this.#audioEncoder = await this.#encoders.audio(audio, trial);
    return {
      source,
      video,
      audio,
      masks,
      overlay,
      label,
      motion,
      recording,
      credentials,
      tracks,
      videoEncoder: this.#videoEncoder,
      audioEncoder: this.#audioEncoder,
    };
  }

  async #credentials(): Promise<Credentials | null> {
    const { source } = this.#config;
    if (source.type !== 'rtsp') return null;
    this.#secrets = [source.url];
    if (source.credentialsFile === null) return null;
    const credentials = await readCredentials(source.credentialsFile);
    this.#secrets = [source.url, credentials.password, credentials.user];
    return credentials;
  }

  async #tracks(credentials: Credentials | null): Promise<Tracks> {
    const { source, audio, capture } = this.#config;
    const wantsOwnSound = this.#withAudio && audio.source === 'source';
    if (!needsInspection(source)) return knownTracks(source, wantsOwnSound);
    const isFile = source.type === 'file';
    const found = await this.#process.inspect(
      inspectionPlan(source, credentials, wantsOwnSound),
      wantsOwnSound ? ['video', 'audio'] : ['video'],
      { timeoutMs: capture.startTimeoutMs, graceMs: isFile ? GRACE_MS.file : GRACE_MS.rtsp },
    );
    if ('fault' in found) throw captureError(found.fault, source, this.#secrets);
    const { video, audio: sound } = found.caps;
    if (video === undefined)
      throw new LenscapError('CAPTURE_UNSUPPORTED', `${source.type}: it has no video track`);
    return {
      video: isFile ? fileVideo(video) : rtspVideo(video),
      audio: sound === undefined ? null : isFile ? fileAudio(sound) : rtspAudio(sound),
    };
  }

  #encodesAudio(tracks: Tracks): boolean {
    const { audio } = this.#config;
    if (this.#withAudio && audio.source === 'alsa') return true;
    if (tracks.audio === null) return false;
    const kept = audio.codec === 'opus' ? ['opus'] : ['aac', 'aac-latm'];
    return !kept.includes(tracks.audio);
  }
}
