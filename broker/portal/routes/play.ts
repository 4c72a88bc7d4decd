// Addresses to play, and what is behind them: playlist, inits, segments. Each request is checked
// afresh: signature, end of life, login, owner, span, and that the piece is still there.
import type { FastifyInstance, FastifyReply } from 'fastify';
import { LenscapError } from '../../../proto/errors.ts';
import type { DeviceRow } from '../../store/devices.ts';
import type { SegmentRow, Span } from '../../store/media-rows.ts';
import { answers, type Context, OPEN, ownDevice, who } from '../context.ts';
import { rewriteSegment } from '../mp4/fragment.ts';
import { mergeInits } from '../mp4/init.ts';
import { over, type PlayClaim, signPlay, verifyPlay } from '../play-token.ts';
import { appended, mediaPlaylist } from '../playlist.ts';
import { allInRuns } from '../runs.ts';
import {
  at,
  deviceParams,
  integer,
  object,
  sequence,
  spanQuery,
  streamId,
  text,
} from '../schemas.ts';
import { isoTime, parseTime } from '../times.ts';

const US_PER_S = 1_000_000;
/** What an open-ended address shows when no `from` is given. */
const LIVE_SPAN_US = 3600 * US_PER_S;
/** Bounds the length of a playlist, which players fetch again and again. */
const MAX_ENTRIES = 25_000;
/** Decode times of an address begin here, so that what reaches in from before is not below zero. */
const LEAD_US = 3600 * US_PER_S;
const TOKEN = { type: 'string', maxLength: 500, description: 'Token of the address.' };

/** Where an address begins that names no beginning: with all there is, or an hour ago when live. */
async function defaultStart(
  { store }: Context,
  { device_id: deviceId }: DeviceRow,
  toUs: number | null,
  now: number,
): Promise<number> {
  if (toUs === null) return now - LIVE_SPAN_US;
  const [first] = await store.media.segments({ deviceId, fromUs: 0, toUs }, 1);
  return first?.start_at_us ?? 0;
}

/** What a valid address opens now. */
interface Opened {
  readonly device: DeviceRow;
  readonly span: Span;
  readonly isLive: boolean;
  /** When the address was made. */
  readonly madeAtUs: number;
}

export function playRoutes(app: FastifyInstance, context: Context): void {
  const key = context.store.keys.derive('play');
  askRoute(app, context, key);
  playlistRoute(app, context, key);
  mediaRoutes(app, context, key);
}

function askRoute(app: FastifyInstance, context: Context, key: Buffer): void {
  const { nowUs, config, publicUrl } = context;
  app.post<{ Params: { id: string }; Body: { from?: string; to?: string; ttlS?: number } | null }>(
    '/api/devices/:id/play',
    {
      schema: {
        tags: ['recordings'],
        summary: 'An address to play (HLS). Without `to` it goes on as pieces come in',
        params: deviceParams,
        body: {
          ...object(
            {
              ...spanQuery,
              ttlS: {
                ...integer('Life of the address, seconds.'),
                minimum: 1,
                maximum: config.playS,
              },
            },
            'from',
            'to',
            'ttlS',
          ),
          type: ['object', 'null'],
        },
        response: answers(
          object({ url: text('Of the playlist.', 2000), expiresAt: at, live: { type: 'boolean' } }),
        ),
      },
    },
    async (request) => {
      const device = await ownDevice(context, request);
      const now = nowUs();
      const { from, to, ttlS = config.playS } = request.body ?? {};
      const toUs = to === undefined ? null : parseTime('to', to);
      const fromUs =
        from === undefined
          ? await defaultStart(context, device, toUs, now)
          : parseTime('from', from);
      const span = { deviceId: device.device_id, fromUs, toUs: toUs ?? now };
      if (fromUs >= span.toUs)
        throw new LenscapError('REQUEST_INVALID', '`from` has to be before `to`');
      if ((await context.store.media.segments(span, 1, MAX_ENTRIES)).length > 0)
        throw new LenscapError(
          'REQUEST_INVALID',
          `more than ${MAX_ENTRIES} pieces; play less time`,
        );
      const expiresAtUs = now + ttlS * US_PER_S;
      const { login } = who(request);
      const claim = {
        deviceId: device.device_id,
        login,
        fromUs,
        toUs,
        expiresAtUs,
        madeAtUs: now,
      };
      return {
        url: `${publicUrl()}/play/${signPlay(claim, key)}/index.m3u8`,
        expiresAt: isoTime(expiresAtUs),
        live: isOpenEnded(claim, now),
      };
    },
  );
}

