// HLS media playlists (RFC 8216, version 7, fMP4) over stored rows. Pure. Addresses in them are
// relative to the playlist, so that the token in its path covers them.
import type { GapRow, SegmentRow } from '../store/media-rows.ts';
import { breakBetween, GapReasons, isContinued } from './timeline.ts';
import { isoTime } from './times.ts';

const US_PER_S = 1_000_000;

/** `isLive`: more may come, so the list has no end yet. */
export function mediaPlaylist(
  rows: readonly SegmentRow[],
  gaps: readonly GapRow[],
  isLive: boolean,
): string {
  const longestS = Math.max(1, ...rows.map((row) => Math.round(row.duration_us / US_PER_S)));
  const lines = [
    '#EXTM3U',
    '#EXT-X-VERSION:7',
    `#EXT-X-TARGETDURATION:${longestS}`,
    '#EXT-X-MEDIA-SEQUENCE:0',
    `#EXT-X-PLAYLIST-TYPE:${isLive ? 'EVENT' : 'VOD'}`,
    '#EXT-X-INDEPENDENT-SEGMENTS',
  ];
  const reasons = new GapReasons(gaps);
  let before: SegmentRow | undefined;
  for (const row of rows) {
    lines.push(...startLines(before, row, reasons));
    lines.push(`#EXTINF:${(row.duration_us / US_PER_S).toFixed(6)},`);
    lines.push(`${row.stream_id}/${row.sequence}.m4s`);
    before = row;
  }
  if (!isLive) lines.push('#EXT-X-ENDLIST');
  return `${lines.join('\n')}\n`;
}

/**
 * The rows of a list that may only grow at its end [RFC 8216 6.2.1], in their order: what comes in after
 * something that is later in time was listed is for the next address.
 */
export function appended(rows: readonly SegmentRow[], madeAtUs: number): SegmentRow[] {
  let laterUs = Number.POSITIVE_INFINITY;
  return rows
    .toReversed()
    .filter(({ received_at_us }) => {
      const isListed = received_at_us <= madeAtUs || received_at_us <= laterUs;
      laterUs = Math.min(laterUs, received_at_us);
      return isListed;
    })
    .reverse();
}

/** What comes before a segment that does not continue the one before it. */
function startLines(before: SegmentRow | undefined, row: SegmentRow, gaps: GapReasons): string[] {
  if (before && isContinued(before, row)) return [];
  const lines: string[] = [];
  if (before) {
    const { fromUs, toUs, reasons } = breakBetween(before, row, gaps);
    const why = reasons.length > 0 ? reasons.join(', ') : 'not recorded, lost or deleted';
    if (toUs > fromUs)
      lines.push(`## no pictures from ${isoTime(fromUs)} to ${isoTime(toUs)}: ${why}`);
    lines.push('#EXT-X-DISCONTINUITY');
  }
  if (before?.stream_id !== row.stream_id) lines.push(`#EXT-X-MAP:URI="${row.stream_id}/init.mp4"`);
  lines.push(`#EXT-X-PROGRAM-DATE-TIME:${isoTime(row.start_at_us).replace(/\d{3}Z$/, 'Z')}`);
  return lines;
}
