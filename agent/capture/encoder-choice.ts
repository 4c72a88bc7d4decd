// Finds encoders that work on this board, by trying them in the child. What was found is kept for
// later captures; an encoder whose trial ended the child or hung is not tried again.
import type { AudioConfig, VideoConfig } from '../../proto/agent-config.ts';
import { LenscapError } from '../../proto/errors.ts';
import type { Inspection } from './capture-process.ts';
import { AUDIO_ENCODERS, audioEncoder, VIDEO_ENCODERS, videoEncoder } from './encoders.ts';
import { audioTrialPlan, videoTrialPlan } from './pipeline.ts';
import type { PipelinePlan } from './protocol.ts';

/** Runs a pipeline up to a first buffer at the named appsink. */
export type Trial = (plan: PipelinePlan, sink: string) => Promise<Inspection>;

export class EncoderChoice {
  readonly #found = new Map<string, string>();
  readonly #banned = new Set<string>();
  #trying: string | undefined;

  /**
   * Name of the video encoder to use.
   * @throws CAPTURE_UNSUPPORTED when the configured one, or none at all, works.
   */
  video(config: VideoConfig, trial: Trial): Promise<string> {
    const names = config.encoder === 'auto' ? VIDEO_ENCODERS : [config.encoder];
    const advice =
      config.encoder === 'auto'
        ? 'install the GStreamer plugins-ugly (x264enc) or plugins-bad (openh264enc)'
        : `set video.encoder to auto or to one that works here, of ${VIDEO_ENCODERS.join(', ')}`;
    return this.#choose(`video ${config.encoder}`, names, advice, async (name) => {
      const launch = videoEncoder(name, config);
      return launch !== undefined && works(await trial(videoTrialPlan(launch), 'video'));
    });
  }

  /** The same for sound. */
  audio({ codec, bitrateKbps }: AudioConfig, trial: Trial): Promise<string> {
    const advice = 'install the GStreamer plugins libav (avenc_aac) or base (opusenc)';
    return this.#choose(`audio ${codec}`, AUDIO_ENCODERS[codec], advice, async (name) =>
      works(await trial(audioTrialPlan(audioEncoder(name, bitrateKbps)), 'audio')),
    );
  }

  async #choose(
    key: string,
    names: readonly string[],
    advice: string,
    isWorking: (name: string) => Promise<boolean>,
  ): Promise<string> {
    // Still set: the child did not survive that trial.
    if (this.#trying !== undefined) this.#banned.add(this.#trying);
    this.#trying = undefined;
    const known = this.#found.get(key);
    if (known !== undefined) return known;
    for (const name of names) {
      if (this.#banned.has(name)) continue;
      this.#trying = name;
      const isFound = await isWorking(name);
      this.#trying = undefined;
      if (!isFound) continue;
      this.#found.set(key, name);
      return name;
    }
    throw new LenscapError('CAPTURE_UNSUPPORTED', `no encoder works for ${key}: ${advice}`);
  }
}

function works(inspection: Inspection): boolean {
  return 'caps' in inspection && Object.keys(inspection.caps).length > 0;
}
