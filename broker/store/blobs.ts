// Sealed objects as files: made exclusively, written, synced; never changed. A file counts only when
// a row of the index names it, so a crash between the two leaves an orphan and nothing worse.
import { randomBytes } from 'node:crypto';
import type { Dirent } from 'node:fs';
import { readdir, readFile, rm, stat, statfs } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { LenscapError } from '../../proto/errors.ts';
import type { ObjectGroup, WriteFailure } from './blob-worker.ts';
import { makeFolder, storeFailure, syncFolder, toStoreFailure } from './durable.ts';
import { Thread } from './thread.ts';

/** What the store needs of a place for sealed objects; files here, object stores alike. */
export interface Blobs {
  /** Starts a group of objects; all of them are durable when its `commit` has resolved. */
  group(): BlobGroup;
  /** @throws STORE_CORRUPT when there is no such object. */
  read(blobId: string): Promise<Buffer>;
  /** Removes objects for good; absent ones are fine. @throws STORE_FAILED. */
  remove(blobIds: readonly string[]): Promise<void>;
  /** What lies there, in groups; `recent`: at least all that was written shortly before the last end. */
  list(part: 'all' | 'recent'): AsyncIterable<Listing>;
  /** Room left for other data, in bytes. */
  freeBytes(): Promise<number>;
}

/** What lies together. */
export interface Listing {
  readonly blobIds: readonly string[];
  /** Names of what is no object. */
  readonly strangers: readonly string[];
}

export interface BlobGroup {
  /** Adds an object and returns its id. The pieces are handed over: nobody may read them again. */
  write(pieces: readonly Uint8Array[]): string;
  /** @throws STORE_FULL or STORE_FAILED; then nothing of the group is there. */
  commit(): Promise<void>;
}

const SHARD = /^[0-9]{10}$/;
const BLOB_ID = /^([0-9]{10})-[0-9a-f]{32}$/;
/** Groups under way at a crash are of one hour, or of two at the turn of it. */
const RECENT_NAMED = 2;
const RECENT_CHANGED = 3;

export class FileBlobs implements Blobs {
  readonly #root: string;
  readonly #hour: () => string;
  readonly #writer: Thread<ObjectGroup, void, WriteFailure>;

  private constructor(
    root: string,
    nowUs: () => number,
    writer: Thread<ObjectGroup, void, WriteFailure>,
  ) {
    this.#root = root;
    this.#hour = () => new Date(nowUs() / 1000).toISOString().replace(/\D/g, '').slice(0, 10);
    this.#writer = writer;
  }

  /** `nowUs` names the folder of the hour, which bounds the entries of one folder. */
  static async open(root: string, nowUs: () => number): Promise<FileBlobs> {
    await makeFolder(root);
    const url = new URL('./blob-worker.ts', import.meta.url);
    return new FileBlobs(root, nowUs, await Thread.start(url, null, writeError));
  }

  group(): BlobGroup {
    const shard = this.#hour();
    const objects: ObjectGroup['objects'][number][] = [];
    return {
      write: (pieces) => {
        const name = `${shard}-${randomBytes(16).toString('hex')}`;
        objects.push({ name, pieces });
        return name;
      },
      commit: () => {
        const folder = join(this.#root, shard);
        const memory = objects.flatMap(({ pieces }) => own(pieces));
        return this.#writer.ask({ folder, objects }, memory);
      },
    };
  }

  /** Rejects when nothing can be written any more. */
  get failed(): Promise<never> {
    return this.#writer.failed;
  }

  close(): Promise<void> {
    return this.#writer.close();
  }

  async read(blobId: string): Promise<Buffer> {
    try {
      return await readFile(this.#path(blobId));
    } catch (error) {
      throw new LenscapError('STORE_CORRUPT', `object ${blobId} cannot be read`, { cause: error });
    }
  }

  async remove(blobIds: readonly string[]): Promise<void> {
    const shards = new Set(blobIds.map((blobId) => dirname(this.#path(blobId))));
    try {
      for (const blobId of blobIds) await rm(this.#path(blobId), { force: true });
      for (const shard of shards) await syncFolder(shard).catch(ignoreAbsent);
    } catch (error) {
      throw toStoreFailure(error);
    }
  }

  async *list(part: 'all' | 'recent'): AsyncIterable<Listing> {
    const entries = await readdir(this.#root, { withFileTypes: true });
    const isShard = (entry: Dirent): boolean => entry.isDirectory() && SHARD.test(entry.name);
    const strangers = entries.filter((entry) => !isShard(entry)).map(({ name }) => name);
    if (strangers.length > 0) yield { blobIds: [], strangers };
    const shards = entries.filter(isShard).map(({ name }) => name);
    for (const shard of part === 'all' ? shards.sort() : await this.#recent(shards)) {
      const names = await readdir(join(this.#root, shard));
      const isObject = (name: string): boolean => BLOB_ID.exec(name)?.[1] === shard;
      yield {
        blobIds: names.filter(isObject).sort(),
        strangers: names.filter((name) => !isObject(name)).map((name) => join(shard, name)),
      };
    }
  }

  /** By when they were changed, and by their hour: clocks are set, and deletions change old folders. */
  async #recent(shards: readonly string[]): Promise<string[]> {
    const changed = await Promise.all(
      shards.map(async (name) => ({ name, at: (await stat(join(this.#root, name))).mtimeMs })),
    );
    const latest = changed.sort((one, two) => two.at - one.at).slice(0, RECENT_CHANGED);
    const newest = [...shards].sort().slice(-RECENT_NAMED);
    return [...new Set([...newest, ...latest.map(({ name }) => name)])];
  }

  async freeBytes(): Promise<number> {
    const { bavail, bsize } = await statfs(this.#root);
    return bavail * bsize;
  }

  #path(blobId: string): string {
    const shard = BLOB_ID.exec(blobId)?.[1];
    if (shard === undefined) throw new LenscapError('STORE_CORRUPT', `no object id: ${blobId}`);
    return join(this.#root, shard, blobId);
  }
}

/** The allocations behind pieces, as far as they are whole and may be handed over. */
function own(pieces: readonly Uint8Array[]): ArrayBuffer[] {
  return pieces.flatMap(({ buffer, byteLength }) =>
    buffer instanceof ArrayBuffer && buffer.byteLength === byteLength ? [buffer] : [],
  );
}

function writeError({ message, errno }: WriteFailure): LenscapError {
  return storeFailure(errno, message);
}

function ignoreAbsent(error: unknown): undefined {
  if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
  throw error;
}
