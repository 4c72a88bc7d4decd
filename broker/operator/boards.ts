// Boards that a maker enrols before anybody owns them: the batch taken in, the labels printed.
import { readFile } from 'node:fs/promises';
import { LenscapError } from '../../proto/errors.ts';
import { encodeLabelCode } from '../../proto/setup-code.ts';
import { parseBoards } from '../fleet/boards-file.ts';
import type { Installation } from '../installation.ts';
import { qrImages } from '../portal/qr.ts';
import { writeFileDurably } from '../store/durable.ts';
import { iso, isoOrNull } from './devices.ts';

/** 100,000 lines of the longest fields. */
const MAX_FILE_BYTES = 32 << 20;

export interface BoardListing {
  readonly serial: string;
  readonly model: string;
  /** Of the factory identity; once owned, see the device. */
  readonly state: string;
  readonly isClaimed: boolean;
  readonly deviceId: string | null;
  readonly enrolledAt: string;
  readonly lastSeenAt: string | null;
}

/** Takes in a batch from a CSV file, all of it or nothing. @throws REQUEST_INVALID, CONFLICT. */
export async function enrollBoards(
  { boards }: Installation,
  file: string,
): Promise<{ added: number; unchanged: number }> {
  const csv = await readFile(file).catch((cause: unknown) => {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new LenscapError('REQUEST_INVALID', `${file} cannot be read: ${why}`, { cause });
  });
  if (csv.byteLength > MAX_FILE_BYTES)
    throw new LenscapError('REQUEST_INVALID', `${file} is too large; split it`);
  return boards.enroll(parseBoards(csv.toString('utf8')));
}

export async function listBoards({ boards }: Installation): Promise<BoardListing[]> {
  return (await boards.list()).map((board) => ({
    serial: board.serial,
    model: board.model,
    state: board.state,
    isClaimed: board.account_id !== null,
    deviceId: board.device_id,
    enrolledAt: iso(board.enrolled_at_us),
    lastSeenAt: isoOrNull(board.last_seen_at_us),
  }));
}

/** The code of a board's label; also as pictures where asked. Whoever reads it can claim the board. */
export async function labelOf(
  { boards }: Installation,
  serial: string,
  files: { readonly png?: string; readonly svg?: string },
): Promise<string> {
  const board = await boards.bySerial(serial);
  if (board.state === 'revoked')
    throw new LenscapError('STATE_INVALID', `board ${serial} is revoked; nobody can claim it`);
  const code = encodeLabelCode({ serial, keyFingerprint: Buffer.from(board.key_sha256, 'hex') });
  const { png, svg } = await qrImages(code);
  if (files.png !== undefined) await writeFileDurably(files.png, png);
  if (files.svg !== undefined) await writeFileDurably(files.svg, svg);
  return code;
}
