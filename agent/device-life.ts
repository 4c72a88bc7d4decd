// The life of the agent as one device: its parts run until it is stopped or replaced. They start in
// order; capture stops first, so that its last segment still finds the uplink. Invariant: where the
// ownership has ended, capture is killed and what waits is erased before anything else happens.
import { toLenscapError } from '../proto/errors.ts';
import type { DeviceLifeDeps } from './device-deps.ts';
import { DeviceParts } from './device-parts.ts';
import { makeUplink } from './device-uplink.ts';
import { ClockWatch } from './events/clock-watch.ts';
import { RunningNote } from './events/running-note.ts';
import { StorageWatch } from './events/storage-watch.ts';
import { secretsOf } from './journal/made.ts';
import { ServiceWatchdog } from './service/watchdog.ts';

export class DeviceLife {
  readonly #deps: DeviceLifeDeps;
  readonly #parts: DeviceParts;
  readonly #running: RunningNote;

  constructor(deps: DeviceLifeDeps) {
    const { config, identity, journal, setLogLevel, log } = deps;
    this.#deps = deps;
    this.#parts = new DeviceParts(deps);
    const { gate, settings, bootId } = this.#parts;
    this.#running = new RunningNote({ stateDir: config.stateDir, bootId, log });
    // The files may have changed since the program began.
    journal.attach({ deviceId: identity.deviceId, gate, secrets: secretsOf(config) });
    journal.use(() => settings.now().log);
    setLogLevel(settings.now().log.level);
  }

  /**
   * Resolves after `stop` is aborted, when what could be sent is sent; or after `change`, when all has
   * ended: at once and with everything erased where the ownership has ended.
   */
  async run(stop: AbortSignal, change: AbortSignal): Promise<void> {
    const { isDeparting, journal } = this.#deps;
    const { gate, last } = this.#parts;
    const gone = new AbortController();
    const onChange = () => {
      if (!isDeparting()) return;
      gate.close();
      gone.abort();
    };
    if (change.aborted) onChange();
    change.addEventListener('abort', onChange, { once: true });
    const stopListening = this.#listen();
    try {
      await this.#runAll(AbortSignal.any([stop, change]), gone.signal);
    } finally {
      change.removeEventListener('abort', onChange);
      stopListening();
      await this.#parts.light.close();
      journal.detach();
      this.#logAsTheBoardSays();
      if (!isDeparting()) {
        last.save();
        this.#running.end();
        this.#parts.lasting.end();
      }
    }
  }

  /** @param gone the ownership has ended: nothing may be sent any more. */
  async #runAll(end: AbortSignal, gone: AbortSignal): Promise<void> {
    const { clock, time, config, journal } = this.#deps;
    const { events, spool, gate, camera, wanted, watcher, snapshots, trials } = this.#parts;
    const { uplink, vitals } = makeUplink(this.#deps, this.#parts);
    const { clockJumpMs: jumpMs } = config.capture;
    const wearPercent = () => vitals.flashWearPercent();
    const captured = new AbortController();
    const sent = new AbortController();
    if (this.#running.begin() === 'power_lost') events.moment('power_restored');
    this.#parts.tellLeftOpen();
    await Promise.all([
      gate.run(sent.signal),
      spool.run(end, sent.signal),
      uplink.run(captured.signal, gone).finally(() => sent.abort()),
      trials.run(end),
      wanted.run(end),
      camera.run(end).finally(() => {
        watcher.stop();
        captured.abort();
      }),
      snapshots.run(end),
      this.#parts.lasting.run(end),
      journal.run(end),
      new ClockWatch({ clock, time, events, jumpMs }).run(end),
      new StorageWatch({ spool, wearPercent, events }).run(end),
      this.#watchdog().run(end),
    ]);
  }

  /** What an owner wanted of the log ends with the life. */
  #logAsTheBoardSays(): void {
    const { journal, setLogLevel, config } = this.#deps;
    journal.use(() => config.log);
    setLogLevel(config.log.level);
  }

  /** Returns how to stop it. */
  #listen(): () => void {
    const { setLogLevel, log } = this.#deps;
    const { camera, watcher, settings } = this.#parts;
    const show = () => {
      if (!camera.state().isCapturing) watcher.stop();
      this.#parts.showLight().catch((error: unknown) => {
        const { code, message } = toLenscapError(error, 'LIGHT_FAILED');
        log.error({ code }, message);
        this.#parts.closeInTheDark();
      });
    };
    const stops = [
      camera.onChange(show),
      settings.onChange(() => setLogLevel(settings.now().log.level)),
    ];
    show();
    return () => {
      for (const stop of stops) stop();
    };
  }

  #watchdog(): ServiceWatchdog {
    const { notifier, watchdogPeriodMs: periodMs, clock, config, log } = this.#deps;
    const { progress } = this.#parts;
    return new ServiceWatchdog({
      notifier,
      periodMs,
      progress: () => progress.now(),
      status: () => this.#status(),
      monoUs: () => clock.monoUs(),
      startTimeoutMs: config.capture.startTimeoutMs * 2,
      log: log.child({ part: 'board' }),
    });
  }

  /** For `systemctl status`. */
  #status(): string {
    const { camera, spool } = this.#parts;
    const { cap, isCapturing, isRecording, isTaking } = camera.state();
    const closed = isTaking ? 'taking a picture' : 'camera closed';
    const open = isCapturing ? 'watching' : closed;
    return `cap ${cap}, ${isRecording ? 'recording' : open}, ${spool.held().items} waiting`;
  }
}
