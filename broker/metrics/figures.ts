// What the figures are told by the gate of the devices: plain numbers by label, counted since the
// start of the server unless said otherwise. A label that is not there is 0.

export interface Figures {
  /** Open now, by kind. */
  readonly connections: Readonly<Record<string, number>>;
  /** Messages taken from devices, by noun. */
  readonly messages: Readonly<Record<string, number>>;
  /** Bytes of the payloads of those messages. */
  readonly bytes: number;
  /** What was refused, by error code or reason. */
  readonly refusals: Readonly<Record<string, number>>;
  /** Answers to boards that asked for an identity: `issued`, or the error code. */
  readonly claims: Readonly<Record<string, number>>;
}
