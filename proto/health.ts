// The Health message: how the camera is, under the scope `device_info` and its part `health`.
import { type ErrorCode, isErrorCode, LenscapError } from './errors.ts';
import { parsed, whole } from './fields.ts';
import { lenscap } from './wire.ts';

const Wire = lenscap.v1.Health;

/** In the order of the wire numbers, from 1. */
export const SPOOL_STATES = ['on_flash', 'memory_only'] as const;
export type SpoolState = (typeof SPOOL_STATES)[number];

export interface SpoolHealth {
  /** `memory_only`: the flash takes nothing, all that waits is lost with power. */
  readonly state: SpoolState;
  /** Why; null when on flash. */
  readonly code: ErrorCode | null;
  readonly items: number;
  readonly bytes: number;
}

/** How the board is, and its connection. Null: not known here. Counts are since the agent started. */
export interface Vitals {
  readonly temperatureCelsius: number | null;
  readonly memoryTotalBytes: number;
  readonly memoryAvailableBytes: number;
  /** Of all cores, since the last report. */
  readonly cpuPercent: number;
  /** Used up, may exceed 100. */
  readonly flashWearPercent: number | null;
  /** Of the camera less that of the server. */
  readonly clockOffsetMs: number | null;
  readonly framesCaptured: number;
  readonly framesDropped: number;
  readonly segmentsSent: number;
  readonly bytesSent: number;
  readonly roundTripMs: number | null;
  readonly connectionsLost: number;
  readonly signalDbm: number | null;
  readonly uptimeS: number;
}

export interface Health {
  /** Consent epoch under which it is sent. */
  readonly epoch: number;
  readonly spool: SpoolHealth;
  readonly vitals: Vitals;
}

export function encodeHealth({ epoch, spool, vitals }: Health): Uint8Array {
  const { temperatureCelsius, ...others } = vitals;
  return Wire.encode({
    epoch,
    spoolState: SPOOL_STATES.indexOf(spool.state) + 1,
    spoolCode: spool.code ?? '',
    spoolItems: spool.items,
    spoolBytes: spool.bytes,
    ...others,
    temperatureDecicelsius:
      temperatureCelsius === null ? null : Math.round(temperatureCelsius * 10),
  }).finish();
}

/** @throws DECODE_INVALID. */
export function decodeHealth(payload: Uint8Array): Health {
  const wire = parsed('health', () => Wire.decode(payload));
  const state = SPOOL_STATES[wire.spoolState - 1];
  if (state === undefined)
    throw new LenscapError('DECODE_INVALID', `no known state of a spool: ${wire.spoolState}`);
  if (wire.spoolCode !== '' && !isErrorCode(wire.spoolCode))
    throw new LenscapError('DECODE_INVALID', 'spool_code has to be an error code or absent');
  return {
    epoch: whole('epoch', wire.epoch, 1),
    spool: {
      state,
      code: wire.spoolCode === '' ? null : wire.spoolCode,
      items: whole('spool_items', wire.spoolItems),
      bytes: whole('spool_bytes', wire.spoolBytes),
    },
    vitals: vitalsOf(wire),
  };
}

/** Null where it is absent. @throws DECODE_INVALID. */
function maybe(
  field: string,
  value: number | null | undefined,
  min = 0,
  max = Number.MAX_SAFE_INTEGER,
): number | null {
  return value === null || value === undefined ? null : whole(field, value, min, max);
}

function vitalsOf(wire: lenscap.v1.Health): Vitals {
  const decicelsius = maybe('temperature', wire.temperatureDecicelsius, -1000, 2000);
  return {
    temperatureCelsius: decicelsius === null ? null : decicelsius / 10,
    memoryTotalBytes: whole('memory_total_bytes', wire.memoryTotalBytes),
    memoryAvailableBytes: whole('memory_available_bytes', wire.memoryAvailableBytes),
    cpuPercent: whole('cpu_percent', wire.cpuPercent, 0, 100),
    flashWearPercent: maybe('flash_wear_percent', wire.flashWearPercent, 0, 1000),
    clockOffsetMs: maybe('clock_offset_ms', wire.clockOffsetMs, -(2 ** 52), 2 ** 52),
    framesCaptured: whole('frames_captured', wire.framesCaptured),
    framesDropped: whole('frames_dropped', wire.framesDropped),
    segmentsSent: whole('segments_sent', wire.segmentsSent),
    bytesSent: whole('bytes_sent', wire.bytesSent),
    roundTripMs: maybe('round_trip_ms', wire.roundTripMs),
    connectionsLost: whole('connections_lost', wire.connectionsLost),
    signalDbm: maybe('signal_dbm', wire.signalDbm, -200, 100),
    uptimeS: whole('uptime_s', wire.uptimeS),
  };
}
