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
  /** `user:password` of an RTSP address; goes into a file of mode 0600. */
  readonly credentials: string | undefined;
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
    },
  });
  const seconds = values.seconds === undefined ? undefined : Number(values.seconds);
  if (seconds !== undefined && !(seconds >= 1 && seconds <= 86_400))
    throw new Error(`SECONDS is a number from 1 to 86400, not ${values.seconds}`);
  return {
    seconds,
    source: sourceOf(values.source),
    data: values.data === undefined ? undefined : resolve(values.data),
    exportFile: values.export === undefined ? undefined : resolve(values.export),
  };
}

function sourceOf(text: string | undefined): Source {
  if (text === undefined)
    return file(FIXTURE, 'the clip test/fixtures/motion.mov, looped as a camera');
  if (text === 'test')
    return {
      config: { type: 'test' },
      audio: 'source',
      credentials: undefined,
      label: 'a test picture',
    };
  if (text.startsWith('/dev/'))
    return {
      config: { type: 'v4l2', device: text, format: 'raw' },
      audio: 'none',
      credentials: undefined,
      label: `the camera ${text}`,
    };
  if (/^rtsps?:\/\//.test(text)) return rtsp(text);
  if (!existsSync(text))
    throw new Error(`SOURCE is /dev/videoN, rtsp://…, "test" or a file; there is no file ${text}`);
  return file(resolve(text), `${text}, looped as a camera`);
}

function file(path: string, label: string): Source {
  return {
    config: { type: 'file', path, loop: true },
    audio: 'source',
    credentials: undefined,
    label,
  };
}

function rtsp(text: string): Source {
  const url = new URL(text);
  const credentials = url.username
    ? `${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}`
    : undefined;
  url.username = '';
  url.password = '';
  return {
    config: {
      type: 'rtsp',
      url: url.href,
      credentialsFile: null,
      transport: 'tcp',
      latencyMs: 200,
    },
    audio: 'source',
    credentials,
    label: `the network camera ${url.href}`,
  };
}
