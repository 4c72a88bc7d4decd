// DesiredConfig: the configuration that the server wants, signed for one device; and Reported: what
// became of it there. The only order there is are versions.
import type { KeyObject } from 'node:crypto';
import { type ErrorCode, isErrorCode, LenscapError } from './errors.ts';
import { parsed, text, whole } from './fields.ts';
import { signBody, verifyBody } from './signed.ts';
import type { Fault } from './validate.ts';
import { lenscap } from './wire.ts';

const WireConfig = lenscap.v1.DesiredConfig;
const WireBody = lenscap.v1.DesiredConfigBody;
const WireReported = lenscap.v1.Reported;
const DOMAIN = 'lenscap config v1';
/** Of a document as JSON. */
export const MAX_DOCUMENT_BYTES = 64 * 1024;
const MAX_DETAIL = 500;
const MAX_FAULT_TEXT = 256;
export const MAX_FAULTS = 50;
/** Of all settings in force as JSON: the board's own masks may stand beside those of a document. */
export const MAX_SETTINGS_BYTES = 4 * MAX_DOCUMENT_BYTES;

export interface DesiredConfig {
  readonly deviceId: string;
  readonly version: number;
  /** JSON; not looked at here. */
  readonly document: string;
}

/** Payload of down/config. `privateKey` is Ed25519. */
export function signDesiredConfig(config: DesiredConfig, privateKey: KeyObject): Uint8Array {
  const body = WireBody.encode(config).finish();
  return WireConfig.encode(signBody(DOMAIN, body, privateKey)).finish();
}

/** @throws GRANT_INVALID when it is damaged, not signed by `publicKey`, or for another device. */
export function verifyDesiredConfig(
  payload: Uint8Array,
  publicKey: KeyObject,
  deviceId: string,
): DesiredConfig {
  try {
    const envelope = parsed('configuration', () => WireConfig.decode(payload));
    const body = verifyBody(DOMAIN, envelope, publicKey);
    const wire = parsed('configuration body', () => WireBody.decode(body));
    if (wire.deviceId !== deviceId)
      throw new LenscapError('GRANT_INVALID', 'the configuration is for another device');
    return {
      deviceId,
      version: whole('version', wire.version, 1),
      document: text('document', wire.document, MAX_DOCUMENT_BYTES),
    };
  } catch (error) {
    if (error instanceof LenscapError && error.code === 'GRANT_INVALID') throw error;
    throw new LenscapError('GRANT_INVALID', 'the configuration is damaged', { cause: error });
  }
}

/** In the order of the wire numbers, from 1. */
export const CONFIG_STATES = ['accepted', 'applied', 'rejected', 'reverted'] as const;
export type ConfigState = (typeof CONFIG_STATES)[number];

export function isConfigState(value: string): value is ConfigState {
  return (CONFIG_STATES as readonly string[]).includes(value);
}

export interface Reported {
  /** Consent epoch under which it is sent. */
  readonly epoch: number;
  /** The version that is spoken of. */
  readonly version: number;
  readonly state: ConfigState;
  /** 0: none but the board's own configuration. */
  readonly inForce: number;
  readonly atUs: number;
  readonly code: ErrorCode | null;
  readonly detail: string;
  readonly faults: readonly Fault[];
  /** JSON: every setting in force that can be pushed. */
  readonly settings: string;
}

/** So many faults, and so much of each, as are told of a document. */
export function boundedFaults(faults: readonly Fault[]): Fault[] {
  return faults.slice(0, MAX_FAULTS).map(({ path, message }) => ({
    path: path.slice(0, MAX_FAULT_TEXT),
    message: message.slice(0, MAX_FAULT_TEXT),
  }));
}

/** Longer texts are cut, and so are more faults. */
export function encodeReported(reported: Reported): Uint8Array {
  return WireReported.encode({
    ...reported,
    state: CONFIG_STATES.indexOf(reported.state) + 1,
    code: reported.code ?? '',
    detail: reported.detail.slice(0, MAX_DETAIL),
    faults: boundedFaults(reported.faults),
  }).finish();
}

/** @throws DECODE_INVALID. */
export function decodeReported(payload: Uint8Array): Reported {
  const wire = parsed('reported', () => WireReported.decode(payload));
  const state = CONFIG_STATES[wire.state - 1];
  if (state === undefined)
    throw new LenscapError('DECODE_INVALID', `no known state of a configuration: ${wire.state}`);
  if (wire.code !== '' && !isErrorCode(wire.code))
    throw new LenscapError('DECODE_INVALID', 'code has to be an error code or absent');
  if (wire.faults.length > MAX_FAULTS)
    throw new LenscapError('DECODE_INVALID', `at most ${MAX_FAULTS} faults`);
  return {
    epoch: whole('epoch', wire.epoch, 1),
    version: whole('version', wire.version, 1),
    state,
    inForce: whole('in_force', wire.inForce),
    atUs: whole('at_us', wire.atUs),
    code: wire.code === '' ? null : wire.code,
    detail: text('detail', wire.detail, MAX_DETAIL),
    faults: wire.faults.map((fault) => {
      const { path, message } = new lenscap.v1.ConfigFault(fault);
      return {
        path: text('path', path, MAX_FAULT_TEXT),
        message: text('message', message, MAX_FAULT_TEXT),
      };
    }),
    settings: jsonObject(wire.settings),
  };
}

function jsonObject(json: string): string {
  const value: unknown = parsed('settings', () =>
    JSON.parse(text('settings', json, MAX_SETTINGS_BYTES)),
  );
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new LenscapError('DECODE_INVALID', 'settings has to be a JSON object');
  return json;
}
