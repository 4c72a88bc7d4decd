// A look into the server's index from outside, read-only and without a detour: what has been
// committed by the time of the call. It takes a millisecond where the owner's API under load takes
// twenty, in which a late commit could hide.
import { join } from 'node:path';
import { DatabaseSync, type StatementSync } from 'node:sqlite';

export class IndexView {
  readonly #database: DatabaseSync;
  readonly #count: StatementSync;

  constructor(folder: string) {
    this.#database = new DatabaseSync(join(folder, 'data', 'index.db'), {
      readOnly: true,
      timeout: 5000,
    });
    this.#count = this.#database.prepare(
      'select count(*) as count from segments where device_id = ?',
    );
  }

  /** Segments of a device that are visible now. */
  segments(deviceId: string): number {
    return Number(this.#count.get(deviceId)?.count);
  }

  close(): void {
    this.#database.close();
  }
}
