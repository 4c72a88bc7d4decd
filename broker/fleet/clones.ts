// Two boards with one certificate, told by the runs of agents behind it: of two runs the older never
// comes back, unless there are two boards. Pure, in memory: after a restart of the server the two give
// themselves away again. A new certificate begins anew, since it is on one board only.

/** Runs remembered of one certificate; clones take turns within a few. */
const REMEMBERED = 16;

interface Runs {
  readonly serial: string;
  /** The latest last. */
  readonly instances: string[];
}

export class Instances {
  readonly #devices = new Map<string, Runs>();

  /**
   * Notes that a run of the agent connected. After `clone` the device has to be suspended, durably;
   * it is forgotten here.
   */
  note(deviceId: string, instanceId: string, certificateSerial: string): 'fine' | 'clone' {
    const known = this.#devices.get(deviceId);
    const instances = known?.serial === certificateSerial ? known.instances : [];
    if (instances.at(-1) === instanceId) return 'fine';
    if (instances.includes(instanceId)) {
      this.#devices.delete(deviceId);
      return 'clone';
    }
    instances.push(instanceId);
    if (instances.length > REMEMBERED) instances.shift();
    this.#devices.set(deviceId, { serial: certificateSerial, instances });
    return 'fine';
  }

  /** Devices remembered; at most those that ever connected with a certificate of this server. */
  get size(): number {
    return this.#devices.size;
  }
}
