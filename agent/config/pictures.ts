// Camera and capture as a trial sees them.
import type { AgentConfig } from '../../proto/agent-config.ts';
import type { LenscapError } from '../../proto/errors.ts';
import type { Camera } from '../camera.ts';
import type { Capture } from '../capture/capture.ts';
import { changeOf } from '../capture/change.ts';
import type { Pictures } from './condition.ts';

export interface CapturePicturesDeps {
  readonly camera: Pick<Camera, 'isWanted' | 'restart' | 'state' | 'onChange'>;
  readonly capture: Pick<Capture, 'adjust' | 'figures'>;
  /** Calls back when a capture has failed. Returns how to stop that. */
  readonly onFailed: (listener: (error: LenscapError) => void) => () => void;
}

export class CapturePictures implements Pictures {
  readonly #deps: CapturePicturesDeps;

  constructor(deps: CapturePicturesDeps) {
    this.#deps = deps;
  }

  isWanted(): boolean {
    return this.#deps.camera.isWanted();
  }

  lastPictureUs(): number | null {
    return this.#deps.capture.figures().lastPictureMonoUs;
  }

  changeOf(before: AgentConfig, after: AgentConfig): 'none' | 'live' | 'restart' {
    return changeOf(before, after);
  }

  adjust(): Promise<'set' | 'restart'> {
    return this.#deps.capture.adjust();
  }

  async restart(): Promise<void> {
    const { camera } = this.#deps;
    const { promise, resolve } = Promise.withResolvers<void>();
    const look = () => {
      if (!camera.state().isCapturing) resolve();
    };
    const stopListening = camera.onChange(look);
    camera.restart();
    look();
    await promise.finally(stopListening);
  }

  onFailed(listener: (error: LenscapError) => void): () => void {
    return this.#deps.onFailed(listener);
  }
}
