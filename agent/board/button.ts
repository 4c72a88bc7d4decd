// What every kind of button is to the rest of the agent.
import type { ButtonEvent } from './hold.ts';

export interface Button {
  /**
   * Tells what happens to the button until `signal` aborts or the button cannot be watched any
   * more. When it has resolved nothing is open.
   * @returns why it ended; empty when it was stopped.
   */
  watch(onEvent: (event: ButtonEvent) => void, signal: AbortSignal): Promise<string>;
  /**
   * A last look before something that cannot be undone, while nobody watches. True where a button
   * cannot be asked.
   */
  isDown(signal: AbortSignal): Promise<boolean>;
}

/** Of a system error, short and without a stack. */
export function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
