// Taking recordings along: one MP4 of a stretch of time, and the manifest that says what is in it.
import { Readable } from 'node:stream';
import type { FastifyInstance } from 'fastify';
import type { Span } from '../../store/media-rows.ts';
import { accountAnswer, accountOf } from '../account.ts';
import { answers, type Context, ownDevice } from '../context.ts';
import {
  type ExportRequest,
  exportEvents,
  exportGaps,
  exportRows,
  exportSnapshots,
  nothingStored,
  openExport,
  openerOf,
} from '../export-file.ts';
import { ExportPlan } from '../export-plan.ts';
import { eventOf, snapshotOf } from '../happenings.ts';
import {
  breakOf,
  consentOf,
  gapOf,
  type ManifestBreak,
  type ManifestPiece,
  pieceOf,
  streamOf,
} from '../manifest.ts';
import { deviceParams, manifest, object, spanQuery, text } from '../schemas.ts';
import { GapReasons } from '../timeline.ts';
import { isoTime, parseTime, spanOf } from '../times.ts';

interface Asked {
  Params: { id: string };
  Querystring: { from?: string; to?: string; asOf?: string };
}

const querystring = object(
  { ...spanQuery, asOf: text('Only what had been received by then; `asOf` of a manifest.', 40) },
  'from',
  'to',
  'asOf',
);

export function exportRoutes(app: FastifyInstance, context: Context): void {
  app.get<Asked>(
    '/api/devices/:id/export',
    {
      schema: {
        tags: ['recordings'],
        summary: 'One MP4 of a stretch of time',
        params: deviceParams,
        querystring,
      },
    },
    async (request, reply) => {
      const asked = requestOf(context, await ownDevice(context, request), request.query);
      const { head, body } = await openExport(context.recordings, asked);
      const name = fileName(asked.device.name, asked.span.fromUs);
      return reply
        .type('video/mp4')
        .header('cache-control', 'private, no-store')
        .header('content-disposition', `attachment; filename="${name}"`)
        .send(Readable.from(prepend(head, body), { objectMode: false }));
    },
  );
  app.get<Asked>(
    '/api/devices/:id/export/manifest',
    {
      schema: {
        tags: ['recordings'],
        summary: 'What an export of a stretch of time holds, and what it does not',
        params: deviceParams,
        querystring,
        response: answers(manifest),
      },
    },
    async (request) => {
      const device = await ownDevice(context, request);
      return makeManifest(context, requestOf(context, device, request.query), request.query);
    },
  );
}

function requestOf(
  { nowUs }: Context,
  device: ExportRequest['device'],
  query: Asked['Querystring'],
): ExportRequest {
  const span = spanOf(device.device_id, query);
  return {
    device,
    span,
    // Nothing is known of what is still to come.
    asOfUs: Math.min(nowUs(), query.asOf === undefined ? nowUs() : parseTime('asOf', query.asOf)),
  };
}

async function* prepend(head: Buffer, body: AsyncIterable<Buffer>): AsyncGenerator<Buffer, void> {
  yield head;
  yield* body;
}

/** Letters, digits and dashes only: it ends up in a header and in a file system. */
function fileName(deviceName: string, fromUs: number): string {
  const name = deviceName
    .normalize('NFKD')
    .replace(/[^A-Za-z0-9]+/g, '-')
    .slice(0, 60);
  const time = fromUs > 0 ? `-${isoTime(fromUs).slice(0, 19).replace(/:/g, '')}` : '';
  return `${name.replace(/^-+|-+$/g, '') || 'camera'}${time}.mp4`;
}

/** The time that is accounted for; what is not asked for is since the camera was, and until now. */
function accounted({ device, span, asOfUs }: ExportRequest, asked: Asked['Querystring']): Span {
  const fromUs = asked.from === undefined ? Math.min(device.created_at_us, asOfUs) : span.fromUs;
  return { ...span, fromUs, toUs: asked.to === undefined ? asOfUs : span.toUs };
}

async function makeManifest(
  { store, consent, recordings }: Context,
  request: ExportRequest,
  asked: Asked['Querystring'],
): Promise<Record<string, unknown>> {
  const { device, asOfUs } = request;
  const gaps = await exportGaps(store.media, request);
  const estimated = await store.media.estimated(device.device_id);
  const reasons = new GapReasons(gaps);
  const plan = new ExportPlan(openerOf(recordings, device));
  const pieces: ManifestPiece[] = [];
  const breaks: ManifestBreak[] = [];
  for await (const placed of plan.place(exportRows(recordings, request))) {
    pieces.push(pieceOf(placed, estimated));
    if (placed.breaksFrom) breaks.push(breakOf(placed.breaksFrom, placed, reasons));
  }
  const events = await exportEvents(store.events, request);
  const snapshots = await exportSnapshots(store.snapshots, request);
  if (pieces.length + events.length + snapshots.length === 0) throw nothingStored();
  const streams = [];
  for (const streamId of new Set(pieces.map((piece) => piece.streamId))) {
    const row = await store.media.stream(device.device_id, streamId);
    if (row) streams.push(streamOf(row));
  }
  const epochs = new Set([...pieces, ...events, ...snapshots].map(({ epoch }) => epoch));
  return {
    schema: 'lenscap-export-1',
    deviceId: device.device_id,
    deviceName: device.name,
    asked: { from: asked.from ?? null, to: asked.to ?? null },
    asOf: isoTime(asOfUs),
    durationUs: Math.round(plan.durationUs),
    spansSeveralStreams: streams.length > 1,
    pieces,
    streams,
    breaks,
    gaps: gaps.map((gap) => gapOf(gap, estimated)),
    events: events.map((row) => eventOf(row, estimated)),
    snapshots: snapshots.map((row) => snapshotOf(row, estimated)),
    account: accountAnswer(await accountOf({ store, consent }, accounted(request, asked), asOfUs)),
    consent: consentOf(epochs, await consent.log(device.device_id)),
  };
}
