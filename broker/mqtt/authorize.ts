// Who may do what on the broker: pure decisions, deny by default. Identity is the certificate's; a
// device publishes its own up topics at QoS 1 and subscribes its own down topics, nothing else.

import { parseTopic, type UpNoun } from '../../proto/topics.ts';
import type { CertificateRow } from '../store/devices.ts';

/** The noun a device may publish with this packet, or why not. */
export function mayPublish(
  deviceId: string,
  packet: { readonly topic: string; readonly qos: number; readonly retain: boolean },
): { readonly noun: UpNoun } | { readonly refusal: string } {
  const topic = parseTopic(packet.topic);
  if (topic?.direction !== 'up' || topic.deviceId !== deviceId)
    return { refusal: `may not publish ${packet.topic.slice(0, 100)}` };
  if (packet.qos !== 1) return { refusal: `QoS ${packet.qos} on an up topic; use QoS 1` };
  if (packet.retain) return { refusal: 'retained messages are not taken' };
  return { noun: topic.noun };
}

export function maySubscribe(deviceId: string, filter: string): boolean {
  const topic = parseTopic(filter);
  return topic?.direction === 'down' && topic.deviceId === deviceId;
}

/** Why a certificate does not admit the client with this id; undefined when it does. */
export function whyNotAdmitted(
  clientId: string,
  commonName: string | undefined,
  certificate: CertificateRow | undefined,
  nowUs: number,
): string | undefined {
  if (clientId !== commonName) return 'the client id is not the name in the certificate';
  if (!certificate || certificate.device_id !== clientId) return 'the certificate is not known';
  if (certificate.revoked_at_us !== null) return 'the certificate is revoked';
  if (certificate.not_after_us <= nowUs) return 'the certificate has expired';
  return undefined;
}
