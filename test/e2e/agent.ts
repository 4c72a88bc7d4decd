// The real agent on a device of a house: small pictures, short segments, quick to try again.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Test } from 'tap';
import type { Added } from './house.ts';
import { AGENT, captures, MOTION, node, type Options, Running } from './processes.ts';

export const FILE = { type: 'file', path: MOTION, loop: true } as const;
export const PICTURE = { type: 'test' } as const;

export interface AgentOptions extends Options {
  readonly source?: object;
  readonly audio?: 'none' | 'source' | 'alsa';
  readonly video?: object;
  readonly capture?: object;
  readonly segment?: object;
  readonly spool?: object;
  readonly uplink?: object;
  readonly claim?: object;
  readonly health?: object;
  readonly board?: object;
  readonly recording?: object;
  readonly motion?: object;
  /** Path of a factory identity. */
  readonly factory?: string | null;
  /** Subcommand; `run` if absent. */
  readonly verb?: string;
}

/** Writes the agent's configuration next to the bundle; returns its path. */
export function writeConfig(device: Pick<Added, 'file'>, options: AgentOptions = {}): string {
  const { source = FILE, audio = 'source', factory = null } = options;
  const file = `${device.file}.agent.json`;
  const stateDir = stateOf(device);
  mkdirSync(join(stateDir, '..'), { recursive: true });
  const config = {
    identity: device.file,
    stateDir,
    factory,
    // No lens: the clip shows no code, and looking for one costs time.
    claim: { lens: false, folders: [], ...options.claim },
    source,
    audio: { source: audio },
    video: {
      width: 160,
      height: 120,
      frameRate: 10,
      bitrateKbps: 200,
      keyframeIntervalMs: 500,
      ...options.video,
    },
    segment: { durationMs: 1000, ...options.segment },
    capture: { backoffMinMs: 100, backoffMaxMs: 500, ...options.capture },
    ...(options.health === undefined ? {} : { health: options.health }),
    ...(options.board === undefined ? {} : { board: options.board }),
    ...(options.recording === undefined ? {} : { recording: options.recording }),
    ...(options.motion === undefined ? {} : { motion: options.motion }),
    ...(options.spool === undefined ? {} : { spool: options.spool }),
    uplink: { backoffMinMs: 50, backoffMaxMs: 300, ...options.uplink },
    log: { level: 'debug' },
  };
  writeFileSync(file, JSON.stringify(config));
  return file;
}

/** Folder in which the agent of a device keeps its state. */
export function stateOf(device: Pick<Added, 'file'>): string {
  return `${device.file}.state`;
}

export function startAgent(
  t: Test,
  device: Pick<Added, 'file'>,
  options: AgentOptions = {},
): Running {
  const file = writeConfig(device, options);
  return new Running(t, node(AGENT, options.verb ?? 'run', '--config', file), options);
}

/** Whether the camera is open: there is a capture process. */
export function isCapturing(agent: Running): boolean {
  return captures(agent.pid).length > 0;
}