function playlistRoute(app: FastifyInstance, context: Context, key: Buffer): void {
  const { store } = context;
  app.get<{ Params: { token: string } }>(
    '/play/:token/index.m3u8',
    {
      config: { isOpen: true },
      schema: {
        ...OPEN,
        tags: ['play'],
        summary: 'HLS playlist',
        params: object({ token: TOKEN }),
      },
    },
    async (request, reply) => {
      const { span, isLive, madeAtUs } = await open(context, key, request.params.token);
      const rows = allInRuns(await store.media.segments(span, 2 * MAX_ENTRIES));
      const gaps = await store.media.gaps(span);
      return mediaReply(reply, 'application/vnd.apple.mpegurl').send(
        mediaPlaylist(isLive ? appended(rows, madeAtUs) : rows, gaps, isLive),
      );
    },
  );
}

function mediaRoutes(app: FastifyInstance, context: Context, key: Buffer): void {
  const { store, recordings } = context;
  app.get<{ Params: { token: string; stream: string } }>(
    '/play/:token/:stream/init.mp4',
    {
      config: { isOpen: true },
      schema: {
        ...OPEN,
        tags: ['play'],
        summary: 'Init segment of a stream',
        params: object({ token: TOKEN, stream: streamId }),
      },
    },
    async (request, reply) => {
      const { device } = await open(context, key, request.params.token);
      const { init } = await recordings.stream(device, request.params.stream);
      return mediaReply(reply, 'video/mp4').send(mergeInits([init], 0).init);
    },
  );
  app.get<{ Params: { token: string; stream: string; sequence: number } }>(
    '/play/:token/:stream/:sequence.m4s',
    {
      config: { isOpen: true },
      schema: {
        ...OPEN,
        tags: ['play'],
        summary: 'Media segment',
        params: object({ token: TOKEN, stream: streamId, sequence }),
      },
    },
    async (request, reply) => {
      const { stream, sequence: number, token } = request.params;
      const { device, span } = await open(context, key, token);
      const row = await store.media.segment(device.device_id, stream, number);
      if (!row || !isWithin(row, span)) throw new LenscapError('NOT_FOUND', 'no such piece');
      const parts = await timedSegment(context, device, row, span.fromUs);
      return mediaReply(reply, 'video/iso.segment').send(Buffer.concat(parts));
    },
  );
}

/** The segment with its decode times on one clock for the whole address. */
async function timedSegment(
  { recordings }: Context,
  device: DeviceRow,
  row: SegmentRow,
  fromUs: number,
): Promise<Buffer[]> {
  const { row: stream, init } = await recordings.stream(device, row.stream_id);
  const [tracks = new Map()] = mergeInits([init], 0).maps;
  const shiftUs = stream.start_at_us - fromUs + LEAD_US;
  let fragment = 0;
  return rewriteSegment(await recordings.media(device, row), {
    tracks,
    shift: ({ timescale }) => Math.round((shiftUs * timescale) / US_PER_S),
    nextFragment: () => {
      fragment += 1;
      return fragment;
    },
  });
}

async function open(
  { store, logins, nowUs }: Context,
  key: Buffer,
  token: string,
): Promise<Opened> {
  const now = nowUs();
  const claim = verifyPlay(token, key, now);
  const account = await logins.accountOf(claim.login);
  const device = await store.devices.byId(claim.deviceId);
  if (!account || device?.account_id !== account.account_id) throw over();
  const { deviceId, fromUs, madeAtUs } = claim;
  const toUs = claim.toUs ?? Number.MAX_SAFE_INTEGER;
  const span = { deviceId, fromUs, toUs };
  return { device, span, isLive: isOpenEnded(claim, now), madeAtUs };
}

function isOpenEnded({ toUs }: PlayClaim, now: number): boolean {
  return toUs === null || toUs > now;
}

function isWithin({ start_at_us, duration_us }: SegmentRow, { fromUs, toUs }: Span): boolean {
  return start_at_us < toUs && start_at_us + duration_us > fromUs;
}

/** Players on other pages may read it: whoever has the address has the right. */
function mediaReply(reply: FastifyReply, type: string): FastifyReply {
  return reply
    .header('access-control-allow-origin', '*')
    .header('cache-control', 'private, no-store')
    .type(type);
}
