// JSON documents from outside against their schema: every fault is named with its path. A schema is
// compiled when the first document comes, since that takes up to 100 ms and most programs meet few kinds.
import { readFileSync } from 'node:fs';
import { Ajv, type ErrorObject, type ValidateFunction } from 'ajv';
import { type ErrorCode, LenscapError } from './errors.ts';
import { harmless } from './harmless.ts';

/** So much of a name that nobody knows is quoted. */
const MAX_NAME = 100;

/** The schema language the product uses: `description` and `default` are kept next to each key. */
export type Schema = Readonly<Record<string, unknown>>;

/** What is wrong at one place of a document. */
export interface Fault {
  /** JSON pointer; empty for the whole. */
  readonly path: string;
  /** What would be allowed. */
  readonly message: string;
}

export function faultLines(faults: readonly Fault[]): string {
  return faults.map(({ path, message }) => `  ${path === '' ? '/' : path}: ${message}`).join('\n');
}

/** Makes a function that lists what is wrong with a document; it sets no defaults. */
export function faultFinder(schema: Schema): (document: unknown) => Fault[] {
  const validator = once(() => compile(schema, false));
  return (document) => {
    const validate = validator();
    return validate(document) ? [] : (validate.errors ?? []).map(faultOf);
  };
}

/**
 * Makes a checker for documents of type T. Absent keys get their defaults; the result is frozen.
 * The checker throws `code` and lists all faults, one a line: `/video/width: must be <= 7680`.
 */
export function documentChecker<T>(
  schema: Schema,
  code: ErrorCode,
): (document: unknown, name: string) => T {
  const validator = once(() => compile<T>(schema, true));
  return (document, name) => {
    const validate = validator();
    const copy: unknown = structuredClone(document);
    if (validate(copy)) return deepFreeze(copy);
    throw new LenscapError(code, `${name}:\n${faultLines((validate.errors ?? []).map(faultOf))}`);
  };
}

function once<T>(make: () => T): () => T {
  let made: { readonly it: T } | undefined;
  return () => {
    made ??= { it: make() };
    return made.it;
  };
}

/**
 * Our own schemas are trusted to be schemas (the tests look), and code that runs once a start need not
 * be optimized: both together take more than half of the time.
 */
function compile<T>(schema: Schema, useDefaults: boolean): ValidateFunction<T> {
  const ajv = new Ajv({
    allErrors: true,
    useDefaults,
    discriminator: true,
    strict: true,
    strictRequired: false,
    allowUnionTypes: true,
    meta: false,
    validateSchema: false,
    code: { optimize: false },
  });
  return ajv.compile<T>(schema);
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

function faultOf({ instancePath, message, params }: ErrorObject): Fault {
  const extra =
    'additionalProperty' in params
      ? ` (${harmless(String(params.additionalProperty).slice(0, MAX_NAME))})`
      : 'allowedValues' in params
        ? ` (${String(params.allowedValues)})`
        : '';
  return { path: instancePath, message: `${message ?? 'is not valid'}${extra}` };
}

function deepFreeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null)
    for (const inner of Object.values(Object.freeze(value))) deepFreeze(inner);
  return value;
}
