// Reads the agent's configuration file: schema first, then what the schema cannot say.
// Invariant: what is returned is frozen, complete, and its paths are absolute.
import { dirname, resolve } from 'node:path';
import { type AgentConfig, checkAgentConfig, type SourceConfig } from '../../proto/agent-config.ts';
import { timeFaults } from '../../proto/device-config.ts';
import { LenscapError } from '../../proto/errors.ts';
import { type Fault, faultLines, readDocument } from '../../proto/validate.ts';

/**
 * Relative paths in the file start at the folder of the file.
 * @throws CONFIG_INVALID, every fault with its path.
 */
export function loadAgentConfig(path: string): AgentConfig {
  const config = readDocument(path, 'CONFIG_INVALID', checkAgentConfig);
  const faults = crossFaults(config);
  if (faults.length > 0)
    throw new LenscapError('CONFIG_INVALID', `${path}:\n${faultLines(faults)}`);
  const from = dirname(resolve(path));
  return Object.freeze({
    ...config,
    identity: resolve(from, config.identity),
    factory: config.factory === null ? null : resolve(from, config.factory),
    claim: Object.freeze({
      ...config.claim,
      folders: Object.freeze(config.claim.folders.map((folder) => resolve(from, folder))),
    }),
    stateDir: resolve(from, config.stateDir),
    source: Object.freeze(withAbsolutePaths(config.source, from)),
  });
}

function withAbsolutePaths(source: SourceConfig, from: string): SourceConfig {
  if (source.type === 'file') return { ...source, path: resolve(from, source.path) };
  if (source.type === 'rtsp' && source.credentialsFile !== null)
    return { ...source, credentialsFile: resolve(from, source.credentialsFile) };
  return source;
}

/** What no schema can say: faults between settings that are each valid alone, and of time. */
export function crossFaults(config: AgentConfig): Fault[] {
  const faults: Fault[] = [];
  for (const part of ['capture', 'uplink'] as const) {
    const { backoffMinMs, backoffMaxMs } = config[part];
    if (backoffMinMs > backoffMaxMs)
      faults.push({
        path: `/${part}/backoffMinMs`,
        message: `must be <= /${part}/backoffMaxMs (${backoffMinMs} > ${backoffMaxMs})`,
      });
  }
  const { type } = config.source;
  if (config.audio.source === 'source' && (type === 'v4l2' || type === 'libcamera'))
    faults.push({
      path: '/audio/source',
      message: `a source of type ${type} has no sound of its own; use "alsa" or "none"`,
    });
  const segmentBytes = largestSegmentBytes(config);
  if (config.spool.memoryBytes < 2 * segmentBytes)
    faults.push({
      path: '/spool/memoryBytes',
      message: `must hold two segments, ${2 * segmentBytes} bytes at this bit rate and duration`,
    });
  return [...faults, ...timeFaults(config)];
}

/** A segment may run up to one keyframe interval over its aim. */
function largestSegmentBytes({ video, audio, segment }: AgentConfig): number {
  const kbps = video.bitrateKbps + (audio.source === 'none' ? 0 : audio.bitrateKbps);
  return Math.ceil((kbps * (segment.durationMs + video.keyframeIntervalMs)) / 8);
}
