// A lamp as the indicator light sees it: one file each for what boards have.

export interface Lamp {
  /** Whether it has shades between dark and full. */
  readonly canDim: boolean;
  /**
   * Makes it shine with a share of its full brightness, 0 to 1. Resolves when it does, as far as the
   * board can tell, with whether it was found as it had been left. @throws LIGHT_FAILED.
   */
  shine(share: number): Promise<boolean>;
  /** Lets go of it, as it is. Never rejects. */
  close(): Promise<void>;
}
