// What this program is, and since when: no clock that is right shows an earlier time.
import { readFileSync } from 'node:fs';

/** Day of the release, microseconds since 1970; moved with each version. */
export const RELEASED_AT_US = Date.UTC(2026, 9, 1) * 1000;

/** The version in package.json. */
export function readVersion(): string {
  const text = readFileSync(new URL('../package.json', import.meta.url), 'utf8');
  const manifest: unknown = JSON.parse(text);
  const hasVersion = typeof manifest === 'object' && manifest !== null && 'version' in manifest;
  return hasVersion ? String(manifest.version) : 'unknown';
}
