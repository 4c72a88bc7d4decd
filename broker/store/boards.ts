// Rows of the boards that their maker enrolled. A serial and a key belong together for good.
import type { Index, Tables } from './schema.ts';

export type BoardRow = Tables['boards'];

/** Values in one statement; SQLite bounds them. */
const BATCH = 1000;

export class BoardRows {
  readonly #index: Index;

  constructor(index: Index) {
    this.#index = index;
  }

  async add(rows: readonly BoardRow[]): Promise<void> {
    for (const batch of batches(rows))
      await this.#index.insertInto('boards').values(batch).execute();
  }

  all(): Promise<BoardRow[]> {
    return this.#index.selectFrom('boards').selectAll().orderBy('serial').execute();
  }

  bySerial(serial: string): Promise<BoardRow | undefined> {
    return this.#index
      .selectFrom('boards')
      .selectAll()
      .where('serial', '=', serial)
      .executeTakeFirst();
  }

  /** Every board that has one of these serials or one of these keys. */
  async matching(rows: readonly Pick<BoardRow, 'serial' | 'key_sha256'>[]): Promise<BoardRow[]> {
    const found = new Map<string, BoardRow>();
    for (const batch of batches(rows)) {
      const serials = batch.map(({ serial }) => serial);
      const keys = batch.map(({ key_sha256 }) => key_sha256);
      const boards = await this.#index
        .selectFrom('boards')
        .selectAll()
        .where((is) => is.or([is('serial', 'in', serials), is('key_sha256', 'in', keys)]))
        .execute();
      for (const board of boards) found.set(board.serial, board);
    }
    return [...found.values()];
  }

  async setState(serial: string, state: string): Promise<void> {
    await this.#index.updateTable('boards').set({ state }).where('serial', '=', serial).execute();
  }

  async seen(serial: string, state: string, atUs: number): Promise<void> {
    await this.#index
      .updateTable('boards')
      .set({ state, last_seen_at_us: atUs })
      .where('serial', '=', serial)
      .execute();
  }

  /** Notes the owner and what he calls the camera. */
  async claim(serial: string, accountId: string, name: string): Promise<void> {
    await this.#index
      .updateTable('boards')
      .set({ account_id: accountId, name })
      .where('serial', '=', serial)
      .execute();
  }

  async setDevice(serial: string, deviceId: string): Promise<void> {
    await this.#index
      .updateTable('boards')
      .set({ device_id: deviceId })
      .where('serial', '=', serial)
      .execute();
  }

  /** Takes back a claim by label that has led to nothing yet. */
  async unclaim(serial: string): Promise<void> {
    await this.#index
      .updateTable('boards')
      .set({ account_id: null, name: null })
      .where('serial', '=', serial)
      .where('device_id', 'is', null)
      .execute();
  }

  /** After an ownership: the next owner may claim the board. */
  async free(deviceId: string): Promise<void> {
    await this.#index
      .updateTable('boards')
      .set({ account_id: null, name: null, device_id: null })
      .where('device_id', '=', deviceId)
      .execute();
  }
}

function* batches<T>(rows: readonly T[]): Generator<readonly T[]> {
  for (let at = 0; at < rows.length; at += BATCH) yield rows.slice(at, at + BATCH);
}
