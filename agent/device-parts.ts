// The parts that see, keep and configure while the board is one device, made and joined; nothing runs
// yet. Invariant: the settings in force are known before anything is made that reads them.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { LenscapError } from '../proto/errors.ts';
import { Light, lampOf } from './board/light.ts';
import { lightOf } from './board/light-state.ts';
import { Camera, consentedSink } from './camera.ts';
import { Capture } from './capture/capture.ts';
import { LAST_PICTURES_LAG_US, LastPictures } from './capture/last-pictures.ts';
import { laterMark, type Mark } from './capture/outage.ts';
import { wantsSound } from './capture/sound.ts';
import { MediaClock } from './clock.ts';
import { CapturePictures } from './config/pictures.ts';
import { Pushed } from './config/pushed.ts';
import { live, type Settings } from './config/settings.ts';
import { Trials } from './config/trial.ts';
import { Gate } from './consent/gate.ts';
import type { DeviceLifeDeps } from './device-deps.ts';
import { Events } from './events/events.ts';
import { LastingNote } from './events/lasting-note.ts';
import { LAST_PICTURES, LASTING } from './identity/state-files.ts';
import { Watcher } from './motion/watcher.ts';
import { type Account, accountOf } from './recording/rest.ts';
import { Roll } from './recording/roll.ts';
import { Wanted } from './recording/wanted.ts';
import { PictureProgress } from './service/progress.ts';
import { Snapshots } from './snapshots/snapshots.ts';
import { Flash } from './spool/flash.ts';
import { eraseSpool, spoolFolder } from './spool/folder.ts';
import { SpoolQueue } from './spool/queue.ts';

type OnFailed = (error: LenscapError, isMicrophone: boolean) => void;

export class DeviceParts {
  readonly bootId = readBootId();
  readonly pushed: Pushed;
  readonly settings: Settings;
  readonly last: LastPictures;
  readonly spool: SpoolQueue;
  readonly mediaClock: MediaClock;
  readonly gate: Gate;
  readonly snapshots: Snapshots;
  readonly events: Events;
  readonly lasting: LastingNote;
  readonly wanted: Wanted;
  readonly watcher: Watcher;
  readonly capture: Capture;
  readonly light: Light;
  readonly camera: Camera;
  readonly trials: Trials;
  readonly progress: PictureProgress;
  readonly #deps: DeviceLifeDeps;
  readonly #roll: Roll;
  readonly #account: Account;
  readonly #failures = new Set<OnFailed>();
  /** Null while the gate is made, which asks at once what may be kept. */
  #taken: Snapshots | null = null;

  constructor(deps: DeviceLifeDeps) {
    const { config, clock, time } = deps;
    this.#deps = deps;
    this.pushed = new Pushed({ board: config, clock, log: this.#log('config') });
    this.settings = this.pushed.settings;
    const path = join(config.stateDir, LAST_PICTURES);
    this.last = new LastPictures({ path, bootId: this.bootId, clock, log: this.#log('camera') });
    const mark = this.last.read();
    this.spool = this.#openSpool(mark);
    const { bootId } = this;
    this.lasting = this.#makeLasting();
    const pictures = laterMark(mark, this.spool.lastEnd, bootId);
    this.#account = accountOf(pictures, this.lasting.left()?.rest ?? null, bootId);
    const { before } = this.#account;
    const lastLagUs = LAST_PICTURES_LAG_US;
    this.mediaClock = new MediaClock({ clock, time, bootId, last: before, lastLagUs });
    this.gate = this.#makeGate();
    this.snapshots = this.#makeSnapshots();
    this.#taken = this.snapshots;
    this.events = this.#makeEvents();
    this.wanted = new Wanted({ settings: this.settings, clock: this.mediaClock });
    this.#roll = new Roll({ settings: this.settings, clock: this.mediaClock });
    this.watcher = this.#makeWatcher();
    this.capture = this.#makeCapture();
    this.light = this.#makeLight();
    this.camera = this.#makeCamera(before);
    this.progress = this.#makeProgress();
    this.trials = this.#makeTrials();
  }

  /** Tells what a run that crashed left open. */
  tellLeftOpen(): void {
    const { events = [], untilMonoUs = 0 } = this.lasting.left() ?? {};
    const { before } = this.#account;
    for (const event of events) {
      const picturesUs = before?.bootId === event.bootId ? before.endMonoUs : 0;
      this.events.leftOpen(event, Math.max(untilMonoUs, picturesUs));
    }
    const sink = consentedSink(this.spool, this.gate);
    for (const gap of this.#account.gaps) sink.gap(gap);
  }

  /** Sets the light as the camera is. @throws LIGHT_FAILED. */
  showLight({ cap, isCapturing, isRecording, isTaking } = this.camera.state()): Promise<void> {
    return this.light.show(
      lightOf({
        isCapOff: cap === 'off',
        isOpen: isCapturing || isTaking,
        isRecording: isRecording || isTaking,
        watchers: 0,
      }),
    );
  }

  /**
   * The light does not tell the truth: an open camera is closed, and the next opening sets the light
   * first. One that waits to be opened goes on waiting.
   */
  closeInTheDark(): void {
    const { isCapturing, isTaking } = this.camera.state();
    if (isCapturing || isTaking) this.camera.restart();
  }

  #log(part: string) {
    return this.#deps.log.child({ part });
  }

  #onFailed(listener: OnFailed): () => void {
    this.#failures.add(listener);
    return () => this.#failures.delete(listener);
  }

  #openSpool(mark: Mark | null): SpoolQueue {
    const { config, identity, clock, time } = this.#deps;
    const log = this.#log('spool');
    const opened = Flash.open(spoolFolder(config.stateDir), identity.deviceId, log);
    return new SpoolQueue({
      config: live(() => this.settings.now().spool),
      flash: opened.flash,
      opened,
      clock,
      bootId: this.bootId,
      floorUs: () => time.floorUs(),
      usualUs: this.settings.now().segment.durationMs * 1000,
      mark,
      eraseUnread: () => eraseSpool(config.stateDir),
      onSafe: (safe) => this.last.note(safe),
      log,
    });
  }

  #makeGate(): Gate {
    const { config, identity, clock, time } = this.#deps;
    return new Gate({
      stateDir: config.stateDir,
      identity,
      clock,
      log: this.#log('consent'),
      retain: (mayKeep) => {
        const isGone = this.#taken?.retain(mayKeep) ?? true;
        const isForgotten = this.#deps.journal.retain(mayKeep);
        return this.spool.retain(mayKeep) && isGone && isForgotten;
      },
      onSigned: (issuedAtUs) => time.learn(issuedAtUs),
    });
  }

  #makeSnapshots(): Snapshots {
    return new Snapshots({
      gate: this.gate,
      still: (signal) => this.camera.still(signal),
      isOpenTime: () => this.wanted.mode() !== 'closed',
      settings: () => this.settings.now().snapshot,
      time: this.mediaClock,
      bootId: this.bootId,
      log: this.#log('snapshots'),
    });
  }

