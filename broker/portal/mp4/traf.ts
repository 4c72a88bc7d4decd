// What a fragment (moof) says: tracks, decode times, runs of samples and where their data lie. Every
// default is resolved, so that nothing depends on the file that the fragment stands in.
import { type Box, boxIn, corrupt, findBox, parseBoxes, WordReader } from './boxes.ts';
import type { SampleDefaults } from './init.ts';

export const TFHD_BASE_OFFSET = 0x1;
export const TFHD_DESCRIPTION = 0x2;
export const TFHD_DURATION = 0x8;
export const TFHD_BYTES = 0x10;
export const TFHD_FLAGS = 0x20;
export const TFHD_EMPTY = 0x10000;
export const TFHD_BASE_IS_MOOF = 0x20000;
export const TRUN_OFFSET = 0x1;
export const TRUN_FIRST_FLAGS = 0x4;
export const TRUN_DURATION = 0x100;
export const TRUN_BYTES = 0x200;
export const TRUN_SAMPLE_FLAGS = 0x400;
export const TRUN_COMPOSITION = 0x800;

/** Tracks by their id in the stream's own init. */
export type Known = ReadonlyMap<number, { readonly defaults: SampleDefaults }>;

export interface Run {
  readonly flags: number;
  readonly version: number;
  readonly samples: number;
  /** Of its first byte, from the start of the moof. */
  readonly dataOffset: number;
  /** First-sample flags and the table of samples, as they are. */
  readonly table: Buffer;
  readonly duration: number;
}

export interface Traf {
  readonly trackId: number;
  readonly isEmpty: boolean;
  readonly defaults: SampleDefaults;
  readonly decodeTime: number;
  readonly runs: readonly Run[];
  /** What else is in it, passed on. */
  readonly others: readonly Buffer[];
}

/** The fragments of a segment. @throws STORE_CORRUPT. */
export function fragmentsOf(media: Buffer): { moof: Box; mdat: Box }[] {
  const boxes = parseBoxes(media);
  return boxes
    .map((moof, position) => ({ moof, mdat: findBox(boxes.slice(position, position + 3), 'mdat') }))
    .filter(({ moof }) => moof.type === 'moof')
    .map(({ moof, mdat }) => {
      if (!mdat) throw corrupt('a fragment has no media data');
      return { moof, mdat };
    });
}

/** What a fragment says of each track. @throws STORE_CORRUPT. */
export function trafsOf(moof: Box, tracks: Known): Traf[] {
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
