// Writes an export: the MP4 beside its place and renamed when it is whole, then its manifest. What
// the file does not show is said in words.
import { randomBytes } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { LenscapError } from '../../proto/errors.ts';
import type { Client, Range } from './client.ts';
import { writeWhole } from './credentials.ts';
import type { Device } from './device-answers.ts';
import type { Manifest } from './recording-answers.ts';
import type { Session } from './session.ts';
import { duration, size } from './times.ts';

const PROGRESS_MS = 200;

/** @throws NOT_FOUND when nothing is stored of the range; leaves no file behind when it fails. */
export async function exportRange(
  session: Session,
  client: Client,
  { id, name }: Device,
  range: Range,
  path: string,
): Promise<void> {
  const { terminal } = session;
  const planned = await client.manifest(id, range);
  const asked = { ...range, asOf: planned.asOf };
  const total = planned.pieces.reduce((sum, piece) => sum + piece.bytes, 0);
  const bytes = await download(session, client, id, asked, path, total);
  const manifest = await client.manifest(id, asked);
  await writeWhole(`${path}.json`, `${JSON.stringify(manifest, null, 2)}\n`);
  const pieces = `${manifest.pieces.length} pieces`;
  terminal.print(`${path}: ${duration(manifest.durationUs)} of ${name}, ${pieces}, ${size(bytes)}`);
  for (const line of remarks(planned, manifest)) terminal.print(line);
  terminal.print(`what is in it: ${path}.json`);
}

async function download(
  { terminal, signal }: Session,
  client: Client,
  deviceId: string,
  asked: Range & { readonly asOf: string },
  path: string,
  total: number,
): Promise<number> {
  const temporary = `${path}.${randomBytes(4).toString('hex')}.part`;
  let bytes = 0;
  let shownMs = 0;
  async function* counted(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void> {
    for await (const chunk of source) {
      bytes += chunk.byteLength;
      yield chunk;
      const nowMs = performance.now();
      if (nowMs - shownMs < PROGRESS_MS) continue;
      shownMs = nowMs;
      terminal.progress(`${size(bytes)} of about ${size(total)}`);
    }
  }
  const body = await client.export(deviceId, asked);
  try {
    const file = createWriteStream(temporary, { flags: 'wx' });
    await pipeline(Readable.from(counted(Readable.fromWeb(body))), file, { signal });
    if (shownMs > 0) terminal.endProgress();
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw exportError(error, path);
  }
  return bytes;
}

function exportError(error: unknown, path: string): LenscapError {
  if (error instanceof Error && 'code' in error && error.code === 'ENOSPC')
    return new LenscapError('STORE_FULL', `${path} does not fit`, { cause: error });
  if (error instanceof Error && 'syscall' in error)
    return new LenscapError('REQUEST_INVALID', `${path} cannot be written: ${error.message}`, {
      cause: error,
    });
  const detail = 'the export broke off and nothing was written; try again, or less time at once';
  return new LenscapError('SERVER_UNREACHABLE', detail, { cause: error });
}

/** What the owner should know about the file. */
function remarks(
  planned: Manifest,
  { pieces, streams, breaks, gaps, ...rest }: Manifest,
): string[] {
  const lines: string[] = [];
  if (rest.spansSeveralStreams)
    lines.push(`it holds ${streams.length} streams: the camera began anew within this time`);
  const closedUs = breaks.reduce((sum, { closedUpUs }) => sum + closedUpUs, 0);
  if (breaks.length > 0)
    lines.push(
      `${breaks.length} ${breaks.length === 1 ? 'break' : 'breaks'}; ${duration(closedUs)} without pictures are closed up`,
    );
  if (gaps.length > 0)
    lines.push(
      `the camera reported ${gaps.length} ${gaps.length === 1 ? 'gap' : 'gaps'}: ${[...new Set(gaps.map(({ reason }) => reason))].join(', ')}`,
    );
  const { lost = 0 } = rest.account.totals;
  if (lost > 0) lines.push(`${duration(lost)} of that time were captured and lost`);
  const { idle = 0 } = rest.account.totals;
  if (idle > 0) lines.push(`${duration(idle)} of that time were not to be recorded`);
  const { events, snapshots } = rest;
  if (events.length + snapshots.length > 0)
    lines.push(
      `what happened is in the list beside it: ${events.length} events, ${snapshots.length} snapshots (get each with \`snapshot get\`)`,
    );
  if (planned.pieces.length !== pieces.length)
    lines.push('pieces were deleted while it was written; export again to have it exact');
  return lines;
}
