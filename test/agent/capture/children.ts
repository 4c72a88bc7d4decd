// Capture children as the kernel sees them.
import { ChildProcess } from 'node:child_process';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { readdirSync, readFileSync } from 'node:fs';
import { never, Recording } from './harness.ts';

/** Process ids of the children of a process (this one if absent) whose command names the child. */
export function childPids(pid = process.pid): number[] {
  // The kernel's list of children may lack some while others end.
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && parentOf(name) === pid)
    .map(Number)
    .filter((child) => commandOf(child).includes('capture/child.ts'));
}

function parentOf(pid: string): number {
  try {
    return Number(readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ').at(-1)?.split(' ')[1]);
  } catch {
    return 0;
  }
}

/** A recording and the process id of its child, which is forked before the recording is there. */
export function begin(...args: ConstructorParameters<typeof Recording>): {
  recording: Recording;
  pid: number;
} {
  const forked: ChildProcess[] = [];
  const note = (message: unknown): void => {
    if (typeof message === 'object' && message !== null && 'process' in message)
      if (message.process instanceof ChildProcess) forked.push(message.process);
  };
  subscribe('child_process', note);
  const recording = new Recording(...args);
  unsubscribe('child_process', note);
  return { recording, pid: forked[0]?.pid ?? never('no child') };
}

function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  } catch {
    return '';
  }
}

/** Whether a process is gone, is on its way out, or has SIGKILL waiting for it. */
export function isKilled(pid: number): boolean {
  if (!isAlive(pid)) return true;
  const read = (name: string): string => readFileSync(`/proc/${pid}/${name}`, 'latin1');
  try {
    // In this order: the signal is pending until the kernel marks the process.
    const pending = [...read('status').matchAll(/^(?:SigPnd|ShdPnd):\s*(\w+)/gm)];
    if (pending.some(([, set]) => (Number.parseInt(set ?? '0', 16) & SIGKILL_BIT) !== 0))
      return true;
    const flags = Number(read('stat').split(') ').at(-1)?.split(' ')[FLAGS_AFTER_NAME]);
    return (flags & PF_EXITING) !== 0;
  } catch {
    return true;
  }
}

const SIGKILL_BIT = 1 << 8;
/** Place of the flags in /proc/PID/stat behind the name, and what says there that it is exiting. */
const FLAGS_AFTER_NAME = 6;
const PF_EXITING = 0x4;

/** Whether a process exists and is not a zombie. */
export function isAlive(pid: number): boolean {
  try {
    return !/^\d+ \(.*\) [ZX]/s.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}
