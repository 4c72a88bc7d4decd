// What a camera told of itself, in lines, as its owner reads them. Pure. What is not there says why:
// not shared, or not told yet. INVARIANT: whatever it told, it makes no line of its own.
import { harmless } from '../../proto/harmless.ts';
import type { Device, Held } from './device-answers.ts';
import { duration, size } from './times.ts';

const NOT_TOLD = 'not told yet';

/** Everything about the device itself; times are ages at `nowMs`. */
export function toldLines(device: Device, held: Held, nowMs: number): string[] {
  if (!device.scopes.includes('device_info'))
    return ['the device:    not known, since you share no device information'];
  return [
    ...infoLines(held, nowMs),
    ...healthLines(held, nowMs),
    `configuration: ${reportedLine(held, nowMs)}`,
  ].map(harmless);
}

function infoLines({ info, parts }: Held, nowMs: number): string[] {
  const line = (name: string, part: string, value: string | null | undefined): string =>
    `${`${name}:`.padEnd(14)} ${parts.includes(part) ? (value ?? (info ? 'not known' : NOT_TOLD)) : 'not shared'}`;
  const { interfaces, storage } = info ?? {};
  const addresses = interfaces?.map(
    ({ name, mac, addresses: own }) =>
      `${name} ${own.join(', ') || 'without an address'}${mac === null ? '' : ` (${mac})`}`,
  );
  const room = storage && `${size(storage.freeBytes)} of ${size(storage.totalBytes)} free`;
  return [
    line('model', 'model', info?.model),
    line('serial', 'serial number', info?.serial),
    line('firmware', 'firmware version', info?.firmwareVersion),
    line('agent', 'agent version', info?.agentVersion),
    line('network', 'network addresses', addresses?.join('; ')),
    line('storage', 'storage', room),
    ...(info ? [`told:          ${ago(info.receivedAt, nowMs)}`] : []),
  ];
}

function healthLines({ health, parts }: Held, nowMs: number): string[] {
  if (!parts.includes('health')) return ['health:        not shared'];
  if (health === null) return [`health:        ${NOT_TOLD}`];
  return [
    `health:        told ${ago(health.receivedAt, nowMs)}; counts are since its agent started`,
    ...vitalLines(health),
  ];
}

function vitalLines(health: NonNullable<Held['health']>): string[] {
  const known = (value: number | null, unit: string): string =>
    value === null ? 'not known' : `${value}${unit}`;
  const { spool, memoryAvailableBytes, memoryTotalBytes } = health;
  const rows: [string, string][] = [
    ['temperature', known(health.temperatureCelsius, ' °C')],
    ['memory', `${size(memoryAvailableBytes)} of ${size(memoryTotalBytes)} free`],
    ['processor', `${health.cpuPercent}% busy`],
    ['flash wear', known(health.flashWearPercent, '%')],
    ['clock', known(health.clockOffsetMs, ' ms from that of the server')],
    ['frames', `${health.framesCaptured} captured, ${health.framesDropped} dropped`],
    ['sent', `${health.segmentsSent} pieces, ${size(health.bytesSent)}`],
    ['waiting', `${spool.items} pieces and gaps, ${size(spool.bytes)}`],
    ['link', linkOf(health)],
    ['running for', duration(health.uptimeS * 1e6)],
  ];
  return rows.map(([name, value]) => `  ${name.padEnd(12)} ${value}`);
}

function linkOf({ roundTripMs, connectionsLost, signalDbm }: NonNullable<Held['health']>): string {
  return [
    roundTripMs === null ? 'round trip not measured' : `${roundTripMs} ms round trip`,
    `lost ${connectionsLost} times`,
    signalDbm === null ? 'not wireless' : `${signalDbm} dBm`,
  ].join(', ');
}

function reportedLine({ reported, parts }: Held, nowMs: number): string {
  if (!parts.includes('configuration')) return 'not shared';
  if (reported === null) return NOT_TOLD;
  const { version, state, inForce, code, detail, receivedAt } = reported;
  const why = code === null ? '' : ` (${code}: ${detail})`;
  const used = inForce === 0 ? 'its own is in force' : `version ${inForce} is in force`;
  return `version ${version} ${state}${why}, ${used}; told ${ago(receivedAt, nowMs)}`;
}

function ago(at: string, nowMs: number): string {
  return `${duration(Math.max(0, nowMs - Date.parse(at)) * 1000)} ago`;
}
