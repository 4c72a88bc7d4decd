// The collector: decode, gate, hash, seal, store. `take` resolves without a refusal only when the
// message is durable (or was before); the broker acknowledges after that. It never looks into media.
import { hash } from 'node:crypto';
import { decodeAnchor } from '../../proto/anchor.ts';
import { ERRORS, type ErrorCode, LenscapError, toLenscapError } from '../../proto/errors.ts';
import { decodeGap } from '../../proto/gap.ts';
import { decodeSegment } from '../../proto/segment.ts';
import { decodeStream } from '../../proto/stream.ts';
import type { UpNoun } from '../../proto/topics.ts';
import { decodeApplied, type Target, targetOf, type Verdict } from '../../proto/verdict.ts';
import type { Anchors } from '../store/anchors.ts';
import type { Outcome } from '../store/commit.ts';
import type { Devices } from '../store/devices.ts';
import { initIdentity, segmentIdentity } from '../store/identities.ts';
import type { Keys } from '../store/keys.ts';
import { joinScopes } from '../store/schema.ts';
import { seal } from '../store/seal.ts';
import { judged } from './anchor.ts';
import type { GroupCommit, Offer } from './group-commit.ts';
import { Happenings } from './happenings.ts';
import { LogTaking, type LogTakingDeps } from './log.ts';
import { Tellings, type TellingsDeps } from './told.ts';

/** Who sent it, by certificate; nothing in a payload says so. */
export interface Sender {
  readonly deviceId: string;
  readonly accountId: string;
}

/**
 * `stored`: acknowledge. `dropped`: refused, but there is no verdict for it; acknowledge. A refusal with
 * `isFinal`: say it, then acknowledge; else say it and close.
 */
export type Reply = 'stored' | 'dropped' | { readonly verdict: Verdict; readonly isFinal: boolean };
/** What a device reports; the rest of what it sends concerns its identity. */
export type Report = Exclude<UpNoun, 'renewal' | 'released'>;
/** What was captured, or not; each is named by an id, so that it can be refused. */
type Capture = Extract<Report, 'stream' | 'segment' | 'gap'>;

export interface CollectorDeps extends TellingsDeps, Pick<LogTakingDeps, 'logs'> {
  readonly groups: GroupCommit;
  readonly keys: Keys;
  readonly devices: Pick<Devices, 'applied'>;
  readonly anchors: Pick<Anchors, 'note'>;
}

interface Draft {
  readonly target: Target;
  readonly offer: Offer;
}

export class Collector {
  readonly #deps: CollectorDeps;
  readonly #tellings: Tellings;
  readonly #happenings: Happenings;
  readonly #logs: LogTaking;

  constructor(deps: CollectorDeps) {
    this.#deps = deps;
    this.#tellings = new Tellings(deps);
    this.#happenings = new Happenings(deps);
    this.#logs = new LogTaking(deps);
  }

  /** @throws DECODE_INVALID when not even its id can be read; the sender is to be cut off. */
  async take(sender: Sender, noun: Report, payload: Uint8Array): Promise<Reply> {
    switch (noun) {
      case 'anchor':
        return this.#anchor(sender, payload);
      case 'applied':
        return this.#applied(sender, payload);
      case 'info':
      case 'health':
      case 'reported':
        return this.#tellings.take(sender, noun, payload);
      case 'event':
      case 'snapshot':
        return this.#happenings.take(sender, noun, payload);
      case 'log':
        return this.#logs.take(sender, payload);
      default:
        return this.#capture(sender, noun, payload);
    }
  }

  /** Nothing of a device whose ownership has ended; the sender is to erase it. */
  refuse(noun: Report, payload: Uint8Array): Reply {
    const target = isCapture(noun) ? targetOf(noun, payload) : undefined;
    return target ? refusal('CONSENT_MISSING', target, 'its owner has released it') : 'dropped';
  }

