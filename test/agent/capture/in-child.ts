// Code that runs in the capture child before its own, so that it meets what a real one seldom does.

/** Environment of a child in which this code gets hold of GStreamer as `gst`, and of files as `fs`. */
export function inChild(...code: readonly string[]): {
  readonly childEnv: Record<string, string>;
} {
  const module = new URL('../../../agent/capture/child.ts', import.meta.url).href;
  const load = `import { createRequire } from 'node:module'; import fs from 'node:fs'; const gst = createRequire('${module}')('gstreamer-superficial');`;
  const all = encodeURIComponent([load, ...code].join(''));
  return { childEnv: { NODE_OPTIONS: `--import=data:text/javascript,${all}` } };
}

/** The live source sees something else: a `pattern` of videotestsrc. */
export function seeing(pattern: 'white' | 'snow'): string {
  return launching('pattern=ball', `pattern=${pattern}`);
}

/** Another text takes the place of this one in each launch string. */
export function launching(text: string, other: string): string {
  return `{ const { Pipeline } = gst; gst.Pipeline = function (launch) { return new Pipeline(launch.replace('${text}', '${other}')); }; gst.Pipeline.prototype = Pipeline.prototype; }`;
}

/** Does something else when an element is looked for whose name begins so. */
export function whenLooking(name: string, code: string): string {
  return `{ const { findChild } = gst.Pipeline.prototype; gst.Pipeline.prototype.findChild = function (name) { if (name.startsWith('${name}')) { ${code} } return findChild.call(this, name); }; }`;
}
