// From the bytes of the muxer to streams and segments for the sink, stamped with times and consent.
// What the roll does not want is held as long as it may come to want it, and is then dropped.
// INVARIANT: a stream is handed over before its segments, sequences have no holes, and after
// close() nothing is handed over or held any more.
import { createHash, randomBytes } from 'node:crypto';
import type { Scope } from '../../proto/scopes.ts';
import type { SegmentHeader } from '../../proto/segment.ts';
import type { Stream, Track } from '../../proto/stream.ts';
import type { MediaTime } from '../clock.ts';
import { type Piece, PreRoll } from '../recording/pre-roll.ts';
import type { Roll } from '../recording/roll.ts';
import { BoxSplitter } from './box-splitter.ts';
import { malformed } from './boxes.ts';
import { type Fragment, mendDurations, parseFragment } from './fragment.ts';
import { parseMovie } from './movie.ts';
import { Rhythm } from './rhythm.ts';
import { type Chunk, type Cut, Segmenter, type SegmenterLimits } from './segmenter.ts';

export interface RecorderDeps {
  readonly clock: MediaTime;
  readonly bootId: string;
  readonly epoch: number;
  readonly limits: SegmenterLimits;
  /** Which stretches of time are wanted; absent: all. */
  readonly roll?: Pick<Roll, 'isWanted' | 'keepFromUs' | 'onChange'> | undefined;
  /** A step of the wall clock against the monotonic one that begins a new stream. */
  readonly clockJumpUs: number;
  readonly onStream: (stream: Stream) => void;
  readonly onSegment: (header: SegmentHeader, chunks: readonly Uint8Array[]) => void;
  /** Pictures of this stretch are not wanted now. They may be handed over all the same, later. */
  readonly onQuiet?: (startMonoUs: number, durationUs: number) => void;
  /** Called for each chunk with pictures: with their number, and how many are missing among them. */
  readonly onVideo: (count: number, missing: number) => void;
}

const MAX_BOX_BYTES = 8 << 20;

interface RunningStream {
  readonly id: string;
  readonly wallLessMonoUs: number;
  readonly timeEstimated: boolean;
}

/** A cut with its times. */
interface Held extends Piece {
  readonly cut: Cut;
}

export class Recorder {
  readonly #deps: RecorderDeps;
  readonly #splitter: BoxSplitter;
  readonly #held = new PreRoll<Held>();
  readonly #stopListening: () => void;
  #segmenter: Segmenter;
  #rhythm = new Rhythm();
  #ftyp: Buffer = Buffer.alloc(0);
  #init: Buffer = Buffer.alloc(0);
  #tracks: Track[] = [];
  #scopes: readonly Scope[] = ['video'];
  #moof: { readonly box: Buffer; readonly fragment: Fragment } | undefined;
  /** Monotonic time of decode time zero: earliest arrival less decode time seen so far. */
  #zeroMonoUs = Number.POSITIVE_INFINITY;
  /** Zero is fixed with the first cut. */
  #isTimed = false;
  #stream: RunningStream | undefined;
  #sequence = 0;
  #isClosed = false;

  constructor(deps: RecorderDeps) {
    this.#deps = deps;
    this.#segmenter = new Segmenter(deps.limits);
    this.#splitter = new BoxSplitter(MAX_BOX_BYTES, (type, box) => this.#box(type, box));
    this.#stopListening = deps.roll?.onChange(() => this.#release()) ?? (() => undefined);
  }

  /** @throws CAPTURE_FAILED for damaged bytes, CAPTURE_NO_KEYFRAME. */
  push(bytes: Buffer): void {
    if (!this.#isClosed) this.#splitter.push(bytes);
  }

  /** Hands over the segment under way, then nothing more. */
  finish(): void {
    if (!this.#isClosed) this.#take(this.#segmenter.flush());
    this.close();
  }

  /** Drops the segment under way and what is held; nothing more is handed over. */
  close(): void {
    this.#isClosed = true;
    this.#stopListening();
    this.#held.drop();
  }

  #box(type: string, box: Buffer): void {
    if (this.#isClosed) return;
    if (type === 'ftyp') this.#ftyp = box;
    else if (type === 'moov') this.#movie(box);
    else if (type === 'moof') this.#fragment(box);
    else if (type === 'mdat') this.#media(box);
  }

  #movie(moov: Buffer): void {
    this.#take(this.#segmenter.flush());
    // It belongs to the old init bytes.
    this.#held.drop();
    this.#segmenter = new Segmenter(this.#deps.limits);
    this.#rhythm = new Rhythm();
    this.#tracks = parseMovie(moov);
    this.#scopes = this.#tracks.some(({ kind }) => kind === 'audio')
      ? ['video', 'audio']
      : ['video'];
    this.#init = Buffer.concat([this.#ftyp, moov]);
    this.#stream = undefined;
    this.#isTimed = false;
    this.#zeroMonoUs = Number.POSITIVE_INFINITY;
  }

  #fragment(moof: Buffer): void {
    mendDurations(moof);
    this.#moof = { box: moof, fragment: parseFragment(moof) };
  }

