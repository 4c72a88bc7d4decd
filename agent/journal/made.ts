// The journal of an agent and the logger that feeds it, from its configuration.
import { join } from 'node:path';
import type { AgentConfig } from '../../proto/agent-config.ts';
import { JOURNAL } from '../identity/state-files.ts';
import { Journal } from './journal.ts';
import { type LeveledLog, makeLog } from './logger.ts';
import { Secrets, secretsOfFile, secretsOfJson } from './secrets.ts';

export interface Made extends LeveledLog {
  readonly journal: Journal;
}

/** Nothing is written to files before it is attached to a device. */
export function makeJournal(config: AgentConfig): Made {
  const { stateDir, log } = config;
  const secrets = new Secrets();
  secrets.add(...secretsOf(config));
  const journal = new Journal({
    folder: join(stateDir, JOURNAL),
    secrets,
    settings: () => log,
    nowMs: () => performance.now(),
  });
  return { journal, ...makeLog(log.level, journal) };
}

/** What the files that a configuration names keep secret now. */
export function secretsOf({
  identity,
  factory,
  source,
}: Pick<AgentConfig, 'identity' | 'factory' | 'source'>): string[] {
  const files = [identity, ...(factory === null ? [] : [factory])];
  const credentials = source.type === 'rtsp' ? source.credentialsFile : null;
  return [
    ...(credentials === null ? [] : secretsOfFile(credentials)),
    ...files.flatMap(secretsOfJson),
  ];
}
