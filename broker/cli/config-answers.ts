// What the owner's API answers about configurations, as far as the command line uses it.

export interface ConfigWritten {
  readonly version: number;
  readonly writtenAt: string | null;
  /** `owner` or `operator`. */
  readonly writtenBy: string | null;
  readonly how: string | null;
}

export interface ConfigVersion extends ConfigWritten {
  readonly document: Readonly<Record<string, unknown>>;
}

export interface ConfigEntry extends ConfigVersion {
  /** Null: not known any more. */
  readonly paths: readonly string[] | null;
}

export interface ReportedConfig {
  readonly version: number;
  readonly state: string;
  readonly inForce: number;
  readonly at: string;
  readonly receivedAt: string;
  readonly code: string | null;
  readonly detail: string;
  readonly faults: readonly { readonly path: string; readonly message: string }[];
  readonly settings: Readonly<Record<string, unknown>>;
}

export interface ConfigState extends ConfigVersion {
  /** Whether the owner lets the configuration in force be known. */
  readonly shared: boolean;
  readonly connected: boolean;
  readonly reported: ReportedConfig | null;
  readonly differences: readonly {
    readonly path: string;
    readonly desired: unknown;
    readonly reported: unknown;
  }[];
  readonly since: string | null;
}
