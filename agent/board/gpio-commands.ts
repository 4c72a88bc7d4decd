// How the tools of libgpiod are called and what they answer. Pure. Versions 1 (Debian 12) and 2
// (Debian 13) take other arguments for the same; both flip edges and levels for active-low.
import type { ButtonConfig, LightConfig } from '../../proto/agent-config.ts';
import type { ButtonEvent } from './hold.ts';

export type GpioConfig = Extract<ButtonConfig, { type: 'gpio' }>;
export type GpioMajor = 1 | 2;

/** From what `gpiomon --version` prints, e.g. `gpiomon (libgpiod) v1.6.3`. Undefined: unknown. */
export function majorOf(version: string): GpioMajor | undefined {
  const major = /\bv(\d+)\./.exec(version)?.[1];
  if (major === '1') return 1;
  return major === '2' ? 2 : undefined;
}

/** Arguments of gpiomon that print a digit for each edge, at once. */
export function monitorArguments(config: GpioConfig, major: GpioMajor): string[] {
  const { chip, line } = config;
  return major === 1
    ? ['--line-buffered', '--format=%e', ...active(config), chip, String(line)]
    : ['--edges=both', '--format=%e', ...active(config), `--chip=${chip}`, String(line)];
}

/** Arguments of gpioget that print 1 where the button is pressed, else 0. */
export function levelArguments(config: GpioConfig, major: GpioMajor): string[] {
  const { chip, line } = config;
  return major === 1
    ? [...active(config), chip, String(line)]
    : ['--numeric', ...active(config), `--chip=${chip}`, String(line)];
}

/** Arguments of gpioset that set the line and hold it until the process ends. */
export function setArguments(
  config: Extract<LightConfig, { type: 'gpio' }>,
  isLit: boolean,
  major: GpioMajor,
): string[] {
  const { chip, line } = config;
  const value = `${line}=${Number(isLit)}`;
  return major === 1
    ? ['--mode=signal', ...active(config), chip, value]
    : [...active(config), `--chip=${chip}`, value];
}

/** What a line of gpiomon says: 1 is a rising edge; a falling one is 0 in version 1 and 2 in version 2. */
export function edgeOf(line: string): ButtonEvent | undefined {
  if (line === '1') return 'pressed';
  return line === '0' || line === '2' ? 'released' : undefined;
}

function active({ activeLow }: { readonly activeLow: boolean }): string[] {
  return activeLow ? ['--active-low'] : [];
}