  async #capture(sender: Sender, noun: Capture, payload: Uint8Array): Promise<Reply> {
    let target: Target | undefined;
    try {
      const draft = await this.#draft(sender, noun, payload);
      target = draft.target;
      const outcome = this.#mayTakeIn(sender, draft.offer)
        ? await this.#deps.groups.offer(draft.offer)
        : 'CONSENT_MISSING';
      return replyOf(outcome, target);
    } catch (error) {
      return this.#refuse(sender, noun, target ?? targetOf(noun, payload), error);
    }
  }

  async #applied({ deviceId }: Sender, payload: Uint8Array): Promise<Reply> {
    const { epoch } = decodeApplied(payload);
    await this.#deps.devices.applied(deviceId, epoch, this.#deps.nowUs());
    return 'stored';
  }

  /** The wall time of a boot; kept only while something is granted that has a time. */
  async #anchor({ deviceId }: Sender, payload: Uint8Array): Promise<Reply> {
    const anchor = decodeAnchor(payload);
    const nowUs = this.#deps.nowUs();
    const { offset_us, source } = judged(anchor, nowUs);
    const row = { device_id: deviceId, boot_id: anchor.bootId, offset_us, source, at_us: nowUs };
    const corrected = await this.#deps.anchors.note(row);
    if (corrected > 0) this.#deps.log.info({ deviceId, source, corrected }, 'times corrected');
    return 'stored';
  }

  #mayTakeIn({ deviceId }: Sender, { candidate }: Offer): boolean {
    const { epoch } = candidate.row;
    return this.#deps.gate.mayTakeIn(deviceId, { epoch, scopes: candidate.scopes });
  }

  #refuse(sender: Sender, noun: Capture, target: Target | undefined, thrown: unknown): Reply {
    const error = toLenscapError(thrown);
    const { deviceId } = sender;
    this.#deps.log[ERRORS[error.code].retry ? 'error' : 'warn'](
      { deviceId, noun, code: error.code, err: error },
      'not stored',
    );
    if (!target) throw error;
    return refusal(error.code, target, error.detail);
  }

  async #draft(sender: Sender, noun: Capture, payload: Uint8Array): Promise<Draft> {
    switch (noun) {
      case 'stream':
        return this.#stream(sender, payload);
      case 'segment':
        return this.#segment(sender, payload);
      case 'gap':
        return this.#gap(sender, payload);
    }
  }

  async #stream({ deviceId, accountId }: Sender, payload: Uint8Array): Promise<Draft> {
    const stream = decodeStream(payload);
    const key = await this.#deps.keys.account(accountId);
    const identity = initIdentity(accountId, deviceId, stream.streamId);
    const row = {
      device_id: deviceId,
      stream_id: stream.streamId,
      boot_id: stream.bootId,
      start_at_us: stream.startAtUs,
      start_mono_us: stream.startMonoUs,
      epoch: stream.epoch,
      scopes: joinScopes(stream.scopes),
      tracks: JSON.stringify(stream.tracks),
      sealed_init: Buffer.concat(seal(key, identity, stream.init)),
      init_sha256: hash('sha256', stream.init),
      received_at_us: this.#deps.nowUs(),
      time_estimated: stream.timeEstimated ? 1 : 0,
      corrected_us: 0,
    };
    return {
      target: { kind: 'stream', streamId: stream.streamId },
      offer: {
        candidate: { kind: 'stream', row, scopes: stream.scopes },
        sealed: null,
        bytes: 4096,
      },
    };
  }

  async #segment({ deviceId, accountId }: Sender, payload: Uint8Array): Promise<Draft> {
    const segment = decodeSegment(payload);
    const sha256 = hash('sha256', segment.media);
    if (sha256 !== Buffer.from(segment.sha256).toString('hex'))
      throw new LenscapError('SEGMENT_HASH', 'it was damaged before it was sent; it is refused');
    const key = await this.#deps.keys.account(accountId);
    const row = {
      device_id: deviceId,
      stream_id: segment.streamId,
      sequence: segment.sequence,
      start_at_us: segment.startAtUs,
      start_mono_us: segment.startMonoUs,
      duration_us: segment.durationUs,
      decode_start_us: segment.decodeStartUs,
      epoch: segment.epoch,
      scopes: joinScopes(segment.scopes),
      sha256,
      media_bytes: segment.media.byteLength,
      blob_id: '',
      received_at_us: this.#deps.nowUs(),
      corrected_us: 0,
    };
    const identity = segmentIdentity(accountId, row);
    return {
      target: { kind: 'segment', streamId: segment.streamId, sequence: segment.sequence },
      offer: {
        candidate: { kind: 'segment', row, scopes: segment.scopes },
        sealed: () => seal(key, identity, segment.media),
        bytes: segment.media.byteLength,
      },
    };
  }

  #gap({ deviceId }: Sender, payload: Uint8Array): Draft {
    const gap = decodeGap(payload);
    const row = {
      device_id: deviceId,
      gap_id: gap.gapId,
      boot_id: gap.bootId,
      start_at_us: gap.startAtUs,
      start_mono_us: gap.startMonoUs,
      duration_us: gap.durationUs,
      reason: gap.reason,
      epoch: gap.epoch,
      code: gap.code,
      received_at_us: this.#deps.nowUs(),
      corrected_us: 0,
    };
    return {
      target: { kind: 'gap', gapId: gap.gapId },
      offer: { candidate: { kind: 'gap', row, scopes: ['video'] }, sealed: null, bytes: 1024 },
    };
  }
}

function isCapture(noun: Report): noun is Capture {
  return noun === 'stream' || noun === 'segment' || noun === 'gap';
}

const DETAILS: Partial<Record<ErrorCode, string>> = {
  CONSENT_MISSING: 'it was captured without the consent now in force',
  SEGMENT_DELETED: 'the owner has deleted that time',
  SEGMENT_CONFLICT: 'other bytes were stored under this id; the first ones stay',
  STREAM_UNKNOWN: 'send its stream first',
  DECODE_INVALID: 'its scopes are not those of its stream',
};

function replyOf(outcome: Outcome, target: Target): Reply {
  if (outcome === 'stored' || outcome === 'duplicate') return 'stored';
  return refusal(outcome, target, DETAILS[outcome] ?? '');
}

/** Not the fault of what was sent: it may be the last copy, and may be taken in once this is mended. */
const OWN_FAULTS: ReadonlySet<ErrorCode> = new Set(['STORE_CORRUPT', 'BUG']);

/** STREAM_UNKNOWN keeps the link: the stream is sent, then the segment again. */
function refusal(code: ErrorCode, target: Target, detail: string): Reply {
  const erase = !ERRORS[code].retry && !OWN_FAULTS.has(code);
  return { verdict: { target, code, erase, detail }, isFinal: erase || code === 'STREAM_UNKNOWN' };
}
