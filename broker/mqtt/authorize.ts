// Who may do what on the broker: pure decisions, deny by default. Identity is the certificate's; a
// device publishes its own up topics at QoS 1 and subscribes its own down topics, nothing else. A
// board without an identity publishes the request of its own exchange and subscribes the answer.

import {
  type Exchange,
  isInstanceId,
  parseClaimTopic,
  parseTopic,
  type UpNoun,
} from '../../proto/topics.ts';

/** Return codes of CONNACK. [MQTT-3.2.2-6] */
const IDENTIFIER_REJECTED = 2;
const SERVER_UNAVAILABLE = 3;
const BAD_USER_NAME = 4;
const NOT_AUTHORIZED = 5;

/** Why a connection is refused: in words, and what the CONNACK says. */
export const REFUSALS = {
  foreign: {
    why: 'no certificate of this authority that is valid now',
    connack: NOT_AUTHORIZED,
  },
  name: { why: 'the client id is not the name in the certificate', connack: IDENTIFIER_REJECTED },
  certificate: { why: 'the certificate does not admit it', connack: NOT_AUTHORIZED },
  instance: { why: 'the user name is not the id of an instance', connack: BAD_USER_NAME },
  clone: { why: 'two boards bear this certificate', connack: NOT_AUTHORIZED },
  busy: { why: 'too many boards without an identity', connack: SERVER_UNAVAILABLE },
  limited: { why: 'too many failed attempts of this address', connack: SERVER_UNAVAILABLE },
  gone: { why: 'it went away', connack: NOT_AUTHORIZED },
  failed: { why: 'it could not be looked up', connack: SERVER_UNAVAILABLE },
} as const satisfies Record<string, { readonly why: string; readonly connack: number }>;
export type Refusal = keyof typeof REFUSALS;

interface Published {
  readonly topic: string;
  readonly qos: number;
  readonly retain: boolean;
}

/** The noun a device may publish with this packet, or why not. */
export function mayPublish(
  deviceId: string,
  packet: Published,
): { readonly noun: UpNoun } | { readonly refusal: string } {
  const topic = parseTopic(packet.topic);
  if (topic?.direction !== 'up' || topic.deviceId !== deviceId)
    return { refusal: `may not publish ${packet.topic.slice(0, 100)}` };
  const refusal = whyNotTaken(packet);
  return refusal === undefined ? { noun: topic.noun } : { refusal };
}

/** Why a board may not publish this; undefined when it is the request of its exchange. */
export function whyNotAsked(exchange: Exchange, packet: Published): string | undefined {
  if (parseClaimTopic(exchange, packet.topic) !== 'request')
    return `may not publish ${packet.topic.slice(0, 100)}`;
  return whyNotTaken(packet);
}

function whyNotTaken({ qos, retain }: Published): string | undefined {
  if (qos !== 1) return `QoS ${qos} on an up topic; use QoS 1`;
  return retain ? 'retained messages are not taken' : undefined;
}

export function maySubscribe(deviceId: string, filter: string): boolean {
  const topic = parseTopic(filter);
  return topic?.direction === 'down' && topic.deviceId === deviceId;
}

/** Who comes, as TLS and its CONNECT say it. */
export interface Caller {
  readonly clientId: string;
  /** The certificate is of our authority and its time is now. */
  readonly isAuthorized: boolean;
  /** Common name of the certificate. */
  readonly name: string | undefined;
}

export interface Refused {
  readonly refusal: Refusal;
  /** For the log. */
  readonly why: string;
}

/** Why a caller is a stranger; undefined when it is whom it says, so that its certificate is looked up. */
export function whyStranger({ clientId, isAuthorized, name }: Caller): Refused | undefined {
  if (!isAuthorized) return refused('foreign');
  return clientId === name ? undefined : refused('name');
}

export function refused(refusal: Refusal): Refused {
  return { refusal, why: REFUSALS[refusal].why };
}

/** The instance id that a device gave as its user name. */
export function instanceOf(userName: string | undefined): string | undefined {
  return userName !== undefined && isInstanceId(userName) ? userName : undefined;
}
