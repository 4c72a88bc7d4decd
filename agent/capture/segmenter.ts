// Decides where the stream is cut. Pure: chunks in, segments out, no clock and no bytes touched.
// INVARIANT: a segment begins with a keyframe and holds all chunks up to the next one's first;
// its bytes and its length are bounded.
import { LenscapError } from '../../proto/errors.ts';

/** One moof + mdat of one track. Times are decode times in microseconds since the stream's zero. */
export interface Chunk {
  readonly kind: 'video' | 'audio';
  readonly startUs: number;
  readonly endUs: number;
  readonly isSync: boolean;
  readonly bytes: Uint8Array;
}

export interface Cut {
  readonly startUs: number;
  /** End of its video, and so the start of the next segment. */
  readonly endUs: number;
  /** In order of decode time. */
  readonly chunks: readonly Chunk[];
}

export interface SegmenterLimits {
  /** Aim for the length of a segment. */
  readonly targetUs: number;
  /** Longest wait for a keyframe, at the start and once the aim is reached. */
  readonly keyframeWaitUs: number;
  readonly maxBytes: number;
  readonly maxChunks: number;
}

/** Encoders place keyframes by counting frames: what is this near to the aim has reached it. */
const TOLERANCE = 1 / 16;

export class Segmenter {
  readonly #limits: SegmenterLimits;
  #targetUs: number;
  #firstSeenUs: number | undefined;
  /** Video since the last cut, each part from a keyframe to before the next. */
  #parts: Chunk[][] = [];
  #audio: Chunk[] = [];
  /** Of all that is held, pictures and sound. */
  #heldBytes = 0;
  #heldChunks = 0;

  constructor(limits: SegmenterLimits) {
    this.#limits = limits;
    this.#targetUs = limits.targetUs;
  }

  /** Another length to aim for, from now on; 0: a segment for each keyframe. */
  aim(targetUs: number): void {
    this.#targetUs = targetUs;
  }

  /**
   * Takes chunks in order of arrival; returns the segment that this one completes, if it does.
   * @throws CAPTURE_NO_KEYFRAME when none comes in time or within the bytes of a segment.
   */
  push(chunk: Chunk): Cut | undefined {
    if (chunk.kind === 'audio') {
      this.#audio.push(chunk);
      this.#hold(chunk);
      return this.#cutWhenFull();
    }
    this.#firstSeenUs ??= chunk.startUs;
    const cut = chunk.isSync ? this.#cutBefore(chunk) : undefined;
    if (chunk.isSync) this.#parts.push([chunk]);
    else this.#parts.at(-1)?.push(chunk);
    if (this.#parts.length > 0) this.#hold(chunk);
    this.#needKeyframe(chunk);
    return cut ?? this.#cutWhenFull();
  }

  /** The segment under way, as far as it got. Audio beyond its video is given up. */
  flush(): Cut | undefined {
    const endUs = this.#parts.at(-1)?.at(-1)?.endUs;
    const cut = endUs === undefined ? undefined : this.#cut(this.#parts.length, endUs);
    this.#audio = [];
    this.#recount();
    return cut;
  }

  #cutBefore(chunk: Chunk): Cut | undefined {
    const startUs = this.#startUs();
    if (startUs === undefined) {
      this.#audio = this.#audio.filter(({ endUs }) => endUs > chunk.startUs);
      this.#recount();
      return undefined;
    }
    if (chunk.startUs - startUs < this.#targetUs * (1 - TOLERANCE)) return undefined;
    return this.#cut(this.#parts.length, chunk.startUs);
  }

  #needKeyframe({ endUs }: Chunk): void {
    const { keyframeWaitUs } = this.#limits;
    const startUs = this.#startUs();
    const dueUs = startUs === undefined ? (this.#firstSeenUs ?? endUs) : startUs + this.#targetUs;
    if (endUs - dueUs <= keyframeWaitUs) return;
    throw new LenscapError(
      'CAPTURE_NO_KEYFRAME',
      `none came for ${Math.round((endUs - (startUs ?? dueUs)) / 1e6)} s: shorten the keyframe interval of the source, or raise capture.startTimeoutMs`,
    );
  }

  /** Too much for one segment: it ends before its last keyframe. */
  #cutWhenFull(): Cut | undefined {
    const { maxBytes, maxChunks } = this.#limits;
    const bytes = this.#heldBytes;
    if (bytes <= maxBytes && this.#heldChunks <= maxChunks) return undefined;
    const last = this.#parts.at(-1)?.[0];
    if (last !== undefined && this.#parts.length > 1)
      return this.#cut(this.#parts.length - 1, last.startUs);
    if (last === undefined)
      throw new LenscapError('CAPTURE_FAILED', `${bytes} bytes of sound came without a picture`);
    throw new LenscapError(
      'CAPTURE_NO_KEYFRAME',
      `${bytes} bytes since the last one: shorten the keyframe interval or lower the bit rate of the source`,
    );
  }

  #hold({ bytes }: Chunk): void {
    this.#heldBytes += bytes.byteLength;
    this.#heldChunks += 1;
  }

  #recount(): void {
    this.#heldBytes = 0;
    this.#heldChunks = 0;
    for (const chunk of [...this.#parts.flat(), ...this.#audio]) this.#hold(chunk);
  }

  #startUs(): number | undefined {
    return this.#parts[0]?.[0]?.startUs;
  }

  #cut(partCount: number, endUs: number): Cut | undefined {
    const video = this.#parts.slice(0, partCount).flat();
    const startUs = video[0]?.startUs;
    if (startUs === undefined) return undefined;
    const audio = this.#audio.filter((chunk) => chunk.startUs < endUs);
    this.#parts = this.#parts.slice(partCount);
    this.#audio = this.#audio.filter((chunk) => chunk.startUs >= endUs);
    this.#recount();
    const chunks = [...video, ...audio].sort((a, b) => a.startUs - b.startUs);
    return { startUs, endUs, chunks };
  }
}
