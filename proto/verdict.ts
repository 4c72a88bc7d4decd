// The Verdict message, by which the server refuses what was published, and Applied, by which the
// camera says which epoch it obeys.

import { type ErrorCode, isErrorCode, LenscapError } from './errors.ts';
import { hexId, parsed, text, whole } from './fields.ts';
import { lenscap } from './wire.ts';

const WireVerdict = lenscap.v1.Verdict;
const WireApplied = lenscap.v1.Applied;
const MAX_DETAIL = 200;

/** What a verdict speaks of. */
export type Target =
  | { readonly kind: 'stream'; readonly streamId: string }
  | { readonly kind: 'segment'; readonly streamId: string; readonly sequence: number }
  | { readonly kind: 'gap'; readonly gapId: string };

export interface Verdict {
  readonly target: Target;
  readonly code: ErrorCode;
  /** Erase the local copy now; otherwise keep it and send it again. */
  readonly erase: boolean;
  readonly detail: string;
}

export function encodeVerdict({ target, code, erase, detail }: Verdict): Uint8Array {
  const named =
    target.kind === 'gap'
      ? { gapId: target.gapId }
      : target.kind === 'segment'
        ? { streamId: target.streamId, sequence: target.sequence }
        : { streamId: target.streamId };
  return WireVerdict.encode({
    ...named,
    code,
    erase,
    detail: detail.slice(0, MAX_DETAIL),
  }).finish();
}

/** @throws DECODE_INVALID. */
export function decodeVerdict(payload: Uint8Array): Verdict {
  const wire = parsed('verdict', () => WireVerdict.decode(payload));
  if (!isErrorCode(wire.code))
    throw new LenscapError('DECODE_INVALID', 'a verdict bears an error code of the table');
  return {
    target: decodeTarget(wire),
    code: wire.code,
    erase: wire.erase,
    detail: text('detail', wire.detail, MAX_DETAIL),
  };
}

function decodeTarget(wire: lenscap.v1.Verdict): Target {
  if ((wire.streamId === '') === (wire.gapId === ''))
    throw new LenscapError('DECODE_INVALID', 'a verdict names either a stream or a gap');
  if (wire.gapId !== '') return { kind: 'gap', gapId: hexId('gap_id', wire.gapId) };
  const streamId = hexId('stream_id', wire.streamId);
  if (wire.sequence === null || wire.sequence === undefined) return { kind: 'stream', streamId };
  return { kind: 'segment', streamId, sequence: whole('sequence', wire.sequence) };
}

export interface Applied {
  readonly epoch: number;
  readonly atUs: number;
}

export function encodeApplied(applied: Applied): Uint8Array {
  return WireApplied.encode(applied).finish();
}

/** @throws DECODE_INVALID. */
export function decodeApplied(payload: Uint8Array): Applied {
  const wire = parsed('applied', () => WireApplied.decode(payload));
  return { epoch: whole('epoch', wire.epoch, 1), atUs: whole('at_us', wire.atUs) };
}

/**
 * What a payload of up/stream, up/segment or up/gap names, as far as it can be read; for refusing
 * a message whose other fields are not valid.
 */
export function targetOf(
  noun: 'stream' | 'segment' | 'gap',
  payload: Uint8Array,
): Target | undefined {
  try {
    if (noun === 'gap')
      return { kind: 'gap', gapId: hexId('gap_id', lenscap.v1.Gap.decode(payload).gapId) };
    if (noun === 'stream') {
      const { streamId } = lenscap.v1.Stream.decode(payload);
      return { kind: 'stream', streamId: hexId('stream_id', streamId) };
    }
    const { streamId, sequence } = lenscap.v1.Segment.decode(payload);
    return {
      kind: 'segment',
      streamId: hexId('stream_id', streamId),
      sequence: whole('sequence', sequence),
    };
  } catch {
    return undefined;
  }
}
