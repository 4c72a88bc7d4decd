// Stored segments as fragments: measuring them, and rewriting them for another file. Samples are
// passed on untouched; times, track ids, sample entries and offsets are new.
import { corrupt, longWord, makeBox, words } from './boxes.ts';
import type { TrackMap, TrackTarget } from './init.ts';
import { insertionFor } from './insertion.ts';
import {
  fragmentsOf,
  type Known,
  type Run,
  TFHD_BASE_IS_MOOF,
  TFHD_BYTES,
  TFHD_DESCRIPTION,
  TFHD_DURATION,
  TFHD_EMPTY,
  TFHD_FLAGS,
  TRUN_OFFSET,
  type Traf,
  trafsOf,
} from './traf.ts';

/** Decode times of a track in one segment, in its own units: [first, end). */
export interface TrackTimes {
  readonly first: number;
  readonly end: number;
}

/** Decode times of each track of a segment, by the track id of its own init. @throws STORE_CORRUPT. */
export function measureSegment(media: Buffer, tracks: Known): Map<number, TrackTimes> {
  const times = new Map<number, TrackTimes>();
  for (const { moof } of fragmentsOf(media))
    for (const { trackId, decodeTime, runs } of trafsOf(moof, tracks)) {
      const end = runs.reduce((sum, { duration }) => sum + duration, decodeTime);
      const known = times.get(trackId);
      times.set(trackId, {
        first: Math.min(known?.first ?? decodeTime, decodeTime),
        end: Math.max(known?.end ?? end, end),
      });
    }
  return times;
}

export interface Rewrite {
  readonly tracks: TrackMap;
  /** What is added to a track's decode times, in its units, by its own track id. */
  readonly shift: (target: TrackTarget) => number;
  /** Number of the next fragment in the file. */
  readonly nextFragment: () => number;
}

/** The fragments of a segment for another file, as buffers to be written one after another. */
export function rewriteSegment(media: Buffer, rewrite: Rewrite): Buffer[] {
  let isAhead = true;
  return fragmentsOf(media).flatMap(({ moof, mdat }) => {
    const trafs = trafsOf(moof, rewrite.tracks);
    const mdatAt = mdat.start - moof.start;
    const insertion = isAhead ? insertionFor(trafs, mdat.bytes, mdatAt, rewrite.tracks) : undefined;
    if (insertion) isAhead = false;
    const moved = insertion ? insertion.trafs : trafs;
    const data = insertion ? insertion.data : [mdat.bytes];
    const number = rewrite.nextFragment();
    // Offsets depend on the length of the moof, and its length not on the offsets.
    const draft = makeMoof(moved, rewrite, number, 0);
    return [makeMoof(moved, rewrite, number, draft.length - mdatAt), ...data];
  });
}

/** `delta` moves where the data lie, since the moof has another length than it had. */
function makeMoof(
  trafs: readonly Traf[],
  { tracks, shift }: Rewrite,
  fragment: number,
  delta: number,
): Buffer {
  const made = trafs.map((traf) => {
    const target = tracks.get(traf.trackId);
    if (!target) throw corrupt(`track ${traf.trackId} is not described`);
    const decodeTime = traf.decodeTime + shift(target);
    if (decodeTime < 0) throw corrupt('a fragment lies before the start of its recording');
    return makeBox(
      'traf',
      makeTfhd(traf, target),
      makeBox('tfdt', words(1 << 24), longWord(decodeTime)),
      ...traf.runs.map((run) => makeTrun(run, delta)),
      ...traf.others,
    );
  });
  return makeBox('moof', makeBox('mfhd', words(0, fragment)), ...made);
}

function makeTfhd({ defaults, isEmpty }: Traf, target: TrackTarget): Buffer {
  const index = target.descriptionIndexes[defaults.descriptionIndex - 1];
  if (index === undefined) throw corrupt('a fragment names a sample entry that there is not');
  const flags =
    TFHD_DESCRIPTION |
    TFHD_DURATION |
    TFHD_BYTES |
    TFHD_FLAGS |
    TFHD_BASE_IS_MOOF |
    (isEmpty ? TFHD_EMPTY : 0);
  const { duration, bytes, flags: sampleFlags } = defaults;
  return makeBox('tfhd', words(flags, target.trackId, index, duration, bytes, sampleFlags));
}

function makeTrun({ version, flags, samples, dataOffset, table }: Run, delta: number): Buffer {
  const head = words((version << 24) | flags | TRUN_OFFSET, samples, dataOffset + delta);
  return makeBox('trun', head, table);
}
