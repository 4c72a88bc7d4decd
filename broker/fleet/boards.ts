// Boards that their maker enrolled: serial number, model and the fingerprint of a key made on the
// board. The serial says which board it is; only the key, or the label that bears its fingerprint,
// says that somebody may claim it.
import { timingSafeEqual } from 'node:crypto';
import { LenscapError } from '../../proto/errors.ts';
import { FINGERPRINT_BYTES, type LabelCode } from '../../proto/setup-code.ts';
import type { BoardRow } from '../store/boards.ts';
import type { Store } from '../store/store.ts';
import type { EnrolledBoard } from './boards-file.ts';
import { isState, nextState } from './states.ts';

export interface BoardsDeps {
  readonly store: Pick<Store, 'boards' | 'inTransaction'>;
  readonly nowUs: () => number;
}

export class Boards {
  readonly #deps: BoardsDeps;

  constructor(deps: BoardsDeps) {
    this.#deps = deps;
  }

  list(): Promise<BoardRow[]> {
    return this.#deps.store.boards.all();
  }

  /** @throws NOT_FOUND. */
  async bySerial(serial: string): Promise<BoardRow> {
    const board = await this.#deps.store.boards.bySerial(serial);
    if (!board) throw new LenscapError('NOT_FOUND', `no board with serial number ${serial}`);
    return board;
  }

  /**
   * Takes in a batch, all of it or nothing. A board that is there with the same data stays as it is.
   * @throws CONFLICT, naming every board whose serial number or key is there with other data.
   */
  async enroll(batch: readonly EnrolledBoard[]): Promise<{ added: number; unchanged: number }> {
    const enrolled_at_us = this.#deps.nowUs();
    const rows = batch.map(({ serial, model, keySha256 }) => ({
      serial,
      model,
      key_sha256: keySha256,
      enrolled_at_us,
      last_seen_at_us: null,
      state: 'factory',
      account_id: null,
      name: null,
      device_id: null,
    }));
    return this.#deps.store.inTransaction(async ({ boards }) => {
      const known = await boards.matching(rows);
      const fresh = freshOf(rows, known);
      await boards.add(fresh);
      return { added: fresh.length, unchanged: rows.length - fresh.length };
    });
  }

  /**
   * Takes a board from who claimed it by its label before it came: he may have read the label of a
   * board that he does not have. @throws NOT_FOUND, STATE_INVALID when it is nobody's, or a camera.
   */
  async unclaim(serial: string): Promise<void> {
    await this.#deps.store.inTransaction(async ({ boards }) => {
      const board = await boards.bySerial(serial);
      if (!board) throw new LenscapError('NOT_FOUND', `no board with serial number ${serial}`);
      if (board.device_id !== null)
        throw new LenscapError('STATE_INVALID', 'it is a camera; its owner has to release it');
      if (board.account_id === null)
        throw new LenscapError('STATE_INVALID', 'nobody has claimed it');
      await boards.unclaim(serial);
    });
  }

  /**
   * Declares a factory identity void: the board cannot be claimed by its label any more. A device
   * that it has become keeps its own identity; revoke that as well if need be.
   * @throws NOT_FOUND, STATE_INVALID.
   */
  async revokeBoard(serial: string): Promise<BoardRow> {
    const board = await this.bySerial(serial);
    if (!isState(board.state)) throw new LenscapError('STORE_CORRUPT', `state of board ${serial}`);
    const state = nextState(board.state, 'revoked');
    await this.#deps.store.boards.setState(serial, state);
    return { ...board, state };
  }
}

/** The rows that are not there yet. @throws CONFLICT. */
function freshOf(rows: readonly BoardRow[], known: readonly BoardRow[]): BoardRow[] {
  const bySerial = new Map(known.map((board) => [board.serial, board]));
  const byKey = new Map(known.map((board) => [board.key_sha256, board]));
  const conflicts: string[] = [];
  const fresh = rows.filter((row) => {
    const [same, sameKey] = [bySerial.get(row.serial), byKey.get(row.key_sha256)];
    if (!same && !sameKey) return true;
    if (!same) conflicts.push(`the key of ${row.serial} is that of ${sameKey?.serial}`);
    else if (same.key_sha256 !== row.key_sha256) conflicts.push(`${row.serial} with another key`);
    else if (same.model !== row.model) conflicts.push(`${row.serial} as a ${same.model}`);
    return false;
  });
  if (conflicts.length > 0) throw new LenscapError('CONFLICT', conflicts.join('\n'));
  return fresh;
}

/** Whether the key of a TLS client certificate (SHA-256, hex) is this board's, in constant time. */
export function isFactoryKey(board: BoardRow, keySha256: string | null): boolean {
  return keySha256 !== null && isEqual(Buffer.from(keySha256, 'hex'), keyOf(board));
}

/** Whether a label is this board's, in constant time. */
export function isLabelOf({ keyFingerprint }: LabelCode, board: BoardRow): boolean {
  return isEqual(keyFingerprint, keyOf(board).subarray(0, FINGERPRINT_BYTES));
}

const keyOf = (board: BoardRow): Buffer => Buffer.from(board.key_sha256, 'hex');

function isEqual(one: Buffer, two: Buffer): boolean {
  return one.byteLength === two.byteLength && timingSafeEqual(one, two);
}
