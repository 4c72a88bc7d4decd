// A configuration changed in the editor of its owner: what is wrong with it is shown there, and it is
// opened again. INVARIANT: it is changed upon the version that was shown, and what was written is not
// lost when it could not be taken.
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { LenscapError, toLenscapError } from '../../../proto/errors.ts';
import type { Client } from '../client.ts';
import type { ConfigState } from '../config-answers.ts';
import { editText, patchFromText, writtenText } from '../config-text.ts';
import type { Device } from '../device-answers.ts';
import type { Session } from '../session.ts';

/** What the text itself is at fault for. */
const FAULTS: ReadonlySet<string> = new Set([
  'CONFIG_INVALID',
  'CONSENT_MISSING',
  'REQUEST_INVALID',
]);

/** Returns what came of it. @throws REQUEST_INVALID when it is given up. */
export async function editConfig(
  session: Session,
  client: Client,
  device: Pick<Device, 'id' | 'name'>,
  state: ConfigState,
): Promise<ConfigState> {
  const folder = await mkdtemp(join(tmpdir(), 'lenscap-'));
  const file = join(folder, 'configuration.json');
  try {
    const after = await editUntilTaken(session, client, device, state, file);
    await rm(folder, { recursive: true, force: true });
    return after;
  } catch (error) {
    session.terminal.note(`what you wrote is in ${file}`);
    throw error;
  }
}

async function editUntilTaken(
  session: Session,
  client: Client,
  { id, name }: Pick<Device, 'id' | 'name'>,
  state: ConfigState,
  file: string,
): Promise<ConfigState> {
  const { version, document } = state;
  const first = editText({ name, version, document });
  for (let text = first; ; ) {
    const written = await edited(session, file, text);
    const isAsItWas = written === '' || written === writtenText(text);
    if (isAsItWas && text === first) return state;
    if (isAsItWas) throw new LenscapError('REQUEST_INVALID', 'given up; nothing has changed');
    try {
      return await client.patchConfig(id, version, patchFromText(document, written));
    } catch (error) {
      const { code, message } = toLenscapError(error);
      if (!FAULTS.has(code)) throw error;
      text = editText({ name, version, document }, written, message);
    }
  }
}

/** What is written once the editor has ended. */
async function edited({ editor }: Session, file: string, text: string): Promise<string> {
  await writeFile(file, text, { mode: 0o600 });
  await editor.edit(file);
  return writtenText(await readFile(file, 'utf8'));
}
