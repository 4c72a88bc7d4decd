// What the texts of the kernel say of the board's state. Pure. Null where they say nothing.

/** Millidegrees of each sensor; a sensor that is not there shows nonsense. */
export function hottestCelsius(sensors: readonly string[]): number | null {
  const celsius = sensors
    .map((text) => Number(text) / 1000)
    .filter((value) => Number.isFinite(value) && value > -100 && value < 200);
  return celsius.length === 0 ? null : Math.max(...celsius);
}

/** Bytes, of /proc/meminfo. */
export function memoryIn(meminfo: string): { total: number; available: number } | null {
  const [total, available] = ['MemTotal', 'MemAvailable'].map((name) => {
    const [, kibibytes] = new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(meminfo) ?? [];
    const bytes = Number(kibibytes) * 1024;
    return Number.isSafeInteger(bytes) ? bytes : undefined;
  });
  return total === undefined || available === undefined ? null : { total, available };
}

/** Time of all cores together, in any unit. */
export interface CpuTime {
  readonly busy: number;
  readonly total: number;
}

/** Of /proc/stat: what waits for the disk is idle, time of guests is in that of users. */
export function cpuTimeIn(stat: string): CpuTime | null {
  const [, columns] = /^cpu +([\d ]+)$/m.exec(stat) ?? [];
  if (columns === undefined) return null;
  const ticks = columns.trim().split(/ +/).slice(0, 8).map(Number);
  const total = ticks.reduce((sum, value) => sum + value, 0);
  const [, , , idle = 0, waiting = 0] = ticks;
  return { busy: total - idle - waiting, total };
}

/** Whole percent between two moments. */
export function busyPercent(before: CpuTime, now: CpuTime): number {
  const total = now.total - before.total;
  // Sums of nonsense are no number.
  if (!(total > 0)) return 0;
  const percent = Math.round(((now.busy - before.busy) / total) * 100);
  return Number.isNaN(percent) ? 0 : Math.max(0, Math.min(100, percent));
}

/**
 * How much of the flash is used up at least, the worst of what its parts say. JEDEC: 0x01 is up to
 * 10%, each more another 10%, 0x0B more than what it was made for; 0 says nothing.
 */
export function wearPercent(lifeTimes: readonly string[]): number | null {
  const steps = lifeTimes
    .flatMap((text) => text.split(/\s+/))
    .map(Number)
    .filter((step) => Number.isInteger(step) && step >= 1 && step <= 11);
  return steps.length === 0 ? null : (Math.max(...steps) - 1) * 10;
}

/** The strongest signal in /proc/net/wireless, where some drivers count from 256 down. */
export function signalIn(wireless: string): number | null {
  const levels = wireless.split('\n').flatMap((line) => {
    const [, level] = /^\s*\S+:\s+\S+\s+\S+\s+(-?\d+)\.?\s/.exec(line) ?? [];
    return level === undefined ? [] : [Number(level)];
  });
  // A card without a connection says 0.
  const dbm = levels
    .map((level) => (level > 0 ? level - 256 : level))
    .filter((one) => one > -200 && one < 0);
  return dbm.length === 0 ? null : Math.max(...dbm);
}
