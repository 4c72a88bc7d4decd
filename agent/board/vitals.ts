// How the board is: heat, memory, load, wear of the flash, radio. Invariant: it only reads; what the
// kernel does not tell, or hides from the service, is not known.
import { availableParallelism, freemem, totalmem } from 'node:os';
import type { Vitals } from '../../proto/health.ts';
import type { Clock } from '../clock.ts';
import type { BoardFiles } from './board-files.ts';
import {
  busyPercent,
  type CpuTime,
  cpuTimeIn,
  hottestCelsius,
  memoryIn,
  signalIn,
  wearPercent,
} from './readings.ts';

export type BoardReadings = Pick<
  Vitals,
  | 'temperatureCelsius'
  | 'memoryTotalBytes'
  | 'memoryAvailableBytes'
  | 'cpuPercent'
  | 'flashWearPercent'
  | 'signalDbm'
  | 'uptimeS'
>;

/** eMMC, and UFS with both kinds of its cells. */
const LIFE_TIMES = [
  'sys/block/mmcblk*/device/life_time',
  'sys/bus/platform/drivers/ufshcd*/*/health_descriptor/life_time_estimation_*',
] as const;

export interface BoardVitalsDeps {
  readonly files: BoardFiles;
  readonly clock: Pick<Clock, 'monoUs'>;
}

export class BoardVitals {
  readonly #deps: BoardVitalsDeps;
  /** Of the last reading; the first one tells of the time since the boot. */
  #cpu: CpuTime = { busy: 0, total: 0 };

  constructor(deps: BoardVitalsDeps) {
    this.#deps = deps;
  }

  /** Never rejects. */
  async read(): Promise<BoardReadings> {
    const { files } = this.#deps;
    const [sensors, meminfo, cpu, flashWearPercent, wireless] = await Promise.all([
      files.texts('sys/class/thermal/*/temp'),
      files.text('proc/meminfo'),
      this.#cpuTime(),
      this.flashWearPercent(),
      files.text('proc/net/wireless'),
    ]);
    const cpuPercent = busyPercent(this.#cpu, cpu);
    this.#cpu = cpu;
    // Hidden from a service under ProcSubset=pid: then what the system call tells.
    const memory = memoryIn(meminfo ?? '') ?? { total: totalmem(), available: freemem() };
    return {
      temperatureCelsius: hottestCelsius(sensors),
      memoryTotalBytes: memory.total,
      memoryAvailableBytes: memory.available,
      cpuPercent,
      flashWearPercent,
      signalDbm: signalIn(wireless ?? ''),
      uptimeS: Math.floor(process.uptime()),
    };
  }

  /** How much of the flash is used up, at least; null when the kernel does not tell. */
  async flashWearPercent(): Promise<number | null> {
    const { files } = this.#deps;
    const texts = await Promise.all(LIFE_TIMES.map((pattern) => files.texts(pattern)));
    return wearPercent(texts.flat());
  }

  /** Of the machine; where that is hidden, of this service with all its processes. */
  async #cpuTime(): Promise<CpuTime> {
    const { files, clock } = this.#deps;
    const machine = cpuTimeIn((await files.text('proc/stat')) ?? '');
    if (machine !== null) return machine;
    const total = clock.monoUs() * availableParallelism();
    const [, group] = /^0::(\/\S*)$/m.exec((await files.text('proc/self/cgroup')) ?? '') ?? [];
    const stat = group && (await files.text(`sys/fs/cgroup${group}/cpu.stat`));
    const [, usedUs] = /^usage_usec (\d+)$/m.exec(stat ?? '') ?? [];
    if (usedUs !== undefined) return { busy: Number(usedUs), total };
    const { user, system } = process.cpuUsage();
    return { busy: user + system, total };
  }
}
