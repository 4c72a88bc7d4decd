// Records with contents that tell which one they are, for the tests of the spool on flash.
import { createHash } from 'node:crypto';
import { pino } from 'pino';
import type { NewRecord, OpenedFlash, RecordId } from '../../../agent/spool/flash.ts';
import { Flash } from '../../../agent/spool/flash.ts';

export const DEVICE = 'cam-abcdefghijklmnop';
export const silent = pino({ level: 'silent' });

/** Bytes that only this seed gives. */
export function bytesFrom(seed: string, length: number): Buffer {
  return createHash('shake256', { outputLength: Math.max(length, 1) })
    .update(seed)
    .digest()
    .subarray(0, length);
}

/** A segment by default, with media in three chunks. */
export function record(number: number, more: Partial<NewRecord> = {}): NewRecord {
  const media = [100, 150, 50].map((length, at) => bytesFrom(`media ${number} ${at}`, length));
  const head = bytesFrom(`head ${number}`, 90);
  return { number, kind: 'segment', scopes: ['video'], head, media, ...more };
}

export function gapRecord(number: number, more: Partial<NewRecord> = {}): NewRecord {
  return record(number, { kind: 'gap', media: [], ...more });
}

export function openAt(folder: string, deviceId = DEVICE): OpenedFlash {
  return Flash.open(folder, deviceId, silent);
}

export const idOf = ({ number, kind }: RecordId): RecordId => ({ number, kind });

/** What there is, each with all of its bytes, or the code why they cannot be read. */
export async function contentsOf({ flash, found }: OpenedFlash): Promise<string[]> {
  const lines: string[] = [];
  for (const id of found) {
    const what = await flash.read(id).then(
      ({ head, media }) => digest(head, media),
      ({ code }) => String(code),
    );
    lines.push(`${id.number} ${id.kind} ${what}`);
  }
  return lines;
}

/** How `contentsOf` tells of a record that is as it was written. */
export function whole({ number, kind, head, media }: NewRecord): string {
  return `${number} ${kind} ${digest(head, Buffer.concat(media))}`;
}

function digest(head: Uint8Array, media: Uint8Array): string {
  const parts = createHash('sha256').update(head).update(`${head.byteLength}`).update(media);
  return parts.digest('hex').slice(0, 12);
}

/** What is wrong with what was opened. */
export function faultsOf({ damaged, fault }: OpenedFlash): string[] {
  const names = damaged.map(({ number, kind }) => `${number} ${kind}`);
  return fault === null ? names : [...names, fault.code];
}

/** What is in what was opened, of which nothing is expected. */
export function emptyOf(opened: OpenedFlash): string[] {
  return [
    ...opened.found.map(({ number, kind }) => `found ${number} ${kind}`),
    ...faultsOf(opened),
  ];
}
