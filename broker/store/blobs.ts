// Sealed objects as files: made exclusively, written, synced; never changed. A file counts only when
// a row of the index names it, so a crash between the two leaves an orphan and nothing worse.
import { randomBytes } from 'node:crypto';
import { close, fdatasync, open, writev } from 'node:fs';
import { readdir, readFile, rm, stat, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { LenscapError } from '../../proto/errors.ts';
import { makeFolder, syncFolder } from './durable.ts';

/** What the store needs of a place for sealed objects; files here, object stores alike. */
export interface Blobs {
  /** Starts a group of writes; all of it is durable when `commit` has resolved. */
  group(): BlobGroup;
  /** @throws STORE_CORRUPT when there is no such object. */
  read(blobId: string): Promise<Buffer>;
  /** Removes objects for good; absent ones are fine. */
  remove(blobIds: readonly string[]): Promise<void>;
  /** Every object there is, with its size. */
  list(): AsyncIterable<{ readonly blobId: string; readonly bytes: number }>;
  /** Room left for other data, in bytes. */
  freeBytes(): Promise<number>;
}

export interface BlobGroup {
  /** Writes and syncs one object and returns its id. */
  write(pieces: readonly Buffer[]): Promise<string>;
  commit(): Promise<void>;
}

const openFile = promisify(open);
const writePieces = promisify(writev);
const syncData = promisify(fdatasync);
const closeFile = promisify(close);

const BLOB_ID = /^([0-9]{10})-[0-9a-f]{32}$/;

export class FileBlobs implements Blobs {
  readonly #root: string;
  readonly #hour: () => string;
  readonly #made = new Set<string>();

  /** `nowUs` names the folder of the hour, which bounds the entries of one folder. */
  constructor(root: string, nowUs: () => number) {
    this.#root = root;
    this.#hour = () => new Date(nowUs() / 1000).toISOString().replace(/\D/g, '').slice(0, 10);
  }

  group(): BlobGroup {
    const shard = this.#hour();
    return {
      write: async (pieces) => {
        await this.#makeShard(shard);
        const blobId = `${shard}-${randomBytes(16).toString('hex')}`;
        await writeNew(this.#path(blobId), pieces);
        return blobId;
      },
      commit: () => syncFolder(join(this.#root, shard)),
    };
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
    for (const shard of (await readdir(this.#root)).sort())
      for (const blobId of (await readdir(join(this.#root, shard))).sort()) {
        const bytes = await sizeOf(join(this.#root, shard, blobId));
        if (bytes !== undefined) yield { blobId, bytes };
      }
  }

  async freeBytes(): Promise<number> {
    const { bavail, bsize } = await statfs(this.#root);
    return bavail * bsize;
  }

  async #makeShard(shard: string): Promise<void> {
    if (this.#made.has(shard)) return;
    await makeFolder(join(this.#root, shard));
    await syncFolder(this.#root);
    this.#made.add(shard);
  }

  #path(blobId: string): string {
    const shard = BLOB_ID.exec(blobId)?.[1];
    if (shard === undefined) throw new LenscapError('STORE_CORRUPT', `no object id: ${blobId}`);
    return join(this.#root, shard, blobId);
  }
}

/** Plain descriptors: a FileHandle for each segment costs measurably more. */
async function writeNew(path: string, pieces: readonly Buffer[]): Promise<void> {
  const fd = await openFile(path, 'wx', 0o600);
  try {
    const total = pieces.reduce((sum, piece) => sum + piece.byteLength, 0);
    const { bytesWritten } = await writePieces(fd, pieces);
    if (bytesWritten !== total) throw new LenscapError('STORE_FULL', 'a write came up short');
    await syncData(fd);
  } catch (error) {
    await rm(path, { force: true });
    throw error;
  } finally {
    await closeFile(fd);
  }
}

async function sizeOf(path: string): Promise<number | undefined> {
  return (await stat(path).catch(ignoreAbsent))?.size;
}

function ignoreAbsent(error: unknown): undefined {
  if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
  throw error;
}
