// The file of a production batch: CSV with the header `serial,model,key_sha256`. Pure; every fault is
// found and named with its line, so that a file is mended once.
import { LenscapError } from '../../proto/errors.ts';
import { isSerial } from '../../proto/topics.ts';

const HEADER = 'serial,model,key_sha256';
const MAX_LINES = 100_000;
/** Faults that are named; of more there is only the number. */
const MAX_NAMED = 1000;
const MODEL = /^[^\p{Cc}]{1,64}$/u;
const KEY = /^[0-9a-f]{64}$/;
/** Three fields, the second quoted or not; a quote within quotes is doubled. */
const LINE = /^([^,"]*),(?:([^,"]*)|"((?:[^"]|"")*)"),([^,"]*)$/;

export interface EnrolledBoard {
  readonly serial: string;
  readonly model: string;
  /** SHA-256 of the factory key (SPKI DER), lower-case hex. */
  readonly keySha256: string;
}

/** @throws REQUEST_INVALID with every fault. */
export function parseBoards(csv: string): EnrolledBoard[] {
  const [header, ...lines] = csv.replace(/^\uFEFF/, '').split(/\r?\n/);
  if (header?.trim() !== HEADER)
    throw new LenscapError('REQUEST_INVALID', `line 1: the header has to be ${HEADER}`);
  if (lines.at(-1) === '') lines.pop();
  if (lines.length > MAX_LINES)
    throw new LenscapError('REQUEST_INVALID', `more than ${MAX_LINES} boards; split the file`);
  const faults: string[] = [];
  const boards: EnrolledBoard[] = [];
  const seen = new Map<string, number>();
  for (const [position, line] of lines.entries()) {
    const number = position + 2;
    const found = parseLine(line);
    if ('faults' in found) {
      faults.push(...found.faults.map((fault) => `line ${number}: ${fault}`));
      continue;
    }
    boards.push(found);
    for (const [what, value] of [
      ['serial', found.serial],
      ['key', found.keySha256],
    ]) {
      const before = seen.get(`${what} ${value}`);
      if (before !== undefined) faults.push(`line ${number}: the ${what} of line ${before} again`);
      else seen.set(`${what} ${value}`, number);
    }
  }
  if (boards.length === 0 && faults.length === 0) faults.push('line 2: there is no board');
  if (faults.length > 0) throw new LenscapError('REQUEST_INVALID', textOf(faults));
  return boards;
}

function parseLine(line: string): EnrolledBoard | { readonly faults: readonly string[] } {
  const match = LINE.exec(line);
  if (!match) return { faults: ['it is not three fields; quote a model that has commas in it'] };
  const serial = (match[1] ?? '').trim();
  const model = (match[2] ?? (match[3] ?? '').replaceAll('""', '"')).trim();
  const keySha256 = (match[4] ?? '').trim().toLowerCase();
  const faults = [
    isSerial(serial) ? [] : ['serial: 1 to 64 letters, digits, dots, hyphens or underscores'],
    MODEL.test(model) ? [] : ['model: 1 to 64 characters'],
    KEY.test(keySha256) ? [] : ['key_sha256: 64 hex digits'],
  ].flat();
  return faults.length > 0 ? { faults } : { serial, model, keySha256 };
}

function textOf(faults: readonly string[]): string {
  const named = faults.slice(0, MAX_NAMED).join('\n');
  const more = faults.length - MAX_NAMED;
  return more > 0 ? `${named}\nand ${more} faults more` : named;
}
