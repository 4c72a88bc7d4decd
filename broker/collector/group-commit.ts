// Group commit: what arrives while a group is being written forms the next group. A promise of
// `offer` resolves only when the objects are synced and the rows are committed; on an error the
// whole group is rejected and nothing of it is visible.
// INVARIANT: no object is removed while a row that names it may still appear. A commit that failed may
// be found in the journal of the index after a crash; it is out of the way once another one succeeded.
import { LenscapError, toLenscapError } from '../../proto/errors.ts';
import type { Blobs } from '../store/blobs.ts';
import type { Candidate, Outcome } from '../store/commit.ts';
import type { Store } from '../store/store.ts';

/** A candidate; a segment or snapshot comes with a way to make its sealed bytes, called once, when its turn comes. */
export interface Offer {
  readonly candidate: Candidate;
  readonly sealed: (() => readonly Buffer[]) | null;
  readonly bytes: number;
}

interface Waiting extends Offer {
  readonly answer: PromiseWithResolvers<Outcome>;
}

export interface GroupCommitDeps {
  readonly commit: Store['commit'];
  readonly blobs: Blobs;
  /** Room to leave on the disk. */
  readonly minFreeBytes: number;
}

const MAX_GROUP_ITEMS = 64;
const MAX_GROUP_BYTES = 32 << 20;
/** Two: one group commits its rows while the next one writes its objects. */
const MAX_GROUPS = 2;

const ignore = (): void => undefined;

export class GroupCommit {
  readonly #deps: GroupCommitDeps;
  readonly #queue: Waiting[] = [];
  #groups = 0;
  /** Objects of groups whose commit failed. */
  readonly #doubtful: string[] = [];
  /** Resolves when the group before is through, stored or not. */
  #before: Promise<void> = Promise.resolve();

  constructor(deps: GroupCommitDeps) {
    this.#deps = deps;
  }

  /** @throws STORE_FULL or STORE_FAILED; then nothing was stored. */
  offer(offer: Offer): Promise<Outcome> {
    const answer = Promise.withResolvers<Outcome>();
    this.#queue.push({ ...offer, answer });
    this.#next();
    return answer.promise;
  }

  /** @throws STORE_FULL when the disk would have too little left. */
  async checkRoom(bytes: number): Promise<void> {
    const { blobs, minFreeBytes } = this.#deps;
    if ((await blobs.freeBytes()) < minFreeBytes + bytes)
      throw new LenscapError('STORE_FULL', `less than ${minFreeBytes} bytes would stay free`);
  }

  #next(): void {
    if (this.#groups >= MAX_GROUPS || this.#queue.length === 0) return;
    const group = this.#takeGroup();
    this.#groups++;
    const written = this.#write(group, this.#before);
    this.#before = written.then(ignore, ignore);
    written
      .then(
        (outcomes) => {
          for (const [position, { answer }] of group.entries())
            answer.resolve(outcomes[position] ?? 'BUG');
        },
        (error: unknown) => {
          for (const { answer } of group) answer.reject(toLenscapError(error, 'STORE_FAILED'));
        },
      )
      .finally(() => {
        this.#groups--;
        this.#next();
      });
  }

  #takeGroup(): Waiting[] {
    let bytes = 0;
    const end = this.#queue.findIndex((waiting, position) => {
      bytes += waiting.bytes;
      return position > 0 && (bytes > MAX_GROUP_BYTES || position >= MAX_GROUP_ITEMS);
    });
    return this.#queue.splice(0, end === -1 ? this.#queue.length : end);
  }

  /** Rows are committed in the order of arrival: a stream before the segments that came after it. */
  async #write(group: readonly Waiting[], before: Promise<void>): Promise<readonly Outcome[]> {
    const { commit, blobs } = this.#deps;
    const bytes = group.reduce((sum, waiting) => sum + waiting.bytes, 0);
    await this.checkRoom(bytes);
    const objects = blobs.group();
    const candidates = group.map(({ candidate, sealed }): Candidate => {
      if (!sealed) return candidate;
      return withBlob(candidate, () => objects.write(sealed()));
    });
    const blobIds = candidates.flatMap(blobOf);
    if (blobIds.length > 0) await objects.commit();
    await before;
    const outcomes = await commit(candidates).catch((error: unknown) =>
      this.#failed(blobIds, error),
    );
    const useless = candidates.flatMap((candidate, position) =>
      outcomes[position] === 'stored' ? [] : blobOf(candidate),
    );
    // A commit that changed nothing leaves the journal as it is.
    if (outcomes.includes('stored')) useless.push(...this.#doubtful.splice(0));
    await this.#discard(useless);
    return outcomes;
  }

  /** Where the index had no room, its commit cannot have got as far as to be found again. */
  async #failed(blobIds: readonly string[], error: unknown): Promise<never> {
    const isFull = error instanceof LenscapError && error.code === 'STORE_FULL';
    if (isFull) await this.#discard(blobIds);
    else this.#doubtful.push(...blobIds);
    throw error;
  }

  /** What cannot be removed is named by no row; the next start removes it. */
  async #discard(blobIds: readonly string[]): Promise<void> {
    if (blobIds.length > 0) await this.#deps.blobs.remove(blobIds).catch(ignore);
  }
}

/** The candidate with its object, if it is of a kind that has one. */
function withBlob(candidate: Candidate, write: () => string): Candidate {
  if (candidate.kind === 'segment')
    return { ...candidate, row: { ...candidate.row, blob_id: write() } };
  if (candidate.kind === 'snapshot')
    return { ...candidate, row: { ...candidate.row, blob_id: write() } };
  return candidate;
}

function blobOf({ kind, row }: Candidate): string[] {
  return kind === 'segment' || kind === 'snapshot' ? [row.blob_id] : [];
}