  #makeLasting(): LastingNote {
    const { clock, config } = this.#deps;
    return new LastingNote({
      path: join(config.stateDir, LASTING),
      bootId: this.bootId,
      clock: { monoUs: () => clock.monoUs(), wallUs: () => this.mediaClock.wallUs() },
      sink: this.spool,
      resting: () => this.capture.resting(),
      onWritten: () => this.last.save(),
      log: this.#log('events'),
    });
  }

  #makeEvents(): Events {
    const { gate, lasting: sink, mediaClock: time, bootId } = this;
    return new Events({ gate, sink, time, bootId, log: this.#log('events') });
  }

  #makeWatcher(): Watcher {
    const { settings, events } = this;
    const roll = this.#roll;
    const onMotion = (eventId: string | null) => this.snapshots.onMotion(eventId);
    return new Watcher({ settings, roll, events, onMotion });
  }

  #makeCapture(): Capture {
    const { settings, bootId, watcher: eyes } = this;
    const roll = this.#roll;
    return new Capture({
      config: () => settings.now(),
      log: this.#log('capture'),
      clock: this.mediaClock,
      random: this.#deps.random,
      bootId,
      sink: consentedSink(this.spool, this.gate),
      roll,
      eyes,
      onFailed: (error, isMicrophone) => {
        for (const listener of [...this.#failures]) listener(error, isMicrophone);
      },
    });
  }

  #makeLight(): Light {
    return new Light({
      lamp: lampOf(this.#deps.config.board.light),
      brightnessPercent: () => this.settings.now().light.brightnessPercent,
      log: this.#log('board'),
      onFailed: () => this.closeInTheDark(),
    });
  }

  #makeCamera(before: Mark | null): Camera {
    const { gate, capture, wanted, settings } = this;
    return new Camera({
      gate,
      capture,
      wanted,
      motion: this.#roll,
      wantsSound: () => wantsSound(settings.now().source, settings.now().audio),
      opening: (state) => this.showLight(state),
      before,
      log: this.#log('camera'),
    });
  }

  #makeProgress(): PictureProgress {
    const { camera, capture } = this;
    const progress = new PictureProgress({
      camera,
      capture,
      monoUs: () => this.#deps.clock.monoUs(),
    });
    this.#onFailed(() => progress.failed());
    return progress;
  }

  #makeTrials(): Trials {
    const { pushed, camera, capture, events } = this;
    // Without its sound a capture goes on: a broken microphone takes back no version.
    const onFailed = (listener: (error: LenscapError) => void) =>
      this.#onFailed((error, isMicrophone) => {
        if (!isMicrophone) listener(error);
      });
    return new Trials({
      pushed,
      pictures: new CapturePictures({ camera, capture, onFailed }),
      clock: this.#deps.clock,
      log: this.#log('config'),
      // Why is told with the configuration; what GStreamer says may name an address.
      onReverted: ({ code }) => events.moment('config_reverted', { code }),
    });
  }
}

function readBootId(): string {
  return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
}
