// The parts of the agent, made and joined. They start in order; capture stops first, so that its
// last segment still finds the uplink.
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Logger } from 'pino';
import type { AgentConfig } from '../proto/agent-config.ts';
import { LenscapError } from '../proto/errors.ts';
import { Camera, consentedSink } from './camera.ts';
import { Capture } from './capture/capture.ts';
import { LastPictures } from './capture/last-pictures.ts';
import { wantsSound } from './capture/pipeline.ts';
import { systemClock } from './clock.ts';
import { Gate } from './consent/gate.ts';
import type { Identity } from './identity/identity.ts';
import { MemorySpool } from './spool/memory-spool.ts';
import { Uplink } from './uplink/uplink.ts';

const GRANT_TIMEOUT_MS = 10_000;

/**
 * Runs the agent until `signal` is aborted and what could be sent is sent.
 * @throws STORE_FAILED when the state folder cannot be made.
 */
export async function runAgent(
  config: AgentConfig,
  identity: Identity,
  log: Logger,
  signal: AbortSignal,
): Promise<void> {
  const clock = systemClock;
  const random = Math.random;
  makeStateDir(config.stateDir);
  const spool = new MemorySpool({
    maxBytes: config.queue.maxBytes,
    onOverflow: () => log.warn('the queue is full: the oldest segments are given up'),
  });
  const gate = new Gate({
    stateDir: config.stateDir,
    identity,
    clock,
    log: log.child({ part: 'consent' }),
    retain: (mayKeep) => spool.retain(mayKeep),
  });
  const uplink = new Uplink({
    identity,
    config: config.uplink,
    spool,
    gate,
    clock,
    log: log.child({ part: 'uplink' }),
    random,
    grantTimeoutMs: GRANT_TIMEOUT_MS,
  });
  const bootId = readBootId();
  const last = new LastPictures({
    path: join(config.stateDir, 'last-pictures'),
    bootId,
    clock,
    log: log.child({ part: 'camera' }),
  });
  const capture = new Capture({
    config,
    log: log.child({ part: 'capture' }),
    clock,
    random,
    bootId,
    sink: consentedSink(spool, gate, last),
  });
  const camera = new Camera({
    gate,
    capture,
    wantsSound: wantsSound(config.source, config.audio),
    last,
    log: log.child({ part: 'camera' }),
  });

  const captured = new AbortController();
  const sent = new AbortController();
  await Promise.all([
    gate.run(sent.signal),
    uplink.run(captured.signal).finally(() => sent.abort()),
    camera.run(signal).finally(() => captured.abort()),
  ]);
}

function makeStateDir(path: string): void {
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 });
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new LenscapError('STORE_FAILED', `/stateDir cannot be made: ${why}`, { cause: error });
  }
}

function readBootId(): string {
  return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
}
