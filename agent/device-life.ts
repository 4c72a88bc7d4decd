// The parts of the agent while it is one device, made and joined. They start in order; capture stops
// first, so that its last segment still finds the uplink. Invariant: where the ownership has ended,
// capture is killed and what waits is erased before anything else happens.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Logger } from 'pino';
import type { AgentConfig } from '../proto/agent-config.ts';
import { Camera, consentedSink } from './camera.ts';
import { Capture } from './capture/capture.ts';
import { LAST_PICTURES_LAG_US, LastPictures } from './capture/last-pictures.ts';
import { laterMark, type Mark } from './capture/outage.ts';
import { wantsSound } from './capture/pipeline.ts';
import { type Clock, type KnownTime, MediaClock } from './clock.ts';
import { Gate } from './consent/gate.ts';
import { StoredCredentials } from './identity/credentials.ts';
import type { Identity } from './identity/identity.ts';
import { ReleaseOrder } from './identity/release.ts';
import { Renewal } from './identity/renewal.ts';
import { LAST_PICTURES } from './identity/state-files.ts';
import { Flash } from './spool/flash.ts';
import { eraseSpool, spoolFolder } from './spool/folder.ts';
import { SpoolQueue } from './spool/queue.ts';
import { Anchoring } from './uplink/anchor.ts';
import { HealthReport } from './uplink/health.ts';
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
  readonly #bootId = readBootId();
  readonly #last: LastPictures;
  /** Where the pictures of an earlier run ended. */
  readonly #before: Mark | null;
  readonly #mediaClock: MediaClock;
  readonly #spool: SpoolQueue;
  readonly #gate: Gate;

  constructor(deps: DeviceLifeDeps) {
    const { config, identity, clock, time, log } = deps;
    this.#deps = deps;
    this.#last = new LastPictures({
      path: join(config.stateDir, LAST_PICTURES),
      bootId: this.#bootId,
      clock,
      log: log.child({ part: 'camera' }),
    });
    const mark = this.#last.read();
    this.#spool = this.#openSpool(mark);
    this.#before = laterMark(mark, this.#spool.lastEnd, this.#bootId);
    this.#mediaClock = new MediaClock({
      clock,
      time,
      bootId: this.#bootId,
      last: this.#before,
      lastLagUs: LAST_PICTURES_LAG_US,
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
        this.#spool.run(end, sent.signal),
        uplink.run(captured.signal, gone.signal).finally(() => sent.abort()),
        camera.run(end).finally(() => captured.abort()),
      ]);
    } finally {
      change.removeEventListener('abort', onChange);
      if (!this.#deps.isDeparting()) this.#last.save();
    }
  }

  #openSpool(mark: Mark | null): SpoolQueue {
    const { config, identity, clock, time } = this.#deps;
    const log = this.#deps.log.child({ part: 'spool' });
    const opened = Flash.open(spoolFolder(config.stateDir), identity.deviceId, log);
    return new SpoolQueue({
      config: config.spool,
      flash: opened.flash,
      opened,
      clock,
      bootId: this.#bootId,
      floorUs: () => time.floorUs(),
      usualUs: config.segment.durationMs * 1000,
      mark,
      eraseUnread: () => eraseSpool(config.stateDir),
      onSafe: (safe) => this.#last.note(safe),
      log,
    });
  }

  #camera(): Camera {
    const { config, random, log } = this.#deps;
    const capture = new Capture({
      config,
      log: log.child({ part: 'capture' }),
      clock: this.#mediaClock,
      random,
      bootId: this.#bootId,
      sink: consentedSink(this.#spool, this.#gate),
    });
    return new Camera({
      gate: this.#gate,
      capture,
      wantsSound: wantsSound(config.source, config.audio),
      before: this.#before,
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
        new Anchoring({
          clock,
          time,
          bootId: this.#bootId,
          media: this.#mediaClock,
          gate: this.#gate,
          log,
        }),
        new Renewal({ identityPath, stateDir, credentials, time, log, random }),
        new ReleaseOrder({ identity, log, onRelease }),
        new Info({ gate: this.#gate, agentVersion: readVersion(), log }),
        new HealthReport({ gate: this.#gate, spool: this.#spool, log }),
      ],
    });
  }
}

function readBootId(): string {
  return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
}