  #media(mdat: Buffer): void {
    const moof = this.#moof ?? malformed('mdat without moof');
    this.#moof = undefined;
    const track =
      this.#tracks.find(({ trackId }) => trackId === moof.fragment.trackId) ??
      malformed(`no track ${moof.fragment.trackId}`);
    const { start, duration, isSync } = moof.fragment;
    const chunk: Chunk = {
      kind: track.kind,
      startUs: toUs(start, track.timescale),
      endUs: toUs(start + duration, track.timescale),
      isSync,
      bytes: Buffer.concat([moof.box, mdat]),
    };
    // A chunk is complete when its last sample ends, so nothing arrives before its end.
    if (!this.#isTimed)
      this.#zeroMonoUs = Math.min(this.#zeroMonoUs, this.#deps.clock.monoUs() - chunk.endUs);
    if (chunk.kind === 'video') {
      const { sampleCount, durations } = moof.fragment;
      this.#deps.onVideo(sampleCount, this.#rhythm.missing(durations));
      this.#aim(this.#zeroMonoUs + chunk.startUs);
    }
    this.#take(this.#segmenter.push(chunk));
  }

  /** What may have to be dropped is cut at each keyframe. */
  #aim(monoUs: number): void {
    const isWanted = this.#deps.roll?.isWanted(monoUs, monoUs + 1) ?? true;
    this.#segmenter.aim(isWanted ? this.#deps.limits.targetUs : 0);
  }

  #take(cut: Cut | undefined): void {
    if (cut === undefined || this.#isClosed) return;
    // Decode times of a machine that has just been booted may lie before its zero.
    if (!this.#isTimed) this.#zeroMonoUs = Math.max(0, this.#zeroMonoUs);
    this.#isTimed = true;
    const { roll, onQuiet } = this.#deps;
    const startMonoUs = this.#zeroMonoUs + cut.startUs;
    const endMonoUs = this.#zeroMonoUs + cut.endUs;
    if (roll === undefined || roll.isWanted(startMonoUs, endMonoUs)) {
      this.#release();
      this.#held.drop();
      this.#hand(cut);
    } else {
      const bytes = cut.chunks.reduce((sum, chunk) => sum + chunk.bytes.byteLength, 0);
      this.#held.hold({ cut, startMonoUs, endMonoUs, bytes }, roll.keepFromUs());
      onQuiet?.(startMonoUs, endMonoUs - startMonoUs);
    }
  }

  /** Hands over what is held and has come to be wanted. */
  #release(): void {
    const { roll } = this.#deps;
    if (this.#isClosed || roll === undefined) return;
    const wanted = this.#held.take((one) => roll.isWanted(one.startMonoUs, one.endMonoUs));
    for (const { cut } of wanted) this.#hand(cut);
  }

  #hand(cut: Cut): void {
    const { id, wallLessMonoUs } = this.#streamInForce();
    const startMonoUs = this.#zeroMonoUs + cut.startUs;
    const hash = createHash('sha256');
    for (const { bytes } of cut.chunks) hash.update(bytes);
    const header: SegmentHeader = {
      streamId: id,
      sequence: this.#sequence,
      startAtUs: startMonoUs + wallLessMonoUs,
      startMonoUs,
      durationUs: Math.max(1, cut.endUs - cut.startUs),
      decodeStartUs: cut.startUs,
      epoch: this.#deps.epoch,
      scopes: this.#scopes,
      sha256: hash.digest(),
    };
    this.#sequence += 1;
    this.#deps.onSegment(
      header,
      cut.chunks.map(({ bytes }) => bytes),
    );
  }

  /**
   * The stream of the next segment: a new one at the start, after a jump of the wall clock, and when
   * its time begins or ceases to be an estimate.
   */
  #streamInForce(): RunningStream {
    const { clock, bootId, epoch, onStream } = this.#deps;
    const wallLessMonoUs = clock.wallUs() - clock.monoUs();
    const timeEstimated = clock.isEstimated();
    const current = this.#stream;
    if (current && this.#goesOn(current, wallLessMonoUs, timeEstimated)) return current;
    const next = { id: randomBytes(16).toString('hex'), wallLessMonoUs, timeEstimated };
    this.#stream = next;
    this.#sequence = 0;
    onStream({
      streamId: next.id,
      bootId,
      startAtUs: this.#zeroMonoUs + wallLessMonoUs,
      startMonoUs: this.#zeroMonoUs,
      epoch,
      scopes: this.#scopes,
      tracks: this.#tracks,
      timeEstimated,
      init: this.#init,
    });
    return next;
  }

  #goesOn(current: RunningStream, wallLessMonoUs: number, timeEstimated: boolean): boolean {
    const jumpUs = Math.abs(wallLessMonoUs - current.wallLessMonoUs);
    return jumpUs <= this.#deps.clockJumpUs && timeEstimated === current.timeEstimated;
  }
}

function toUs(units: number, timescale: number): number {
  return Math.round((units * 1e6) / timescale);
}
