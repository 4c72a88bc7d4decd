// What `make run` was asked for, as an agent's source.
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import type { AgentConfig } from '../../proto/agent-config.ts';

export interface Options {
  /** Undefined: until Ctrl-C. */
  readonly seconds: number | undefined;
  readonly source: Source;
  readonly data: string | undefined;
  readonly exportFile: string | undefined;
}

export interface Source {
  readonly config: AgentConfig['source'];
  readonly audio: 'none' | 'source';
  /** For people, without secrets. */
  readonly label: string;
}

const FIXTURE = new URL('../fixtures/motion.mov', import.meta.url).pathname;

/** @throws Error with one clear line for a person at a terminal. */
export function readOptions(args: readonly string[]): Options {
  const { values } = parseArgs({
    args: [...args],
    options: {
      seconds: { type: 'string' },
      source: { type: 'string' },
      data: { type: 'string' },
      export: { type: 'string' },
      credentials: { type: 'string' },
    },
  });
  const seconds = values.seconds === undefined ? undefined : Number(values.seconds);
  if (seconds !== undefined && !(seconds >= 1 && seconds <= 86_400))
    throw new Error(`SECONDS is a number from 1 to 86400, not ${values.seconds}`);
  return {
    seconds,
    source: sourceOf(values.source, values.credentials),
    data: values.data === undefined ? undefined : resolve(values.data),
    exportFile: values.export === undefined ? undefined : resolve(values.export),
  };
}

function sourceOf(text: string | undefined, credentials: string | undefined): Source {
  if (text === undefined)
    return file(FIXTURE, 'the clip test/fixtures/motion.mov, looped as a camera');
  if (text === 'test')
    return {
      config: { type: 'test' },
      audio: 'source',
      label: 'a test picture',
    };
  if (text.startsWith('/dev/'))
    return {
      config: { type: 'v4l2', device: text, format: 'raw' },
      audio: 'none',
      label: `the camera ${text}`,
    };
  if (/^rtsps?:\/\//.test(text)) return rtsp(text, credentials);
  if (!existsSync(text))
    throw new Error(`SOURCE is /dev/videoN, rtsp://…, "test" or a file; there is no file ${text}`);
  return file(resolve(text), `${text}, looped as a camera`);
}

function file(path: string, label: string): Source {
  return {
    config: { type: 'file', path, loop: true },
    audio: 'source',
    label,
  };
}

/** A password in an address would stand in the list of processes for the whole run. */
function rtsp(text: string, credentials: string | undefined): Source {
  const { username, password, href } = new URL(text);
  if (username || password)
    throw new Error(
      'put `user:password` into a file of mode 0600 and say CREDENTIALS=FILE, not in the address',
    );
  return {
    config: {
      type: 'rtsp',
      url: href,
      credentialsFile: credentials === undefined ? null : resolve(credentials),
      transport: 'tcp',
      latencyMs: 200,
    },
    audio: 'source',
    label: `the network camera ${href}`,
  };
}
