// What an owner should know of a camera that is not as it should be, and what to do. Pure.
import type { Device } from './device-answers.ts';

/** Each a paragraph; none when all is well. */
export function remarksOn(device: Device, nowMs: number): string[] {
  const { id, name, state, stateReason, releasedAt, certificateEnd } = device;
  const who = `${name} (${id})`;
  const readmit = `lenscap claim new --device ${id}`;
  if (state === 'suspended' && stateReason === 'clone')
    return [
      `${who} is suspended: two boards connected with its identity, so somebody has copied it.
Both were cut off and nothing of either is taken in. If you hold the board: reset it
(lenscap-agent reset, or its button), then let it in again with a new setup code:
  ${readmit}
The copy is shut out by that. If you do not hold it: lenscap device revoke ${id}`,
    ];
  if (state === 'suspended')
    return [`${who} is suspended by the operator of the service; ask them. Your recordings stay.`];
  if (state === 'waiting') return [`${who} has its identity and has not connected with it yet.`];
  if (state === 'released' && releasedAt === null)
    return [
      `${who} is released, but the camera has not confirmed it: what it holds stays on it until it connects or is reset.`,
    ];
  const isDone = state === 'released' || state === 'revoked';
  if (!isDone && certificateEnd !== null && Date.parse(certificateEnd) <= nowMs)
    return [
      `${who}: its certificate ended at ${certificateEnd}, since it was off for too long. Let it in again:\n  ${readmit}`,
    ];
  if (!isDone && device.spool?.state === 'memory_only')
    return [
      `${who} cannot write to its flash (${device.spool.code ?? 'unknown'}): while it is not connected, it keeps
what fits into its memory, and a power cut loses that.`,
    ];
  return [];
}
