// A lamp as the indicator light sees it: one file each for what boards have.

export interface Lamp {
  /** Whether it has shades between dark and full. */
  readonly canDim: boolean;
  /**
   * Makes it shine with a share of its full brightness, 0 to 1; resolves when it does, as far as the
   * board can tell. @throws LIGHT_FAILED.
   */
  shine(share: number): Promise<void>;
  /** Lets go of it; it is dark afterwards where that can be had. Never rejects. */
  close(): Promise<void>;
}
