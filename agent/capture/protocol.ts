// What the capture and its child process say to each other over IPC. Media never travel here: they
// go through the pipe. Only plain JSON values. INVARIANT: what the child says is taken as a Report
// only after reportOf() has seen all of it.

/** Name of the element that keeps the rate, where there is one. */
export const RATE = 'rate';

/** Set on an element after the pipeline was built; never part of the launch string. */
export interface Property {
  readonly element: string;
  readonly name: string;
  readonly value: string | number | boolean;
}

export interface PipelinePlan {
  readonly launch: string;
  readonly properties: readonly Property[];
}

/** Caps of a first buffer: `name` is the media type, the rest its plain fields. */
export type Caps = Readonly<Record<string, string | number | boolean>>;

/** An error of GStreamer, untranslated. */
export interface Fault {
  readonly element: string;
  readonly message: string;
  readonly debug: string;
}

export type Command =
  | {
      /** Runs a pipeline until each appsink named in `sinks` had a buffer, then ends it. */
      readonly kind: 'inspect';
      readonly id: number;
      readonly plan: PipelinePlan;
      readonly sinks: readonly string[];
      /** How long to wait for the first buffer. */
      readonly timeoutMs: number;
      /** How long to wait for the others after it. */
      readonly graceMs: number;
    }
  | { readonly kind: 'play'; readonly plan: PipelinePlan; readonly loop: boolean }
  /** Sets properties of the running pipeline, in order. */
  | { readonly kind: 'set'; readonly id: number; readonly properties: readonly Property[] }
  /** Asks how often the running pipeline has repeated a picture for want of the next one. */
  | { readonly kind: 'repeated'; readonly id: number }
  /** Looks for QR codes. Their texts are reported and nothing else of the pictures. */
  | { readonly kind: 'scan'; readonly plan: PipelinePlan; readonly loop: boolean }
  /** `drain`: push what is in the pipeline out first. Otherwise end at once. */
  | { readonly kind: 'stop'; readonly drain: boolean };

export type Report =
  | {
      readonly kind: 'inspected';
      readonly id: number;
      /** By sink; a sink without a buffer is absent. */
      readonly caps: Readonly<Record<string, Caps>>;
    }
  | { readonly kind: 'refused'; readonly id: number; readonly fault: Fault }
  /** All properties of a command were set. */
  | { readonly kind: 'set'; readonly id: number }
  | { readonly kind: 'repeated'; readonly id: number; readonly count: number }
  /** How loud it is: decibels of full scale. */
  | { readonly kind: 'sound'; readonly db: number }
  | { readonly kind: 'fault'; readonly fault: Fault }
  | { readonly kind: 'unloopable' }
  /** A QR code was read; what is longer than MAX_TEXT is cut. */
  | { readonly kind: 'barcode'; readonly text: string }
  /** A scan had pictures: about once a second while they come. */
  | { readonly kind: 'pictures' }
  | { readonly kind: 'ended' };

/** Longest string in a report, in characters; the child cuts what is longer. */
export const MAX_TEXT = 4000;
const MAX_FIELDS = 100;

/** A message of the child as a report, or undefined when it is none. Never throws. */
export function reportOf(message: unknown): Report | undefined {
  if (!isRecord(message)) return undefined;
  const { kind, id } = message;
  if (kind === 'set') return isId(id) ? { kind, id } : undefined;
  if (kind === 'repeated') return repeatedOf(id, message.count);
  if (kind === 'inspected') {
    const caps = tableOf(message.caps, capsOf);
    return isId(id) && caps !== undefined ? { kind, id, caps } : undefined;
  }
  const fault = faultOf(message.fault);
  if (fault === undefined) return told(message);
  if (kind === 'fault') return { kind, fault };
  return kind === 'refused' && isId(id) ? { kind, id, fault } : undefined;
}

function repeatedOf(id: unknown, count: unknown): Report | undefined {
  const isCount = isId(count) && count >= 0;
  return isId(id) && isCount ? { kind: 'repeated', id, count } : undefined;
}

/** Reports that neither answer nor complain. */
function told({ kind, text, db }: Readonly<Record<string, unknown>>): Report | undefined {
  if (kind === 'ended' || kind === 'unloopable' || kind === 'pictures') return { kind };
  if (kind === 'barcode') return isText(text) ? { kind, text } : undefined;
  return kind === 'sound' && isNumber(db) ? { kind, db } : undefined;
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value.length <= MAX_TEXT;
}

function isId(value: unknown): value is number {
  return Number.isSafeInteger(value);
}

function faultOf(value: unknown): Fault | undefined {
  if (!isRecord(value)) return undefined;
  const { element, message, debug } = value;
  return isText(element) && isText(message) && isText(debug)
    ? { element, message, debug }
    : undefined;
}

function capsOf(value: unknown): Caps | undefined {
  return tableOf(value, (field) =>
    isText(field) || typeof field === 'boolean' || isNumber(field) ? field : undefined,
  );
}

function isNumber(value: unknown): value is number {
  return Number.isFinite(value);
}

/** A record of bounded size whose every value passes; undefined otherwise. */
function tableOf<T>(
  value: unknown,
  entryOf: (entry: unknown) => T | undefined,
): Readonly<Record<string, T>> | undefined {
  if (!isRecord(value)) return undefined;
  const names = Object.keys(value);
  if (names.length > MAX_FIELDS) return undefined;
  const table = new Map<string, T>();
  for (const name of names) {
    const entry = entryOf(value[name]);
    if (!isText(name) || entry === undefined) return undefined;
    table.set(name, entry);
  }
  return Object.fromEntries(table);
}
