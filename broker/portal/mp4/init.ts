// Init segments (ftyp + moov): reading their tracks, and making one out of several, in which each
// track of a kind holds every sample entry that any of them has.
import { LenscapError } from '../../../proto/errors.ts';
import { type Box, boxIn, corrupt, makeBox, parseBoxes, WordReader, words } from './boxes.ts';
import { formatOf } from './format.ts';
import { type ParameterSets, parameterSetsOf } from './parameter-sets.ts';

export type TrackKind = 'video' | 'audio';
const KINDS = ['video', 'audio'] as const;

/** What a fragment leaves unsaid. */
export interface SampleDefaults {
  readonly descriptionIndex: number;
  readonly duration: number;
  readonly bytes: number;
  readonly flags: number;
}

export interface InitTrack {
  readonly kind: TrackKind;
  readonly trackId: number;
  /** Units per second of its decode times. */
  readonly timescale: number;
  /** Sample entries, as whole boxes. */
  readonly entries: readonly Buffer[];
  readonly trak: Buffer;
  readonly defaults: SampleDefaults;
}

/** Where a track of one init goes in the merged one. */
export interface TrackTarget {
  readonly kind: TrackKind;
  readonly trackId: number;
  readonly timescale: number;
  /** Position among the merged sample entries, from 1, of each of the init's own. */
  readonly descriptionIndexes: readonly number[];
  /** Parameter sets to put before the pictures of each of its sample entries, where needed. */
  readonly inBand: readonly (ParameterSets | undefined)[];
  readonly defaults: SampleDefaults;
}

/** Targets by the track id that the init itself uses. */
export type TrackMap = ReadonlyMap<number, TrackTarget>;

/** The video and audio tracks of an init. @throws STORE_CORRUPT. */
export function parseInit(init: Buffer): InitTrack[] {
  const moov = boxIn(init, 'moov');
  const trexes = parseBoxes(boxIn(moov.body, 'mvex').body).filter(({ type }) => type === 'trex');
  return parseBoxes(moov.body)
    .filter(({ type }) => type === 'trak')
    .flatMap((trak) => parseTrack(trak, trexes));
}

function parseTrack(trak: Box, trexes: readonly Box[]): InitTrack[] {
  const handler = boxIn(trak.body, 'mdia', 'hdlr').body.toString('latin1', 8, 12);
  if (handler !== 'vide' && handler !== 'soun') return [];
  const tkhd = boxIn(trak.body, 'tkhd').body;
  const trackId = new WordReader(tkhd, tkhd[0] === 1 ? 20 : 12).next();
  const mdhd = boxIn(trak.body, 'mdia', 'mdhd').body;
  const timescale = new WordReader(mdhd, mdhd[0] === 1 ? 20 : 12).next();
  const stsd = boxIn(trak.body, 'mdia', 'minf', 'stbl', 'stsd').body;
  const entries = parseBoxes(stsd.subarray(8)).map(({ bytes }) => bytes);
  const trex = trexes.find(({ body }) => new WordReader(body, 4).next() === trackId);
  if (!trex || timescale === 0 || entries.length === 0) throw corrupt('a track is not described');
  const reader = new WordReader(trex.body, 8);
  const [descriptionIndex, duration, bytes, flags] = Array.from({ length: 4 }, () => reader.next());
  const defaults = {
    descriptionIndex: descriptionIndex ?? 1,
    duration: duration ?? 0,
    bytes: bytes ?? 0,
    flags: flags ?? 0,
  };
  const kind = handler === 'vide' ? 'video' : 'audio';
  return [{ kind, trackId, timescale, entries, trak: trak.body, defaults }];
}

/**
 * One init for all of `inits`, and for each of them where its tracks go. `durationMs` is the length
 * of the whole file. All pictures go in one track; sound of another format in a track of its own.
 * @throws REQUEST_INVALID when the pictures cannot be in one track.
 */
