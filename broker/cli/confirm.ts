// Asking before what cannot be taken back.
import { LenscapError } from '../../proto/errors.ts';
import type { Session } from './session.ts';

/** @throws REQUEST_INVALID unless a typed yes, or `--yes`, says so. */
export async function confirmed(
  { terminal }: Session,
  question: string,
  isSure: boolean,
  otherwise: string,
): Promise<void> {
  if (isSure) return;
  if (!terminal.isInteractive)
    throw new LenscapError('REQUEST_INVALID', 'nobody can be asked here; say --yes');
  const answer = await terminal.question(`${question} Type yes, or anything else for no: `);
  if (answer !== 'yes') throw new LenscapError('REQUEST_INVALID', otherwise);
}
