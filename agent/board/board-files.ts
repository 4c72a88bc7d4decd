// Small files by which the kernel and the image tell what this board is and how it is. Invariant: what
// is not there, or cannot be read, is not known; nothing here throws.
import { glob, readFile } from 'node:fs/promises';
import { join } from 'node:path';

/** The text of a file below `root`, without what ends it; null when there is none. */
export async function readText(root: string, path: string): Promise<string | null> {
  const text = await readFile(join(root, path), 'utf8').catch(() => null);
  const plain = text?.replaceAll('\0', '').trim() ?? '';
  return plain === '' ? null : plain;
}

/** The texts of all files whose paths match. */
export async function readTexts(root: string, pattern: string): Promise<string[]> {
  const texts: string[] = [];
  try {
    for await (const path of glob(pattern, { cwd: root })) {
      const text = await readText(root, path);
      if (text !== null) texts.push(text);
    }
  } catch {
    // A folder that may not be read tells nothing.
  }
  return texts;
}
