// The Snapshot message: one still picture, under the scope `snapshot`; and the Command that asks for one.
import { LenscapError } from './errors.ts';
import { bytesOf, hexId, parsed, timeUs, uuid, whole } from './fields.ts';
import type { Scope } from './scopes.ts';
import { lenscap } from './wire.ts';

const Wire = lenscap.v1.Snapshot;
const WireCommand = lenscap.v1.Command;
export const MAX_SNAPSHOT_BYTES = 4 << 20;

/** What a snapshot holds; a consent of its own, whether pictures are recorded or not. */
export const SNAPSHOT_SCOPES = ['snapshot'] as const satisfies readonly Scope[];

/** In the order of the wire numbers, from 1. */
export const SNAPSHOT_CAUSES = ['requested', 'interval', 'event'] as const;
export type SnapshotCause = (typeof SNAPSHOT_CAUSES)[number];

export interface SnapshotHeader {
  readonly snapshotId: string;
  readonly bootId: string;
  readonly atUs: number;
  readonly monoUs: number;
  /** Consent epoch in force when it was taken. */
  readonly epoch: number;
  readonly cause: SnapshotCause;
  /** The command or event behind it; null for `interval`. */
  readonly causeId: string | null;
  readonly width: number;
  readonly height: number;
  /** Of the media, 32 bytes. */
  readonly sha256: Uint8Array;
}

export interface Snapshot extends SnapshotHeader {
  /** JPEG. */
  readonly media: Uint8Array;
}

export function encodeSnapshot(snapshot: Snapshot): Uint8Array {
  return Wire.encode({
    ...snapshot,
    cause: SNAPSHOT_CAUSES.indexOf(snapshot.cause) + 1,
    causeId: snapshot.causeId ?? '',
  }).finish();
}

/** @throws DECODE_INVALID. Does not compare the SHA-256: that is the collector's. */
export function decodeSnapshot(payload: Uint8Array): Snapshot {
  const wire = parsed('snapshot', () => Wire.decode(payload));
  const cause = SNAPSHOT_CAUSES[wire.cause - 1];
  if (cause === undefined)
    throw new LenscapError('DECODE_INVALID', `no known cause of a snapshot: ${wire.cause}`);
  if (wire.sealing)
    throw new LenscapError('DECODE_INVALID', 'sealed snapshots are not taken in yet');
  if ((wire.causeId === '') !== (cause === 'interval'))
    throw new LenscapError('DECODE_INVALID', 'cause_id is there unless the cause is the interval');
  const { media } = wire;
  if (media.byteLength === 0 || media.byteLength > MAX_SNAPSHOT_BYTES)
    throw new LenscapError('DECODE_INVALID', `media of 1 to ${MAX_SNAPSHOT_BYTES} bytes`);
  return {
    snapshotId: hexId('snapshot_id', wire.snapshotId),
    bootId: uuid('boot_id', wire.bootId),
    atUs: timeUs('at_us', wire.atUs),
    monoUs: timeUs('mono_us', wire.monoUs),
    epoch: whole('epoch', wire.epoch, 1),
    cause,
    causeId: wire.causeId === '' ? null : hexId('cause_id', wire.causeId),
    width: whole('width', wire.width, 1, 16384),
    height: whole('height', wire.height, 1, 16384),
    sha256: Uint8Array.from(bytesOf('sha256', wire.sha256, 32)),
    media,
  };
}

/** In the order of the wire numbers, from 1. */
export const COMMAND_KINDS = ['take_snapshot'] as const;
export type CommandKind = (typeof COMMAND_KINDS)[number];

export interface Command {
  readonly commandId: string;
  readonly kind: CommandKind;
}

export function encodeCommand({ commandId, kind }: Command): Uint8Array {
  return WireCommand.encode({ commandId, kind: COMMAND_KINDS.indexOf(kind) + 1 }).finish();
}

/** @throws DECODE_INVALID. */
export function decodeCommand(payload: Uint8Array): Command {
  const wire = parsed('command', () => WireCommand.decode(payload));
  const kind = COMMAND_KINDS[wire.kind - 1];
  if (kind === undefined)
    throw new LenscapError('DECODE_INVALID', `no known kind of a command: ${wire.kind}`);
  return { commandId: hexId('command_id', wire.commandId), kind };
}
