// The capture child: the only file that loads GStreamer. It runs the pipelines it is told to and
// decides nothing. Muxed bytes go from fdsink straight into the inherited descriptor 4.
// INVARIANT: it does not outlive its parent. Its end is always SIGKILL, since an orderly exit can
// hang while the binding waits for a buffer or a bus message.
import { createRequire } from 'node:module';
import type { BusMessage, Pipeline } from 'gstreamer-superficial';
import {
  type Caps,
  type Command,
  type Fault,
  MAX_TEXT,
  type PipelinePlan,
  type Property,
  RATE,
  type Report,
} from './protocol.ts';

const gst: typeof import('gstreamer-superficial') = createRequire(import.meta.url)(
  'gstreamer-superficial',
);

const SEEK_FLUSH = 1;
const SEEK_SEGMENT = 8;
/** Silence on the bus of a pipeline that has not started, after which polling is armed again. */
const REARM_MS = 30;
/** The parent kills after a last word; this is for when it does not. */
const LAST_WORD_MS = 1000;

function end(): void {
  process.kill(process.pid, 'SIGKILL');
}

function report(message: Report): void {
  process.send?.(message);
}

function lastWord(message: Report): void {
  report(message);
  setTimeout(end, LAST_WORD_MS);
}

/**
 * Reports all messages of a pipeline. The binding stops polling after one message while the
 * pipeline is not running yet, and would lose the error of a failed start.
 */
function watchBus(pipeline: Pipeline, onMessage: (message: BusMessage) => void): void {
  let started = false;
  let seen = 0;
  const poll = (): void =>
    pipeline.pollBus((message) => {
      seen += 1;
      const at = seen;
      if (message.type === 'state-changed' && /^pipeline\d+$/.test(message._src_element_name))
        started = true;
      onMessage(message);
      if (started) return;
      setTimeout(() => {
        if (!started && seen === at) poll();
      }, REARM_MS);
    });
  poll();
}

function build({ launch, properties }: PipelinePlan): Pipeline {
  const pipeline = new gst.Pipeline(launch);
  pipeline['auto-flush-bus'] = false;
  assign(pipeline, properties);
  return pipeline;
}

function assign(pipeline: Pipeline, properties: readonly Property[]): void {
  for (const { element, name, value } of properties) {
    const target = pipeline.findChild(element);
    if (target === undefined) throw new Error(`the pipeline has no element ${element}`);
    target[name] = value;
  }
}

/** Sets properties of the running pipeline. */
function set({ id, properties }: Extract<Command, { kind: 'set' }>): void {
  try {
    if (playing === undefined) throw new Error('nothing is playing');
    assign(playing, properties);
    report({ kind: 'set', id });
  } catch (thrown) {
    report({ kind: 'refused', id, fault: faultOfThrown(thrown) });
  }
}

/** Of an element that keeps the rate; a pipeline without one repeats nothing. The number comes as text. */
function tellRepeated(id: number): void {
  const count = Number(playing?.findChild(RATE)?.duplicate ?? 0);
  report({ kind: 'repeated', id, count: Number.isSafeInteger(count) ? count : 0 });
}

/** Silence is minus infinity, which is no number in JSON. */
const SILENCE_DB = -120;

/** Tells how loud it is: of several channels the loudest. They come as one text. */
function reportSound({ name, rms }: BusMessage): void {
  if (name !== 'level') return;
  const levels = (String(rms).match(/-?\d+(\.\d+)?/g) ?? []).map(Number);
  report({ kind: 'sound', db: Math.max(SILENCE_DB, ...levels) });
}

function cut(text: string): string {
  return text.slice(0, MAX_TEXT);
}

function faultOf(message: BusMessage): Fault {
  return {
    element: cut(message._src_element_name),
    message: cut(message.message ?? ''),
    debug: cut(String(message.debug ?? '')),
  };
}

function faultOfThrown(thrown: unknown): Fault {
  return {
    element: '',
    message: cut(thrown instanceof Error ? thrown.message : String(thrown)),
    debug: '',
  };
}

function plainCaps(caps: Record<string, unknown> | undefined): Caps {
  const plain: Record<string, string | number | boolean> = {};
  for (const [name, value] of Object.entries(caps ?? {}))
    if (typeof value === 'string') plain[name] = cut(value);
    else if (typeof value === 'number' || typeof value === 'boolean') plain[name] = value;
  return plain;
}

