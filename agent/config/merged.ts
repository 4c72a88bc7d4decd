// A pushed document over the board's own configuration. Pure.
// Invariant: whatever comes of it passes every check that the board's own file has to pass.
import { type AgentConfig, checkAgentConfig } from '../../proto/agent-config.ts';
import { boundedFaults } from '../../proto/desired-config.ts';
import {
  consentFaults,
  type DeviceConfig,
  deviceConfigFaults,
  isObject,
  mergePatch,
} from '../../proto/device-config.ts';
import { type ErrorCode, toLenscapError } from '../../proto/errors.ts';
import type { Scope } from '../../proto/scopes.ts';
import type { Fault } from '../../proto/validate.ts';
import { crossFaults } from './load.ts';

export type Merged =
  | { readonly config: AgentConfig; readonly faults: readonly [] }
  | { readonly config: null; readonly faults: readonly Fault[] };

/** The configuration that a document makes of the board's own; nothing of the hardware is in one. */
export function merged(board: AgentConfig, document: DeviceConfig): Merged {
  const own: unknown = board;
  if (Object.keys(document).length === 0) return { config: board, faults: [] };
  const alone = deviceConfigFaults(document);
  if (alone.length > 0) return { config: null, faults: boundedFaults(alone) };
  try {
    const whole = isObject(own) ? mergePatch(own, document) : document;
    const config = checkAgentConfig(whole, 'the configuration');
    const faults = crossFaults(config);
    return faults.length > 0 ? { config: null, faults } : { config, faults: [] };
  } catch (error) {
    return {
      config: null,
      faults: boundedFaults([{ path: '', message: toLenscapError(error).detail }]),
    };
  }
}

/** What is wrong with a document that was sent, and under which code. */
export interface Judgement {
  readonly document: DeviceConfig;
  readonly code: ErrorCode;
  readonly faults: readonly Fault[];
}

/** Judges the text of a document for this board, under the consent in force. */
export function judged(
  board: AgentConfig,
  text: string,
  isGranted: (scope: Scope) => boolean,
): Judgement {
  const document = parsedDocument(text);
  const invalid = (faults: readonly Fault[]): Judgement => ({
    document: {},
    code: 'CONFIG_INVALID',
    faults,
  });
  if (!isObject(document)) return invalid([{ path: '', message: 'must be a JSON object' }]);
  const { faults } = merged(board, document);
  if (faults.length > 0) return invalid(faults);
  return { document, code: 'CONSENT_MISSING', faults: consentFaults(document, isGranted) };
}

function parsedDocument(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
