// How the pictures come along, for the watchdog of the service manager.
// Invariant: `resting` only after a failure that was told, and until the next picture.
import type { Progress } from './watchdog.ts';

export interface PictureProgressDeps {
  readonly camera: { state(): { readonly isCapturing: boolean } };
  readonly capture: { figures(): { readonly framesCaptured: number } };
  readonly monoUs: () => number;
}

export class PictureProgress {
  readonly #deps: PictureProgressDeps;
  /** Pictures there were when the source failed last. */
  #failedAt: number | null = null;
  #kind: Progress['kind'] = 'closed';
  #sinceMonoUs = 0;

  constructor(deps: PictureProgressDeps) {
    this.#deps = deps;
  }

  /** The source has failed, and is tried again. */
  failed(): void {
    this.#failedAt = this.#deps.capture.figures().framesCaptured;
  }

  now(): Progress {
    const { camera, capture, monoUs } = this.#deps;
    const { framesCaptured: pictures } = capture.figures();
    const isResting = this.#failedAt === pictures;
    const open = isResting ? 'resting' : 'capturing';
    const kind = camera.state().isCapturing ? open : 'closed';
    if (kind !== this.#kind) this.#sinceMonoUs = monoUs();
    this.#kind = kind;
    return { kind, pictures, sinceMonoUs: this.#sinceMonoUs };
  }
}
