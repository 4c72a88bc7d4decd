// What the capture and its child process say to each other over IPC. Media never travel here: they
// go through the pipe. Only plain JSON values.

/** A string set on an element after the pipeline was built; never part of the launch string. */
export interface Property {
  readonly element: string;
  readonly name: string;
  readonly value: string;
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
  | { readonly kind: 'fault'; readonly fault: Fault }
  | { readonly kind: 'unloopable' }
  | { readonly kind: 'ended' };
