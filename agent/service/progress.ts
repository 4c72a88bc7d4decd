// How the pictures come along, for the watchdog of the service manager.
// Invariants: `resting` only after a failure that was told, and until the next picture; each opening of
// the camera is a state of its own, however short it was closed.
import type { Progress } from './watchdog.ts';

export interface PictureProgressDeps {
  readonly camera: {
    state(): { readonly isCapturing: boolean };
    onChange(listener: () => void): () => void;
  };
  readonly capture: { figures(): { readonly framesCaptured: number } };
  readonly monoUs: () => number;
}

export class PictureProgress {
  readonly #deps: PictureProgressDeps;
  /** Pictures there were when the source failed last. */
  #failedAt: number | null = null;
  #kind: Progress['kind'] = 'closed';
  #since = { monoUs: 0, pictures: 0 };

  constructor(deps: PictureProgressDeps) {
    this.#deps = deps;
    deps.camera.onChange(() => this.now());
  }

  /** The source has failed, and is tried again. */
  failed(): void {
    this.#failedAt = this.#deps.capture.figures().framesCaptured;
  }

  now(): Progress {
    const { camera, capture, monoUs } = this.#deps;
    const { framesCaptured } = capture.figures();
    const open = this.#failedAt === framesCaptured ? 'resting' : 'capturing';
    const kind = camera.state().isCapturing ? open : 'closed';
    if (kind !== this.#kind) this.#since = { monoUs: monoUs(), pictures: framesCaptured };
    this.#kind = kind;
    const { monoUs: sinceMonoUs, pictures } = this.#since;
    return { kind, pictures: framesCaptured - pictures, sinceMonoUs };
  }
}
