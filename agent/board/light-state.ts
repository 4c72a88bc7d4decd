// What the indicator light says, and as which brightness over time. Pure.
// INVARIANT: it is dark only while the lens cap is on and the source is closed.

/** `breathing`: ready, nothing is recorded now. `blinking`: somebody watches live. */
export type LightState = 'off' | 'breathing' | 'on' | 'blinking';

export interface Seen {
  /** Consent to pictures is in force. */
  readonly isCapOff: boolean;
  /** The source is open, or about to be; a moment longer than the cap is off. */
  readonly isOpen: boolean;
  /** What is captured is kept or sent, and not only looked at for motion. */
  readonly isRecording: boolean;
  /** How many watch live. */
  readonly watchers: number;
}

export function lightOf({ isCapOff, isOpen, isRecording, watchers }: Seen): LightState {
  if (!isCapOff && !isOpen) return 'off';
  if (watchers > 0) return 'blinking';
  return isRecording ? 'on' : 'breathing';
}

/** A share of the full brightness for a time. The steps are repeated. */
export interface Step {
  readonly share: number;
  readonly forMs: number;
}

/** So often a light that does not change is looked at, in case it failed or something else set it. */
const LOOK_MS = { on: 500, off: 2000 } as const;
const BLINK_MS = 250;
const BREATH_STEPS = 16;
const BREATH_STEP_MS = 125;
/** Of a light that knows on and off alone. */
const FLASH: readonly Step[] = [
  { share: 1, forMs: 200 },
  { share: 0, forMs: 3800 },
];

/** The steps that show a state; `canDim`: the light has shades. */
export function stepsOf(state: LightState, canDim: boolean): readonly Step[] {
  switch (state) {
    case 'off':
      return [{ share: 0, forMs: LOOK_MS.off }];
    case 'on':
      return [{ share: 1, forMs: LOOK_MS.on }];
    case 'blinking':
      return [
        { share: 1, forMs: BLINK_MS },
        { share: 0, forMs: BLINK_MS },
      ];
    case 'breathing':
      return canDim ? breath() : FLASH;
  }
}

/** Never quite dark, so that a glance at any moment tells it from `off`. */
function breath(): Step[] {
  return Array.from({ length: BREATH_STEPS }, (_, at) => {
    const angle = (2 * Math.PI * at) / BREATH_STEPS;
    return { share: 0.55 - 0.45 * Math.cos(angle), forMs: BREATH_STEP_MS };
  });
}