export function mergeInits(
  inits: readonly Buffer[],
  durationMs: number,
): { init: Buffer; maps: TrackMap[] } {
  const [first] = inits;
  if (!first) throw corrupt('there is no init');
  const parsed = inits.map(parseInit);
  const all = KINDS.flatMap((kind) => parsed.flat().filter((track) => track.kind === kind));
  const merged = [...Map.groupBy(all, groupOf).values()].map(mergeTracks);
  const groups = [...new Set(all.map(groupOf))];
  const maps = parsed.map(
    (tracks) =>
      new Map(
        tracks.map((track) => [
          track.trackId,
          targetOf(track, groups.indexOf(groupOf(track)), merged),
        ]),
      ),
  );
  const ftyp = boxIn(first, 'ftyp').bytes;
  return { init: Buffer.concat([ftyp, makeMoov(first, merged, durationMs)]), maps };
}

/** Tracks of the same group become one. */
function groupOf({ kind, timescale, entries }: InitTrack): string {
  if (kind === 'video') return kind;
  return [kind, timescale, ...entries.map((entry) => formatOf(kind, entry))].join(' ');
}

interface MergedTrack {
  readonly timescale: number;
  readonly entries: readonly Buffer[];
  readonly trak: Buffer;
}

function mergeTracks(tracks: readonly InitTrack[]): MergedTrack {
  const [template] = tracks;
  if (!template) throw corrupt('a track is not described');
  const { kind, timescale, trak } = template;
  const byFormat = Map.groupBy(
    tracks.flatMap((track) => track.entries),
    (entry) => formatOf(kind, entry),
  );
  const entries = [...byFormat.values()].flatMap((same) => same.slice(0, 1));
  const lengths = new Set(entries.map((entry) => parameterSetsOf(entry)?.lengthBytes));
  if (tracks.some((track) => track.timescale !== timescale) || lengths.size > 1)
    throw new LenscapError(
      'REQUEST_INVALID',
      'the pictures of this range have formats that do not go into one file; export its streams one by one',
    );
  return { timescale, entries, trak };
}

function targetOf(track: InitTrack, position: number, merged: readonly MergedTrack[]): TrackTarget {
  const entries = merged[position]?.entries ?? [];
  const { kind, timescale, defaults } = track;
  const formats = entries.map((entry) => formatOf(kind, entry));
  return {
    kind,
    trackId: position + 1,
    timescale,
    descriptionIndexes: track.entries.map((entry) => formats.indexOf(formatOf(kind, entry)) + 1),
    inBand: entries.length > 1 ? track.entries.map(parameterSetsOf) : [],
    defaults,
  };
}

function makeMoov(first: Buffer, merged: readonly MergedTrack[], durationMs: number): Buffer {
  const mvhd = boxIn(first, 'moov', 'mvhd').bytes;
  const version = mvhd[8];
  const timescale = new WordReader(mvhd, version === 1 ? 28 : 20).next();
  const nextTrack = Buffer.concat([mvhd.subarray(0, -4), words(merged.length + 1)]);
  const fragmentDuration = Math.min(Math.round((durationMs * timescale) / 1000), 2 ** 32 - 1);
  const traks = merged.map((track, position) =>
    makeBox('trak', ...parseBoxes(track.trak).map((box) => rewriteTrak(box, track, position + 1))),
  );
  const trexes = merged.map((_, position) => makeBox('trex', words(0, position + 1, 1, 0, 0, 0)));
  const mehd = makeBox('mehd', words(0, fragmentDuration));
  return makeBox('moov', nextTrack, ...traks, makeBox('mvex', mehd, ...trexes));
}

/** A box inside trak, with the track's new id and its merged sample entries. */
function rewriteTrak(box: Box, track: MergedTrack, trackId: number): Buffer {
  if (box.type === 'tkhd') {
    const at = box.body[0] === 1 ? 20 : 12;
    return makeBox('tkhd', box.body.subarray(0, at), words(trackId), box.body.subarray(at + 4));
  }
  if (box.type === 'mdia' || box.type === 'minf' || box.type === 'stbl')
    return makeBox(
      box.type,
      ...parseBoxes(box.body).map((inner) => rewriteTrak(inner, track, trackId)),
    );
  if (box.type === 'stsd') return makeBox('stsd', words(0, track.entries.length), ...track.entries);
  return box.bytes;
}
