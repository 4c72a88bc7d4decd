// A camera in lines, as its owner reads them. Pure.
import type { Device } from './device-answers.ts';
import { size } from './times.ts';

export function linesOf(device: Device): string[] {
  const { stateReason, connected, scopes, epoch, appliedEpoch, segments, bytes } = device;
  const applied = appliedEpoch === epoch ? 'obeyed by the camera' : 'not yet obeyed by the camera';
  return [
    `id:            ${device.id}`,
    `name:          ${device.name}`,
    `state:         ${device.state}${stateReason === null ? '' : ` (${stateReason})`}`,
    `cap:           ${device.cap}`,
    `consent:       ${scopes.join(', ') || 'none'}; ${applied}`,
    `connected:     ${connected ? 'yes' : `no, last seen ${device.lastSeenAt ?? 'never'}`}`,
    ...labelLines(device),
    `certificate:   ${device.certificateEnd === null ? 'none in force' : `until ${device.certificateEnd}`}`,
    `stored:        ${segments} pieces, ${size(bytes)}; last picture ${device.lastSegmentEndAt ?? 'none'}`,
    `on the camera: ${waitingOn(device)}`,
  ];
}

/** Only where there are any. */
function labelLines({ labels }: Device): string[] {
  const all = Object.entries(labels).map(([key, value]) => `${key}=${value}`);
  return all.length === 0 ? [] : [`labels:        ${all.join(', ')} (by the operator)`];
}

function waitingOn({ spool }: Device): string {
  if (spool === null) return 'not known';
  const { state, code, items, bytes } = spool;
  const where = state === 'on_flash' ? 'on its flash' : `in its memory only (${code ?? state})`;
  return `${items} pieces and gaps waited ${where} when it last said, ${size(bytes)}`;
}