/** The sink for which a source says that it has no track, or an empty string. */
function unlinkedSink(message: BusMessage): string {
  if (message.type !== 'warning') return '';
  return /failed delayed linking .* named (\w+)_caps/.exec(String(message.debug))?.[1] ?? '';
}

function inspect(command: Extract<Command, { kind: 'inspect' }>): void {
  const { id, plan, sinks, timeoutMs, graceMs } = command;
  const caps: Record<string, Caps> = {};
  const waiting = new Set(sinks);
  let pipeline: Pipeline | undefined;
  let isDone = false;
  const finish = (message: Report): void => {
    if (isDone) return;
    isDone = true;
    clearTimeout(timer);
    pipeline?.stop();
    report(message);
  };
  const settle = (): void => finish({ kind: 'inspected', id, caps });
  let timer = setTimeout(settle, timeoutMs);
  try {
    pipeline = build(plan);
    watchBus(pipeline, (message) => {
      if (message.type === 'error') finish({ kind: 'refused', id, fault: faultOf(message) });
      waiting.delete(unlinkedSink(message));
      if (waiting.size === 0) settle();
    });
    pipeline.play();
    for (const sink of sinks)
      pipeline.findChild(sink)?.pull((buffer, found) => {
        if (isDone) return;
        waiting.delete(sink);
        if (buffer !== null) {
          caps[sink] = plainCaps(found);
          clearTimeout(timer);
          timer = setTimeout(settle, graceMs);
        }
        // A null buffer comes before the error that caused it.
        if (waiting.size === 0) setTimeout(settle, buffer === null ? 10 * REARM_MS : 0);
      });
  } catch (thrown) {
    finish({ kind: 'refused', id, fault: faultOfThrown(thrown) });
  }
}

let playing: Pipeline | undefined;
let isStopping = false;

/** Tells what a message says of a scan. Codes that are no QR codes are not reported. */
function reportScanned({ type, name, symbol }: BusMessage): void {
  if (name === 'progress') report({ kind: 'pictures' });
  else if (name === 'barcode' && type === 'QR-Code' && typeof symbol === 'string')
    report({ kind: 'barcode', text: cut(symbol) });
}

/** Makes a pipeline begin again at its end, when its messages are given to the function returned. */
function looping(pipeline: Pipeline): (message: BusMessage) => void {
  let isSeekable = false;
  return ({ type }) => {
    if (type === 'segment-done' && !isStopping) pipeline.seek(0, SEEK_SEGMENT);
    if (type !== 'async-done' || isSeekable) return;
    isSeekable = true;
    if (!pipeline.seek(0, SEEK_FLUSH | SEEK_SEGMENT)) report({ kind: 'unloopable' });
    pipeline.play();
  };
}

function play({ kind, plan, loop }: Extract<Command, { kind: 'play' | 'scan' }>): void {
  try {
    const pipeline = build(plan);
    playing = pipeline;
    const again = loop ? looping(pipeline) : undefined;
    watchBus(pipeline, (message) => {
      if (message.type === 'error') lastWord({ kind: 'fault', fault: faultOf(message) });
      else if (message.type === 'eos') lastWord({ kind: 'ended' });
      else if (kind === 'scan') reportScanned(message);
      else reportSound(message);
      again?.(message);
    });
    if (loop) pipeline.pause();
    else pipeline.play();
  } catch (thrown) {
    lastWord({ kind: 'fault', fault: faultOfThrown(thrown) });
  }
}

function stop({ drain }: Extract<Command, { kind: 'stop' }>): void {
  isStopping = true;
  if (drain && playing !== undefined) playing.sendEOS();
  else lastWord({ kind: 'ended' });
}

process.on('disconnect', end);
process.on('message', (command: Command) => {
  if (command.kind === 'inspect') inspect(command);
  else if (command.kind === 'stop') stop(command);
  else if (command.kind === 'set') set(command);
  else if (command.kind === 'repeated') tellRepeated(command.id);
  else play(command);
});
// The parent may have gone before this line: then there was no event.
if (!process.connected) end();
