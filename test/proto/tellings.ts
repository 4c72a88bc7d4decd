// What a camera tells of itself, for tests: complete messages, each part to be changed.
import type { Reported } from '../../proto/desired-config.ts';
import type { Health, Vitals } from '../../proto/health.ts';
import type { Info } from '../../proto/info.ts';

export const vitals: Vitals = {
  temperatureCelsius: 41.5,
  memoryTotalBytes: 1_000_000_000,
  memoryAvailableBytes: 400_000_000,
  cpuPercent: 12,
  flashWearPercent: 3,
  clockOffsetMs: -20,
  framesCaptured: 3000,
  framesDropped: 2,
  segmentsSent: 25,
  bytesSent: 5_000_000,
  roundTripMs: 8,
  connectionsLost: 1,
  signalDbm: -60,
  uptimeS: 100,
};

export function infoOf(epoch: number, over: Partial<Info> = {}): Info {
  return {
    epoch,
    model: 'Bench camera 2',
    serial: 'SN-0042-planted',
    firmwareVersion: '7.1.0-firmware',
    agentVersion: '1.2.3',
    interfaces: [{ name: 'eth0', mac: '02:00:5e:10:00:01', addresses: ['192.0.2.77', 'fe80::1'] }],
    storage: { totalBytes: 8_000_000_000, freeBytes: 4_000_000_000 },
    ...over,
  };
}

export function healthOf(epoch: number, over: Partial<Health> = {}): Health {
  const spool = { state: 'on_flash', code: null, items: 3, bytes: 5000 } as const;
  return { epoch, spool, vitals, ...over };
}

export function reportedOf(epoch: number, over: Partial<Reported> = {}): Reported {
  return {
    epoch,
    version: 1,
    state: 'applied',
    inForce: 1,
    atUs: 1_790_000_000_000_001,
    code: null,
    detail: '',
    faults: [],
    settings: '{"label":{"name":"planted-label"}}',
    ...over,
  };
}
