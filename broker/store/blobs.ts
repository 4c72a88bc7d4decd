// Sealed objects as files: made exclusively, written, synced; never changed. A file counts only when
// a row of the index names it, so a crash between the two leaves an orphan and nothing worse.
import { randomBytes } from 'node:crypto';
import { readdir, readFile, rm, stat, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { LenscapError } from '../../proto/errors.ts';
import type { ObjectGroup, WriteFailure } from './blob-worker.ts';
import { makeFolder, syncFolder } from './durable.ts';
import { Thread } from './thread.ts';

/** What the store needs of a place for sealed objects; files here, object stores alike. */
export interface Blobs {
  /** Starts a group of objects; all of them are durable when its `commit` has resolved. */
  group(): BlobGroup;
  /** @throws STORE_CORRUPT when there is no such object. */
  read(blobId: string): Promise<Buffer>;
  /** Removes objects for good; absent ones are fine. */
  remove(blobIds: readonly string[]): Promise<void>;
  /** Everything that lies there, with its size; what is no object by its name. */
  list(): AsyncIterable<{ readonly blobId: string; readonly bytes: number }>;
  /** Room left for other data, in bytes. */
  freeBytes(): Promise<number>;
}

export interface BlobGroup {
  /** Adds an object and returns its id. The pieces are handed over: nobody may read them again. */
  write(pieces: readonly Uint8Array[]): string;
  /** @throws STORE_FULL or STORE_FAILED; then nothing of the group is there. */
  commit(): Promise<void>;
}

const BLOB_ID = /^([0-9]{10})-[0-9a-f]{32}$/;

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
    for (const blobId of blobIds) await rm(this.#path(blobId), { force: true });
    const shards = new Set(blobIds.map((blobId) => join(this.#path(blobId), '..')));
    for (const shard of shards) await syncFolder(shard).catch(ignoreAbsent);
  }

  async *list(): AsyncIterable<{ blobId: string; bytes: number }> {
    for (const name of (await readdir(this.#root)).sort()) {
      const path = join(this.#root, name);
      const entry = await stat(path);
      if (!entry.isDirectory()) yield { blobId: name, bytes: entry.size };
      else
        for (const blobId of (await readdir(path)).sort()) {
          const bytes = await sizeOf(join(path, blobId));
          if (bytes !== undefined) yield { blobId, bytes };
        }
    }
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

const FULL = ['ENOSPC', 'EDQUOT'];

function writeError({ message, errno }: WriteFailure): LenscapError {
  return new LenscapError(FULL.includes(errno) ? 'STORE_FULL' : 'STORE_FAILED', message);
}

async function sizeOf(path: string): Promise<number | undefined> {
  return (await stat(path).catch(ignoreAbsent))?.size;
}

function ignoreAbsent(error: unknown): undefined {
  if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
  throw error;
}
