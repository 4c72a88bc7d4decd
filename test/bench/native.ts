// The baseline's C programs, and the tools the bench leans on.
import { accessSync, mkdirSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { run } from './processes.ts';

const HERE = import.meta.dirname;

export interface Native {
  readonly subscriber: string;
  readonly floor: string;
}

/** Where a tool is, or undefined. Looks into the folders of the administrator too. */
export function findTool(name: string): string | undefined {
  const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/sbin'];
  return folders.map((folder) => join(folder, name)).find(isThere);
}

function isThere(path: string): boolean {
  try {
    accessSync(path);
    return true;
  } catch {
    return false;
  }
}

/** The path of a tool. @throws with the Debian package that holds it. */
export function needTool(name: string, debianPackage: string): string {
  const found = findTool(name);
  if (found !== undefined) return found;
  throw new Error(`${name} is missing: apt-get install ${debianPackage}`);
}

/** Compiles what is under c/. @throws with the compiler's words. */
export async function buildNative(): Promise<Native> {
  const compiler = needTool('cc', 'gcc libc6-dev');
  if (!isThere('/usr/include/mosquitto.h'))
    throw new Error('mosquitto.h is missing: apt-get install libmosquitto-dev');
  const build = join(HERE, 'build');
  mkdirSync(build, { recursive: true });
  const compile = async (name: string, ...libraries: readonly string[]): Promise<string> => {
    const target = join(build, name);
    const flags = ['-O2', '-Wall', '-Wextra', '-o', target];
    await run(compiler, [...flags, join(HERE, 'c', `${name}.c`), ...libraries]);
    return target;
  };
  return { subscriber: await compile('subscriber', '-lmosquitto'), floor: await compile('floor') };
}
