// JSON documents from outside against their schema: every fault is named with its path.
import { readFileSync } from 'node:fs';
import { Ajv, type ErrorObject, type ValidateFunction } from 'ajv';
import { type ErrorCode, LenscapError } from './errors.ts';

/** The schema language the product uses: `description` and `default` are kept next to each key. */
export type Schema = Readonly<Record<string, unknown>>;

/**
 * Makes a checker for documents of type T. Absent keys get their defaults; the result is frozen.
 * The checker throws `code` and lists all faults, one a line: `/video/width: must be <= 7680`.
 */
export function documentChecker<T>(
  schema: Schema,
  code: ErrorCode,
): (document: unknown, name: string) => T {
  const ajv = new Ajv({
    allErrors: true,
    useDefaults: true,
    discriminator: true,
    strict: true,
    strictRequired: false,
    allowUnionTypes: true,
  });
  const validate: ValidateFunction<T> = ajv.compile<T>(schema);
  return (document, name) => {
    const copy: unknown = structuredClone(document);
    if (validate(copy)) return deepFreeze(copy);
    const faults = (validate.errors ?? []).map(describeFault).join('\n');
    throw new LenscapError(code, `${name}:\n${faults}`);
  };
}

/** Reads, parses and checks a JSON file. @throws `code`, for unreadable files and bad JSON as well. */
export function readDocument<T>(
  path: string,
  code: ErrorCode,
  check: (document: unknown, name: string) => T,
): T {
  let document: unknown;
  try {
    document = JSON.parse(readFileSync(path, 'utf8'));
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new LenscapError(code, `${path} cannot be read as JSON: ${why}`, { cause: error });
  }
  return check(document, path);
}

function describeFault({ instancePath, message, params }: ErrorObject): string {
  const extra =
    'additionalProperty' in params
      ? ` (${String(params.additionalProperty)})`
      : 'allowedValues' in params
        ? ` (${String(params.allowedValues)})`
        : '';
  return `  ${instancePath === '' ? '/' : instancePath}: ${message ?? 'is not valid'}${extra}`;
}

function deepFreeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null)
    for (const inner of Object.values(Object.freeze(value))) deepFreeze(inner);
  return value;
}
