// Types of the GStreamer binding, as far as the capture child uses it.
declare module 'gstreamer-superficial' {
  export interface BusMessage {
    readonly type: string;
    readonly _src_element_name: string;
    readonly message?: string;
    readonly debug?: unknown;
    /** Of the structure of an element's message; a field `type` of it takes the place of `type`. */
    readonly name?: unknown;
    readonly symbol?: unknown;
    readonly rms?: unknown;
  }
  /** Settable: string, boolean, and numbers that fit a float32. Enums and flags are not. */
  export interface Element {
    [property: string]: unknown;
  }
  export interface AppSink extends Element {
    /** One call in flight at a time; null at the end of the stream. */
    pull(
      callback: (buffer: Buffer | null, caps: Record<string, unknown> | undefined) => void,
    ): void;
  }
  export class Pipeline {
    constructor(launch: string);
    play(): void;
    pause(): void;
    stop(): void;
    seek(seconds: number, flags: number): boolean;
    sendEOS(): void;
    findChild(name: string): AppSink | undefined;
    pollBus(callback: (message: BusMessage) => void): void;
    'auto-flush-bus': boolean;
  }
}
