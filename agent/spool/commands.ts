// What people see of the spool from a command line, whether the agent runs or not. INVARIANT: nothing
// is changed, no lock is taken, and neither a key nor a picture is printed.
import { LenscapError } from '../../proto/errors.ts';
import { decodeEvent } from '../../proto/event.ts';
import { decodeGap } from '../../proto/gap.ts';
import type { Scope } from '../../proto/scopes.ts';
import { decodeSegmentHead } from '../../proto/segment.ts';
import { decodeStream } from '../../proto/stream.ts';
import { blocksOf, type Look, lookAt, nameOf, namesIn } from './contents.ts';
import { spoolFolder } from './folder.ts';
import { type KeyFile, readKeyFile } from './keys.ts';
import { openMedia, type RecordId, type RecordKind, type SpoolKey } from './record.ts';
import { readRecordFile } from './record-file.ts';

/** A record as it is printed. */
interface Row extends RecordId {
  /** Stream id, with the sequence for a segment; the id of a gap or event. */
  readonly piece: string;
  readonly startAtUs: number;
  /** 0 for a stream, and for what was a moment or lasts. */
  readonly durationUs: number;
  /** On flash, in whole blocks. */
  readonly bytes: number;
  readonly epoch: number;
  readonly scopes: readonly Scope[];
}

interface Fault extends RecordId {
  readonly why: string;
}

interface Reading {
  readonly rows: readonly Row[];
  readonly faults: readonly Fault[];
}

type Say = (line: string) => void;

/**
 * Prints every record, from its head alone.
 * @throws STORE_FAILED when the spool cannot be read.
 */
export async function listSpool(stateDir: string, asJson: boolean, say: Say): Promise<void> {
  const { rows, faults } = await readSpool(spoolFolder(stateDir), false);
  const bytes = rows.reduce((sum, row) => sum + row.bytes, 0);
  if (asJson) {
    say(JSON.stringify({ records: rows, damaged: faults, bytes }));
    return;
  }
  for (const row of rows) say(lineOf(row));
  for (const fault of faults) say(faultLineOf(fault));
  say(
    `${rows.length} records, ${bytes} bytes${faults.length > 0 ? `, ${faults.length} damaged` : ''}`,
  );
}

/**
 * Opens every record with its media and names those that are damaged.
 * @throws STORE_CORRUPT when there is one, after it was named; STORE_FAILED.
 */
export async function checkSpool(stateDir: string, asJson: boolean, say: Say): Promise<void> {
  const { rows, faults } = await readSpool(spoolFolder(stateDir), true);
  if (asJson) say(JSON.stringify({ whole: rows.length, damaged: faults }));
  else {
    for (const fault of faults) say(faultLineOf(fault));
    say(`${rows.length} whole, ${faults.length} damaged`);
  }
  if (faults.length > 0)
    throw new LenscapError('STORE_CORRUPT', `${faults.length} of the spool's records`);
}

function lineOf({ number, kind, piece, startAtUs, durationUs, bytes, epoch, scopes }: Row): string {
  const start = new Date(startAtUs / 1000).toISOString();
  const length = `${(durationUs / 1e6).toFixed(3)} s`;
  return `${number} ${kind} ${piece} ${start} ${length} ${bytes} bytes epoch ${epoch} ${scopes.join(',')}`;
}

function faultLineOf({ number, kind, why }: Fault): string {
  return `${number} ${kind} damaged: ${why}`;
}

async function readSpool(folder: string, withMedia: boolean): Promise<Reading> {
  const rows: Row[] = [];
  const faults: Fault[] = [];
  const keys = new Keys(folder);
  for (const id of namesIn(folder).records) {
    const result = await readOne(folder, id, keys, withMedia);
    if (result === null) continue;
    if ('why' in result) faults.push(result);
    else rows.push(result);
  }
  return { rows, faults };
}

/** Null for what an agent that runs has removed meanwhile, or has still to remove. */
async function readOne(
  folder: string,
  id: RecordId,
  keys: Keys,
  withMedia: boolean,
): Promise<Row | Fault | null> {
  const look = lookAt(folder, id, keys);
  if (look.is === 'gone') return null;
  if (look.is === 'erased') return keys.areLost ? { ...id, why: 'its key is lost' } : null;
  if (look.is === 'damaged') return { ...id, why: look.why };
  try {
    if (withMedia) await readMedia(folder, id, look, keys);
    return rowOf(id, look);
  } catch (error) {
    if (lookAt(folder, id, keys).is === 'gone') return null;
    return { ...id, why: error instanceof LenscapError ? error.detail : String(error) };
  }
}

async function readMedia(
  folder: string,
  id: RecordId,
  { header }: Extract<Look, { is: 'whole' }>,
  keys: Keys,
): Promise<void> {
  const key = keys.byId(header.keyId);
  if (key === undefined) return;
  const opening = openMedia(await readRecordFile(folder, nameOf(id)), keys.deviceId, key);
  while (opening.next().done !== true);
}

function rowOf(
  { number, kind }: RecordId,
  { head, header, fileBytes }: Extract<Look, { is: 'whole' }>,
): Row {
  const { scopes } = header;
  return { number, kind, ...CONTENT[kind](head), bytes: blocksOf(fileBytes), scopes };
}

type Content = Pick<Row, 'piece' | 'startAtUs' | 'durationUs' | 'epoch'>;

const CONTENT: Readonly<Record<RecordKind, (head: Buffer) => Content>> = {
  stream: (head) => {
    const { streamId, startAtUs, epoch } = decodeStream(head);
    return { piece: streamId, startAtUs, durationUs: 0, epoch };
  },
  segment: (head) => {
    const { streamId, sequence, startAtUs, durationUs, epoch } = decodeSegmentHead(head);
    return { piece: `${streamId}/${sequence}`, startAtUs, durationUs, epoch };
  },
  gap: (head) => {
    const { gapId, startAtUs, durationUs, epoch } = decodeGap(head);
    return { piece: gapId, startAtUs, durationUs, epoch };
  },
  event: (head) => {
    const { eventId, startAtUs, durationUs, epoch } = decodeEvent(head);
    return { piece: eventId, startAtUs, durationUs, epoch };
  },
};

/** The keys as they are now: an agent that runs may make one at any time. */
class Keys {
  readonly #folder: string;
  #file: KeyFile | null = null;
  areLost = false;

  constructor(folder: string) {
    this.#folder = folder;
    this.#read();
  }

  get deviceId(): string {
    return this.#file?.deviceId ?? '';
  }

  byId(keyId: number): SpoolKey | undefined {
    const known = this.#find(keyId);
    if (known !== undefined) return known;
    this.#read();
    return this.#find(keyId);
  }

  #find(keyId: number): SpoolKey | undefined {
    return [...(this.#file?.keys.values() ?? [])].find(({ id }) => id === keyId);
  }

  #read(): void {
    try {
      this.#file = readKeyFile(this.#folder);
      this.areLost = this.#file === null;
    } catch (error) {
      if (!(error instanceof LenscapError) || error.code !== 'STORE_CORRUPT') throw error;
      this.#file = null;
      this.areLost = true;
    }
  }
}
