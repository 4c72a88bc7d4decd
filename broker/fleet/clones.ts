// Two boards with one certificate, told by the runs of agents behind it: of two runs the older never
// comes back, unless there are two boards. Pure, in memory: after a restart of the server the two give
// themselves away again. A new certificate begins anew, since it is on one board only.

/** Runs remembered of one certificate. */
const REMEMBERED = 1024;
/**
 * So many runs within this time are no one board's, whose agent takes a second to start: somebody
 * makes them up, so that the run which he pushed out is forgotten before it comes back.
 */
const FLOOD_MS = 600_000;

interface Runs {
  readonly serial: string;
  /** When each began; the latest last. */
  readonly instances: Map<string, number>;
  latest: string;
}

export class Instances {
  readonly #nowMs: () => number;
  readonly #devices = new Map<string, Runs>();

  /** `nowMs` is monotonic. */
  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  /**
   * Notes that a run of the agent connected. After `clone` the device has to be suspended, durably;
   * it is forgotten here.
   */
  note(deviceId: string, instanceId: string, certificateSerial: string): 'fine' | 'clone' {
    const known = this.#devices.get(deviceId);
    const isSame = known?.serial === certificateSerial;
    if (isSame && known.latest === instanceId) return 'fine';
    const instances = isSame ? known.instances : new Map<string, number>();
    if (instances.has(instanceId) || this.#isFlooded(instances)) {
      this.#devices.delete(deviceId);
      return 'clone';
    }
    instances.set(instanceId, this.#nowMs());
    this.#devices.set(deviceId, { serial: certificateSerial, instances, latest: instanceId });
    return 'fine';
  }

  /** Forgets the oldest when there are too many; it should be long ago. */
  #isFlooded(instances: Map<string, number>): boolean {
    if (instances.size < REMEMBERED) return false;
    const [oldest] = instances;
    if (!oldest) return false;
    instances.delete(oldest[0]);
    return this.#nowMs() - oldest[1] < FLOOD_MS;
  }

  /** Devices remembered; at most those that ever connected with a certificate of this server. */
  get size(): number {
    return this.#devices.size;
  }
}
