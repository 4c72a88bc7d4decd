// Labels that the operator gives devices, and selectors made of them. Pure.
import { LenscapError } from '../../proto/errors.ts';

const KEY = /^[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?$/;
const VALUE = /^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$/;
/** Of one device. */
export const MAX_LABELS = 32;

/** A value of null removes the label. */
export interface LabelChange {
  readonly key: string;
  readonly value: string | null;
}

/** `site=north` sets, `site-` removes. @throws REQUEST_INVALID. */
export function parseLabelChange(typed: string): LabelChange {
  if (!typed.includes('=') && typed.endsWith('-')) {
    const key = typed.slice(0, -1);
    if (KEY.test(key)) return { key, value: null };
  }
  return parseLabel(typed);
}

/** `site=north`. @throws REQUEST_INVALID. */
export function parseLabel(typed: string): { readonly key: string; readonly value: string } {
  const at = typed.indexOf('=');
  const [key, value] = [typed.slice(0, Math.max(at, 0)), typed.slice(at + 1)];
  if (KEY.test(key) && VALUE.test(value)) return { key, value };
  throw new LenscapError(
    'REQUEST_INVALID',
    `${JSON.stringify(typed.slice(0, 100))} is no label; write key=value, of letters, digits and . _ -, at most 63 each`,
  );
}

/** Labels that a device has to bear, all of them. @throws REQUEST_INVALID for two values of one key. */
export function parseSelector(typed: readonly string[]): Readonly<Record<string, string>> {
  const labels = new Map<string, string>();
  for (const { key, value } of typed.map(parseLabel)) {
    if (labels.has(key) && labels.get(key) !== value)
      throw new LenscapError('REQUEST_INVALID', `no device bears two values of ${key}`);
    labels.set(key, value);
  }
  return Object.fromEntries(labels);
}
