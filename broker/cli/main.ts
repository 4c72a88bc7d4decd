#!/usr/bin/env node
// `lenscap`, the owner's command line. The only place that knows the process around it.
import { homedir } from 'node:os';
import { join } from 'node:path';
import { Credentials } from './credentials.ts';
import { Editor } from './editor.ts';
import { runCommand } from './program.ts';
import { Terminal } from './terminal.ts';

const abort = new AbortController();
process.once('SIGTERM', () => abort.abort());
// Whoever reads the output may stop reading.
process.stdout.on('error', () => process.exit(0));

const { LENSCAP_HOME, XDG_CONFIG_HOME, VISUAL, EDITOR } = process.env;
const editor = new Editor(VISUAL || EDITOR || 'vi');

process.on('SIGINT', function interrupt() {
  if (editor.isOpen) return;
  // Whoever asks twice does not want to wait.
  process.off('SIGINT', interrupt);
  abort.abort();
});

const folder = LENSCAP_HOME || join(XDG_CONFIG_HOME || join(homedir(), '.config'), 'lenscap');

process.exitCode = await runCommand(process.argv.slice(2), {
  terminal: new Terminal(process),
  credentials: new Credentials(folder),
  nowMs: Date.now,
  editor,
  signal: abort.signal,
});
