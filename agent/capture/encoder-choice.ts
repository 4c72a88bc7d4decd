// Finds encoders that work on this board, by trying them in the child. What was found is kept for
// later captures. INVARIANT: an encoder is passed over only where another one may take its place,
// and only when its own trial broke the child; a stop or a withdrawal says nothing about it.
import type { AudioConfig, VideoConfig } from '../../proto/agent-config.ts';
import { LenscapError } from '../../proto/errors.ts';
import type { Inspection } from './capture-process.ts';
import { AUDIO_ENCODERS, audioEncoder, VIDEO_ENCODERS, videoEncoder } from './encoders.ts';
import type { PipelinePlan } from './protocol.ts';
import { audioTrialPlan, videoTrialPlan } from './trial-plans.ts';

/**
 * Runs a pipeline up to a first buffer at the named appsink. `broken`: the child crashed or hung
 * meanwhile. Never settles when the capture was ended from outside.
 */
export type Trial = (plan: PipelinePlan, sink: string) => Promise<Inspection | 'broken'>;

export class EncoderChoice {
  readonly #found = new Map<string, string>();
  readonly #banned = new Set<string>();

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
      return launch === undefined ? null : trial(videoTrialPlan(launch), 'video');
    });
  }

  /** The same for sound. */
  audio({ codec, bitrateKbps }: AudioConfig, trial: Trial): Promise<string> {
    const advice = 'install the GStreamer plugins libav (avenc_aac) or base (opusenc)';
    return this.#choose(`audio ${codec}`, AUDIO_ENCODERS[codec], advice, async (name) =>
      trial(audioTrialPlan(audioEncoder(name, bitrateKbps)), 'audio'),
    );
  }

  async #choose(
    key: string,
    names: readonly string[],
    advice: string,
    attempt: (name: string) => Promise<Inspection | 'broken' | null>,
  ): Promise<string> {
    const known = this.#found.get(key);
    if (known !== undefined) return known;
    for (const name of names) {
      if (this.#banned.has(name)) continue;
      const result = await attempt(name);
      if (result === 'broken') {
        if (names.length > 1) this.#banned.add(name);
        throw new LenscapError('CAPTURE_FAILED', `the encoder ${name} broke the capture process`);
      }
      if (result === null || !works(result)) continue;
      this.#found.set(key, name);
      return name;
    }
    // The next attempt begins with a clean slate: the cause may have been another one.
    for (const name of names) this.#banned.delete(name);
    throw new LenscapError('CAPTURE_UNSUPPORTED', `no encoder works for ${key}: ${advice}`);
  }
}

function works(inspection: Inspection): boolean {
  return 'caps' in inspection && Object.keys(inspection.caps).length > 0;
}
