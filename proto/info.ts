// Device information: what the owner lets the operator know of the camera itself, under the scope
// `device_info`.
import { parsed, text, whole } from './fields.ts';
import { lenscap } from './wire.ts';

const Wire = lenscap.v1.Info;

export interface Info {
  /** Consent epoch under which it is sent. */
  readonly epoch: number;
  readonly agentVersion: string;
}

export function encodeInfo(info: Info): Uint8Array {
  return Wire.encode(info).finish();
}

/** @throws DECODE_INVALID. */
export function decodeInfo(payload: Uint8Array): Info {
  const wire = parsed('info', () => Wire.decode(payload));
  return {
    epoch: whole('epoch', wire.epoch, 1),
    agentVersion: text('agent_version', wire.agentVersion, 64),
  };
}
