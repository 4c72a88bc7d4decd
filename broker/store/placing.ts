// Puts what devices send at its time, before anything else is judged: by the anchor of its boot.
import type { Transaction } from 'kysely';
import { offsetsOfBoots, offsetsOfStreams, placed } from './anchors.ts';
import type { Candidate } from './commit.ts';
import type { Tables } from './schema.ts';

/** The group at its times, in the same order. What has no anchor stays as its camera said. */
export async function placeGroup(
  trx: Transaction<Tables>,
  group: readonly Candidate[],
): Promise<Candidate[]> {
  const segments = group.filter((candidate) => candidate.kind === 'segment');
  const ofStreams = await offsetsOfStreams(
    trx,
    segments.map(({ row }) => row),
  );
  const others = group.filter((candidate) => candidate.kind !== 'segment');
  const ofBoots = await offsetsOfBoots(
    trx,
    others.map(({ row }) => row),
  );
  // A stream of the same group is not stored yet.
  for (const { kind, row } of others) {
    const offsetUs = ofBoots.get(bootKey(row));
    if (kind === 'stream' && offsetUs !== undefined) ofStreams.set(streamKey(row), offsetUs);
  }
  return group.map((candidate): Candidate => {
    if (candidate.kind === 'segment')
      return { ...candidate, row: at(candidate.row, ofStreams.get(streamKey(candidate.row))) };
    const offsetUs = ofBoots.get(bootKey(candidate.row));
    if (candidate.kind === 'gap') return { ...candidate, row: at(candidate.row, offsetUs) };
    if (candidate.kind === 'event') return { ...candidate, row: at(candidate.row, offsetUs) };
    if (candidate.kind === 'snapshot') return { ...candidate, row: at(candidate.row, offsetUs) };
    const row = at(candidate.row, offsetUs);
    return { ...candidate, row: offsetUs === undefined ? row : { ...row, time_estimated: 0 } };
  });
}

function at<T extends Parameters<typeof placed>[0]>(row: T, offsetUs: number | undefined): T {
  return offsetUs === undefined ? row : placed(row, offsetUs);
}

const bootKey = (row: { device_id: string; boot_id: string }): string =>
  `${row.device_id}/${row.boot_id}`;
const streamKey = (row: { device_id: string; stream_id: string }): string =>
  `${row.device_id}/${row.stream_id}`;
