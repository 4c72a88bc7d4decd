// Fragments (moof + mdat) of one stored segment: measuring them, and rewriting them for another
// file. Sample data are passed on untouched; times, track ids, sample entries and offsets are new.
import {
  type Box,
  boxIn,
  corrupt,
  findBox,
  longWord,
  makeBox,
  parseBoxes,
  WordReader,
  words,
} from './boxes.ts';
import type { SampleDefaults, TrackMap, TrackTarget } from './init.ts';

const TFHD_BASE_OFFSET = 0x1;
const TFHD_DESCRIPTION = 0x2;
const TFHD_DURATION = 0x8;
const TFHD_BYTES = 0x10;
const TFHD_FLAGS = 0x20;
const TFHD_EMPTY = 0x10000;
const TFHD_BASE_IS_MOOF = 0x20000;
const TRUN_OFFSET = 0x1;
const TRUN_FIRST_FLAGS = 0x4;
const TRUN_DURATION = 0x100;
const TRUN_BYTES = 0x200;
const TRUN_SAMPLE_FLAGS = 0x400;
const TRUN_COMPOSITION = 0x800;

/** Decode times of a track in one segment, in its own units: [first, end). */
export interface TrackTimes {
  readonly first: number;
  readonly end: number;
}

/** Tracks by their id in the stream's own init. */
type Known = ReadonlyMap<number, { readonly defaults: SampleDefaults }>;

interface Run {
  readonly flags: number;
  readonly version: number;
  readonly samples: number;
  /** Of its first byte, from the start of the moof. */
  readonly dataOffset: number;
  /** First-sample flags and the table of samples, as they are. */
  readonly table: Buffer;
  readonly duration: number;
}

interface Traf {
  readonly trackId: number;
  readonly isEmpty: boolean;
  readonly defaults: SampleDefaults;
  readonly decodeTime: number;
  readonly runs: readonly Run[];
  /** What else is in it, passed on. */
  readonly others: readonly Buffer[];
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
  return fragmentsOf(media).flatMap(({ moof, mdat }) => {
    const trafs = trafsOf(moof, rewrite.tracks);
    const number = rewrite.nextFragment();
    // Offsets depend on the length of the moof, and its length not on the offsets.
    const draft = makeMoof(trafs, rewrite, number, 0);
    const delta = draft.length - (mdat.start - moof.start);
    return [makeMoof(trafs, rewrite, number, delta), mdat.bytes];
  });
}

function fragmentsOf(media: Buffer): { moof: Box; mdat: Box }[] {
  const boxes = parseBoxes(media);
  return boxes
    .map((moof, position) => ({ moof, mdat: findBox(boxes.slice(position, position + 3), 'mdat') }))
    .filter(({ moof }) => moof.type === 'moof')
    .map(({ moof, mdat }) => {
      if (!mdat) throw corrupt('a fragment has no media data');
      return { moof, mdat };
    });
}

function trafsOf(moof: Box, tracks: Known): Traf[] {
  let dataEnd = 0;
  return parseBoxes(moof.body)
    .filter(({ type }) => type === 'traf')
    .map((traf) => {
      const { parsed, end } = parseTraf(traf, tracks, dataEnd);
      dataEnd = end;
      return parsed;
    });
}

/** `start`: where the data of the traf before ends, from the start of the moof. */
function parseTraf(traf: Box, tracks: Known, start: number): { parsed: Traf; end: number } {
  const tfhd = boxIn(traf.body, 'tfhd').body;
  const reader = new WordReader(tfhd);
  const flags = reader.next() & 0xffffff;
  const trackId = reader.next();
  const track = tracks.get(trackId);
  if (!track) throw corrupt(`a fragment is of track ${trackId}, which its stream does not have`);
  if (flags & TFHD_BASE_OFFSET) throw corrupt('a fragment refers to a place outside itself');
  const defaults: SampleDefaults = {
    descriptionIndex: flags & TFHD_DESCRIPTION ? reader.next() : track.defaults.descriptionIndex,
    duration: flags & TFHD_DURATION ? reader.next() : track.defaults.duration,
    bytes: flags & TFHD_BYTES ? reader.next() : track.defaults.bytes,
    flags: flags & TFHD_FLAGS ? reader.next() : track.defaults.flags,
  };
  const base = flags & TFHD_BASE_IS_MOOF ? 0 : start;
  let end = base;
  const runs: Run[] = [];
  const others: Buffer[] = [];
  for (const box of parseBoxes(traf.body))
    if (box.type === 'trun') {
      const { run, bytes } = parseRun(box.body, defaults, base, end);
      runs.push(run);
      end = run.dataOffset + bytes;
    } else if (box.type !== 'tfhd' && box.type !== 'tfdt') others.push(box.bytes);
  const decodeTime = decodeTimeOf(boxIn(traf.body, 'tfdt').body);
  const isEmpty = (flags & TFHD_EMPTY) !== 0;
  return { parsed: { trackId, isEmpty, defaults, decodeTime, runs, others }, end };
}

function decodeTimeOf(tfdt: Buffer): number {
  const reader = new WordReader(tfdt, 4);
  return tfdt[0] === 1 ? reader.nextLong() : reader.next();
}

function parseRun(
  body: Buffer,
  defaults: SampleDefaults,
  base: number,
  follows: number,
): { run: Run; bytes: number } {
  const reader = new WordReader(body);
  const head = reader.next();
  const flags = head & 0xffffff;
  const samples = reader.next();
  const dataOffset = flags & TRUN_OFFSET ? base + reader.nextSigned() : follows;
  const table = reader.rest();
  const { duration, bytes } = sumSamples(table, flags, samples, defaults);
  return { run: { flags, version: head >>> 24, samples, dataOffset, table, duration }, bytes };
}

function sumSamples(
  table: Buffer,
  flags: number,
  samples: number,
  defaults: SampleDefaults,
): { duration: number; bytes: number } {
  const reader = new WordReader(table, flags & TRUN_FIRST_FLAGS ? 4 : 0);
  const perSample = [TRUN_DURATION, TRUN_BYTES, TRUN_SAMPLE_FLAGS, TRUN_COMPOSITION];
  if (!perSample.some((flag) => flags & flag))
    return { duration: samples * defaults.duration, bytes: samples * defaults.bytes };
  let duration = 0;
  let bytes = 0;
  for (let sample = 0; sample < samples; sample += 1) {
    duration += flags & TRUN_DURATION ? reader.next() : defaults.duration;
    bytes += flags & TRUN_BYTES ? reader.next() : defaults.bytes;
    if (flags & TRUN_SAMPLE_FLAGS) reader.next();
    if (flags & TRUN_COMPOSITION) reader.next();
  }
  return { duration, bytes };
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
