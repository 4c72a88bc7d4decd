// What is changed in a pipeline that runs: properties of its elements, and the masks.
// INVARIANTS: the masks in force are drawn until the next ones were seen to be black; what comes after
// they were taken away is held back until the next ones were seen without them; masks that cannot be
// set are an error, and the capture is over.
import { setTimeout as delay, setImmediate as looked } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { LenscapError } from '../../proto/errors.ts';
import type { Polygon } from '../../proto/settings.ts';
import type { CaptureProcess } from './capture-process.ts';
import { changeOf } from './change.ts';
import { liveBitrate } from './encoders.ts';
import type { HeldBack } from './held-back.ts';
import type { MaskFile } from './mask-file.ts';
import { maskImage } from './mask-image.ts';
import { type Box, boxOf, rasterOf } from './mask-raster.ts';
import {
  ENCODER,
  isDrawn,
  isWatched,
  MASK_FD,
  MASKS,
  type MaskElement,
  mostGrayUnderWay,
} from './picture.ts';
import { liveProperties, type PipelineInput, type Taps, tapsOf } from './pipeline.ts';
import type { Property } from './protocol.ts';
import type { CaptureConfig } from './session-terms.ts';

export interface LiveDeps {
  readonly process: Pick<CaptureProcess, 'set'>;
  readonly maskFile: Pick<MaskFile, 'write'>;
  readonly held: Pick<HeldBack, 'guard' | 'doubt' | 'trustAfter'>;
  /** Settings that the pipeline began with. */
  readonly config: CaptureConfig;
  /** Longest wait until masks are seen. */
  readonly maskWaitMs: number;
}

export class Live {
  readonly #deps: LiveDeps;
  #config: CaptureConfig;
  #running: { readonly input: PipelineInput; readonly taps: Taps } | undefined;
  #inForce: MaskElement = MASKS[0];
  #lastAdjustment: Promise<unknown> = Promise.resolve();

  constructor(deps: LiveDeps) {
    this.#deps = deps;
    this.#config = deps.config;
  }

  /** Small gray pictures come for that, and to prove masks. */
  get looksForMotion(): boolean {
    return this.#config.motion.on || this.#config.recording.mode === 'motion';
  }

  /** The pipeline of `input` is about to run: what is to be set on it beforehand. */
  begin(input: PipelineInput): Property[] {
    this.#running = { input, taps: tapsOf(input) };
    const { masks, video } = this.#config;
    const raster = rasterOf(masks, video.width, video.height);
    const box = boxOf(raster);
    if (box === null) return [];
    this.#deps.maskFile.write(maskImage(raster, box));
    this.#deps.held.guard.force(raster);
    return placed(this.#inForce, box);
  }

  /**
   * Makes the pipeline as these settings say, one change after another. `restart`: it cannot be made so.
   * @throws CAPTURE_FAILED when something could not be set; the capture has to end then.
   */
  adjust(next: CaptureConfig, signal: AbortSignal): Promise<'set' | 'restart'> {
    const done = this.#lastAdjustment.then(() => this.#adjust(next, signal));
    this.#lastAdjustment = done.catch(() => undefined);
    return done;
  }

  async #adjust(next: CaptureConfig, signal: AbortSignal): Promise<'set' | 'restart'> {
    const running = this.#running;
    if (running === undefined || !canTake(running, this.#deps.config, this.#config, next))
      return 'restart';
    const before = this.#config;
    this.#config = next;
    const { input, taps } = running;
    const bitrate = liveBitrate(input.videoEncoder ?? '', next.video.bitrateKbps);
    const isFaster = before.video.bitrateKbps !== next.video.bitrateKbps;
    await this.#set([
      ...(bitrate !== undefined && isFaster
        ? [{ element: ENCODER, name: 'bitrate', value: bitrate }]
        : []),
      ...liveProperties(next, taps),
    ]);
    if (!taps.isPassed && !isDeepStrictEqual(before.masks, next.masks))
      await this.#mask(next.masks, signal);
    return 'set';
  }

  async #mask(masks: readonly Polygon[], signal: AbortSignal): Promise<void> {
    const { held, maskFile } = this.#deps;
    const { guard } = held;
    const { width, height } = this.#config.video;
    const raster = rasterOf(masks, width, height);
    const box = boxOf(raster);
    const last = this.#inForce;
    const wasMasked = guard.isNeeded;
    if (box === null) guard.force(null);
    else {
      const other = last === MASKS[0] ? MASKS[1] : MASKS[0];
      maskFile.write(maskImage(raster, box));
      const proven = guard.proves(raster);
      await this.#set(placed(other, box));
      await this.#seen(proven, signal);
      this.#inForce = other;
    }
    if (wasMasked) await this.#takeAway(last);
  }

  async #takeAway(masks: MaskElement): Promise<void> {
    const { held, config } = this.#deps;
    held.doubt();
    await this.#set([opacity(masks, 0)]);
    // After a whole turn all is read that the child had written before it answered.
    await looked();
    await looked();
    held.trustAfter(mostGrayUnderWay(config.source.type === 'file'));
  }

  async #seen(proven: Promise<void>, signal: AbortSignal): Promise<void> {
    const over = new AbortController();
    const either = AbortSignal.any([signal, over.signal]);
    const tooLate = delay(this.#deps.maskWaitMs, 'late', { signal: either }).catch(() => 'ended');
    const end = await Promise.race([proven, tooLate]);
    over.abort();
    if (end === 'late') throw new LenscapError('CAPTURE_FAILED', 'the masks are not black');
    if (end === 'ended') throw new LenscapError('CAPTURE_ENDED', 'before the masks were seen');
  }

  async #set(properties: readonly Property[]): Promise<void> {
    const fault = await this.#deps.process.set(properties);
    if (fault !== null)
      throw new LenscapError('CAPTURE_FAILED', `a setting was refused: ${fault.message}`);
  }
}

/** Whether the pipeline that runs has what the next settings need. */
function canTake(
  { input, taps }: { readonly input: PipelineInput; readonly taps: Taps },
  first: CaptureConfig,
  before: CaptureConfig,
  next: CaptureConfig,
): boolean {
  if (changeOf(before, next) === 'restart') return false;
  // The clock of the child is set when it begins.
  if (next.overlay.clock && next.clock.timeZone !== first.clock.timeZone) return false;
  if (taps.isPassed && isDrawn(next)) return false;
  if (!taps.hasEyes && isWatched(next)) return false;
  if (taps.sound === 'passed' && !taps.hasLevel && next.audio.eventDb !== null) return false;
  const isSame = before.video.bitrateKbps === next.video.bitrateKbps;
  return taps.isPassed || isSame || liveBitrate(input.videoEncoder ?? '', 1) !== undefined;
}

function opacity(element: MaskElement, value: 0 | 1): Property {
  return { element, name: 'alpha', value };
}

/** Drawn only once all else is set. */
function placed(element: MaskElement, { x, y }: Box): Property[] {
  return [
    { element, name: 'location', value: `/dev/fd/${MASK_FD}` },
    { element, name: 'offset-x', value: x },
    { element, name: 'offset-y', value: y },
    opacity(element, 1),
  ];
}
