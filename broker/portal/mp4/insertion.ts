// Puts parameter sets in front of the first picture of a fragment: its sample grows, what lies behind
// moves, and the size of that sample is written out where it was implied.
import { corrupt, makeBox, WordReader, words } from './boxes.ts';
import type { TrackMap } from './init.ts';
import { delimiterBytes, type ParameterSets } from './parameter-sets.ts';
import {
  type Run,
  TRUN_BYTES,
  TRUN_COMPOSITION,
  TRUN_DURATION,
  TRUN_FIRST_FLAGS,
  TRUN_SAMPLE_FLAGS,
  type Traf,
} from './traf.ts';

const MDAT_HEADER_BYTES = 8;

/** What a fragment becomes; undefined when it has no picture that needs it. */
export interface Insertion {
  readonly trafs: readonly Traf[];
  /** The media data box. */
  readonly data: readonly Buffer[];
}

/** `mdatAt`: from the start of the moof to that of `mdat`, the whole media data box. */
export function insertionFor(
  trafs: readonly Traf[],
  mdat: Buffer,
  mdatAt: number,
  tracks: TrackMap,
): Insertion | undefined {
  const traf = trafs.find(({ trackId }) => (tracks.get(trackId)?.inBand.length ?? 0) > 0);
  const run = traf?.runs.find(({ samples }) => samples > 0);
  const sets = traf && tracks.get(traf.trackId)?.inBand[traf.defaults.descriptionIndex - 1];
  if (!traf || !run || !sets) return undefined;
  const at = placeFor(mdat, run.dataOffset - mdatAt, sets);
  const grown = sets.units.length;
  const move = (other: Run): Run =>
    other.dataOffset > run.dataOffset ? { ...other, dataOffset: other.dataOffset + grown } : other;
  const withRoom = (other: Run): Run =>
    other === run ? grownRun(run, traf.defaults.bytes, grown) : move(other);
  return {
    trafs: trafs.map((other) => ({ ...other, runs: other.runs.map(withRoom) })),
    data: [makeBox('mdat', mdat.subarray(MDAT_HEADER_BYTES, at), sets.units, mdat.subarray(at))],
  };
}

/** Where the sets go: at the start of the sample, behind its delimiter. */
function placeFor(mdat: Buffer, sampleAt: number, { lengthBytes }: ParameterSets): number {
  if (mdat.readUInt32BE(0) !== mdat.length) throw corrupt('media data have a long header');
  if (sampleAt < MDAT_HEADER_BYTES || sampleAt >= mdat.length)
    throw corrupt('samples lie outside their media data');
  return sampleAt + delimiterBytes(mdat.subarray(sampleAt), lengthBytes);
}

/** A minute of the shortest audio frames, and far more than a chunk has. */
const MAX_SAMPLES = 100_000;

/** The run with every size written out, the first one grown. */
function grownRun(run: Run, defaultBytes: number, grown: number): Run {
  // Without sizes of its own a run may claim any number of samples.
  if (run.samples > MAX_SAMPLES) throw corrupt('a run claims too many samples');
  const reader = new WordReader(run.table);
  const table: number[] = [];
  if (run.flags & TRUN_FIRST_FLAGS) table.push(reader.next());
  for (let sample = 0; sample < run.samples; sample += 1) {
    if (run.flags & TRUN_DURATION) table.push(reader.next());
    const bytes = run.flags & TRUN_BYTES ? reader.next() : defaultBytes;
    table.push(sample === 0 ? bytes + grown : bytes);
    if (run.flags & TRUN_SAMPLE_FLAGS) table.push(reader.next());
    if (run.flags & TRUN_COMPOSITION) table.push(reader.next());
  }
  return { ...run, flags: run.flags | TRUN_BYTES, table: words(...table) };
}
