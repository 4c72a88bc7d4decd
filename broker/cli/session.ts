// What every command works with: terminal, clock, saved login, and a client made from it.
import { LenscapError } from '../../proto/errors.ts';
import { Client } from './client.ts';
import type { Credentials } from './credentials.ts';
import type { Device } from './device-answers.ts';
import type { Editor } from './editor.ts';
import type { Terminal } from './terminal.ts';
import { parseTime } from './times.ts';

export interface Session {
  readonly terminal: Terminal;
  readonly credentials: Credentials;
  readonly nowMs: () => number;
  readonly editor: Pick<Editor, 'edit'>;
  /** Ended by Ctrl-C. */
  readonly signal: AbortSignal;
}

/** @throws AUTH_REQUIRED before a login. */
export async function connect({ credentials, signal }: Session, server?: string): Promise<Client> {
  const saved = await credentials.read();
  if (!saved) throw new LenscapError('AUTH_REQUIRED', 'run `lenscap login URL --email ADDRESS`');
  return new Client({ server: server ?? saved.server, token: saved.token, signal });
}

/** The camera with this id, or the only one with this name; one in use before those given away. */
export async function findDevice(client: Client, named: string): Promise<Device> {
  const devices = await client.devices();
  const byId = devices.find(({ id }) => id === named);
  const ofName = devices.filter(({ name }) => name === named);
  const inUse = ofName.filter(({ state }) => !['released', 'revoked'].includes(state));
  const byName = inUse.length > 0 ? inUse : ofName;
  const found = byId ?? (byName.length === 1 ? byName[0] : undefined);
  if (found) return found;
  if (byName.length > 1)
    throw new LenscapError(
      'REQUEST_INVALID',
      `${byName.length} cameras are named ${named}; use an id`,
    );
  throw new LenscapError('NOT_FOUND', `no camera ${named}; see \`lenscap devices\``);
}

export interface TimeOptions {
  readonly from?: string;
  readonly to?: string;
}

/** Times as typed, in the form that the server reads. */
export function rangeOf(
  { nowMs }: Session,
  { from, to }: TimeOptions,
): { from?: string; to?: string } {
  const now = nowMs();
  return {
    ...(from === undefined ? {} : { from: parseTime('--from', from, now) }),
    ...(to === undefined ? {} : { to: parseTime('--to', to, now) }),
  };
}
