// What lies in the state folder, by name, and the end of it. All of it belongs to one ownership.
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { LenscapError } from '../../proto/errors.ts';
import { isInstanceId } from '../../proto/topics.ts';
import { removeFile, storeError } from '../durable-file.ts';
import { eraseSpool } from '../spool/folder.ts';

export const LAST_PICTURES = 'last-pictures';
/** What was pushed, and what became of it. */
export const CONFIGURATION = 'configuration';
/** There while an agent runs, so that the next one knows that it did not end in order. */
export const RUNNING = 'running';
/** What lasts, so that the next run can tell what a crash left open. */
export const LASTING = 'lasting';
/** Folder of what the agent noted about itself. */
export const JOURNAL = 'journal';
const INSTANCE = 'instance';
const KEPT = ['grant', LAST_PICTURES, CONFIGURATION, RUNNING, LASTING];
const OF_AN_OWNERSHIP = KEPT.flatMap((name) => [name, `${name}.new`]);

/** @throws STORE_FAILED. */
export function makeStateDir(stateDir: string): void {
  try {
    mkdirSync(stateDir, { recursive: true, mode: 0o700 });
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new LenscapError('STORE_FAILED', `/stateDir cannot be made: ${why}`, { cause: error });
  }
}

/** Erases what an owner left: after it the folder tells nothing of him. @throws STORE_FAILED. */
export function eraseOwnership(stateDir: string): void {
  eraseSpool(stateDir);
  removeFolder(join(stateDir, JOURNAL));
  for (const name of OF_AN_OWNERSHIP) removeFile(join(stateDir, name));
}

function removeFolder(path: string): void {
  try {
    rmSync(path, { recursive: true, force: true });
  } catch (error) {
    throw storeError(`${path} cannot be removed`, error);
  }
}

/**
 * Names this run of the agent to the commands that are given while it runs, so that the server takes
 * them for the same board. Of no use to the next run, hence not synced.
 * @throws STORE_FULL, STORE_FAILED.
 */
export function publishInstance(stateDir: string, instanceId: string): void {
  try {
    writeFileSync(join(stateDir, INSTANCE), instanceId, { mode: 0o600 });
  } catch (error) {
    throw storeError(`${stateDir} cannot be written`, error);
  }
}

/** The instance id of the agent that runs on this folder, if one does. */
export function publishedInstance(stateDir: string): string | undefined {
  try {
    const text = readFileSync(join(stateDir, INSTANCE), 'utf8');
    return isInstanceId(text) ? text : undefined;
  } catch {
    return undefined;
  }
}

/** What stays behind is worth nothing to the next run. Never throws. */
export function forgetInstance(stateDir: string): void {
  try {
    removeFile(join(stateDir, INSTANCE));
  } catch {
    // Why the agent ends is told; this would only hide it.
  }
}
