// The parts of the agent while it is one device, made and joined. They start in order; capture stops
// first, so that its last segment still finds the uplink. Invariant: where the ownership has ended,
// capture is killed and what waits is erased before anything else happens.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Logger } from 'pino';
import type { AgentConfig } from '../proto/agent-config.ts';
import { Camera, consentedSink } from './camera.ts';
import { Capture } from './capture/capture.ts';
import { LastPictures } from './capture/last-pictures.ts';
import { wantsSound } from './capture/pipeline.ts';
import type { Clock, KnownTime } from './clock.ts';
import { Gate } from './consent/gate.ts';
import { StoredCredentials } from './identity/credentials.ts';
import type { Identity } from './identity/identity.ts';
import { ReleaseOrder } from './identity/release.ts';
import { Renewal } from './identity/renewal.ts';
import { LAST_PICTURES } from './identity/state-files.ts';
import { MemorySpool } from './spool/memory-spool.ts';
import { Info } from './uplink/info.ts';
import { Uplink } from './uplink/uplink.ts';
import { readVersion } from './version.ts';

const GRANT_TIMEOUT_MS = 10_000;

export interface DeviceLifeDeps {
  readonly config: AgentConfig;
  readonly identity: Identity;
  readonly instanceId: string;
  readonly clock: Clock;
  readonly time: KnownTime;
  readonly random: () => number;
  readonly log: Logger;
  /** The owner has released the camera; notes it before it returns. */
  readonly onRelease: () => void;
  /** The identity on disk is gone, or that of another device. */
  readonly onReplaced: () => void;
  /** Whether the ownership has ended. */
  readonly isDeparting: () => boolean;
}

export class DeviceLife {
  readonly #deps: DeviceLifeDeps;
  readonly #spool: MemorySpool;
  readonly #gate: Gate;

  constructor(deps: DeviceLifeDeps) {
    const { config, identity, clock, time, log } = deps;
    this.#deps = deps;
    this.#spool = new MemorySpool({
      maxBytes: config.queue.maxBytes,
      onOverflow: () => log.warn('the queue is full: the oldest segments are given up'),
    });
    this.#gate = new Gate({
      stateDir: config.stateDir,
      identity,
      clock,
      log: log.child({ part: 'consent' }),
      retain: (mayKeep) => this.#spool.retain(mayKeep),
      onSigned: (issuedAtUs) => time.learn(issuedAtUs),
    });
  }

  /**
   * Resolves after `stop` is aborted, when what could be sent is sent; or after `change`, when all has
   * ended: at once and with everything erased where the ownership has ended.
   */
  async run(stop: AbortSignal, change: AbortSignal): Promise<void> {
    const captured = new AbortController();
    const sent = new AbortController();
    const gone = new AbortController();
    const onChange = () => {
      if (!this.#deps.isDeparting()) return;
      this.#gate.close();
      gone.abort();
    };
    if (change.aborted) onChange();
    change.addEventListener('abort', onChange, { once: true });
    const end = AbortSignal.any([stop, change]);
    const uplink = this.#uplink();
    const camera = this.#camera();
    try {
      await Promise.all([
        this.#gate.run(sent.signal),
        uplink.run(captured.signal, gone.signal).finally(() => sent.abort()),
        camera.run(end).finally(() => captured.abort()),
      ]);
    } finally {
      change.removeEventListener('abort', onChange);
    }
  }

  #camera(): Camera {
    const { config, clock, random, log } = this.#deps;
    const bootId = readBootId();
    const last = new LastPictures({
      path: join(config.stateDir, LAST_PICTURES),
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
      sink: consentedSink(this.#spool, this.#gate, last),
    });
    return new Camera({
      gate: this.#gate,
      capture,
      wantsSound: wantsSound(config.source, config.audio),
      last,
      log: log.child({ part: 'camera' }),
    });
  }

  #uplink(): Uplink {
    const { config, identity, instanceId, clock, time, random, onRelease, onReplaced } = this.#deps;
    const { identity: identityPath, stateDir } = config;
    const log = this.#deps.log.child({ part: 'identity' });
    const credentials = new StoredCredentials({
      identityPath,
      stateDir,
      identity,
      log,
      onReplaced,
    });
    return new Uplink({
      credentials,
      instanceId,
      time,
      config: config.uplink,
      spool: this.#spool,
      gate: this.#gate,
      clock,
      log: this.#deps.log.child({ part: 'uplink' }),
      random,
      grantTimeoutMs: GRANT_TIMEOUT_MS,
      errands: [
        new Renewal({ identityPath, stateDir, credentials, time, log, random }),
        new ReleaseOrder({ identity, log, onRelease }),
        new Info({ gate: this.#gate, agentVersion: readVersion(), log }),
      ],
    });
  }
}

function readBootId(): string {
  return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
}
