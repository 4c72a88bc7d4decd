// The wire format is a promise to cameras in the field: these bytes may be added to, never changed.
import { createPrivateKey, createPublicKey } from 'node:crypto';
import t from 'tap';
import { decodeAnchor, encodeAnchor } from '../../proto/anchor.ts';
import {
  decodeClaimAnswer,
  decodeClaimRequest,
  encodeClaimAnswer,
  encodeClaimRequest,
} from '../../proto/claim.ts';
import { decodeGap, encodeGap } from '../../proto/gap.ts';
import { signGrant, verifyGrant } from '../../proto/grant.ts';
import { decodeHealth, encodeHealth } from '../../proto/health.ts';
import { encodeInfo } from '../../proto/info.ts';
import { encodeReleased, signRelease, verifyRelease } from '../../proto/release.ts';
import { encodeRenewal, encodeRenewed } from '../../proto/renewal.ts';
import { decodeSegment, encodeSegment } from '../../proto/segment.ts';
import { decodeStream, encodeStream } from '../../proto/stream.ts';
import { decodeApplied, decodeVerdict, encodeApplied, encodeVerdict } from '../../proto/verdict.ts';

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const streamId = '000102030405060708090a0b0c0d0e0f';
const bootId = '11111111-2222-4333-8444-555555555555';

const stream = {
  streamId,
  bootId,
  startAtUs: 1_790_000_000_000_001,
  startMonoUs: 5_000_000,
  epoch: 3,
  scopes: ['video', 'audio'],
  tracks: [
    {
      kind: 'video',
      trackId: 1,
      codec: 'avc1.42c01f',
      timescale: 90000,
      width: 640,
      height: 360,
      sampleRate: 0,
      channels: 0,
    },
    {
      kind: 'audio',
      trackId: 2,
      codec: 'mp4a.40.2',
      timescale: 90000,
      width: 0,
      height: 0,
      sampleRate: 48000,
      channels: 1,
    },
  ],
  timeEstimated: false,
  init: Buffer.from('init'),
} as const;

const NO_INFO = {
  model: null,
  serial: null,
  firmwareVersion: null,
  agentVersion: null,
  interfaces: null,
  storage: null,
};

/** Of a camera that has just started and can measure nothing. */
const NO_VITALS = {
  temperatureCelsius: null,
  memoryTotalBytes: 0,
  memoryAvailableBytes: 0,
  cpuPercent: 0,
  flashWearPercent: null,
  clockOffsetMs: null,
  framesCaptured: 0,
  framesDropped: 0,
  segmentsSent: 0,
  bytesSent: 0,
  roundTripMs: null,
  connectionsLost: 0,
  signalDbm: null,
  uptimeS: 0,
};

const GOLDEN = {
  stream:
    '0a203030303130323033303430353036303730383039306130623063306430653066122431313131' +
    '313131312d323232322d343333332d383434342d3535353535353535353535351881c097d1edff96' +
    '0320c096b1022803320201023a1b080110011a0b617663312e3432633031662090bf0528800530e8' +
    '023a19080210021a096d7034612e34302e322090bf053880f70240017a04696e6974',
  estimatedStream:
    '0a203030303130323033303430353036303730383039306130623063306430653066122431313131' +
    '313131312d323232322d343333332d383434342d3535353535353535353535351881c097d1edff96' +
    '0320c096b1022803320201023a1b080110011a0b617663312e3432633031662090bf0528800530e8' +
    '023a19080210021a096d7034612e34302e322090bf053880f702400148017a04696e6974',
  segment:
    '0a2030303031303230333034303530363037303830393061306230633064306530661881c097d1ed' +
    'ff960320c096b102288092f40138034201014a20abababababababababababababababababababab' +
    'abababababababababababab520208047a0c6d6f6f666d6461746d6f7265',
  gap:
    '0a203030303130323033303430353036303730383039306130623063306430653066122431313131' +
    '313131312d323232322d343333332d383434342d3535353535353535353535351881c097d1edff96' +
    '0320c096b102280130023803420f434150545552455f5354414c4c4544',
  verdicts: [
    '0a203030303130323033303430353036303730383039306130623063306430653066220f434f4e53' +
      '454e545f4d495353494e47280132026e6f',
    '0a2030303031303230333034303530363037303830393061306230633064306530661000220f434f' +
      '4e53454e545f4d495353494e47280132026e6f',
    '1a203030303130323033303430353036303730383039306130623063306430653066220f434f4e53' +
      '454e545f4d495353494e47280132026e6f',
  ],
  anchors: [
    '0a2431313131313131312d323232322d343333332d383434342d3535353535353535353535351081' +
      'c097d1edff960318c096b102',
    '0a2431313131313131312d323232322d343333332d383434342d3535353535353535353535351081' +
      'c097d1edff960318c096b1022001',
  ],
  health: ['080210012003288827', '080210021a0c53544f52455f4641494c4544'],
  applied: '08071081c097d1edff9603',
  grant:
    '0a530a1463616d2d6162636465666768696a6b6c6d6e6f7010031a04080110021a04080210032220' +
    'cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd2881c097d1edff96' +
    '033080f524124005457489c43462e8ffdc6e874b1a05407b52f0f3f7b9e53c243a8b4e47d45e69a2' +
    '7203433c3ba3e681d43b74df64f2054c4c1f137820286fd9fbba63849daf051a085e3dc044c49e00' +
    'e0',
  identity: {
    request:
      '0a03637372122007070707070707070707070707070707070707070707070707070707070707071a' +
      '1463616d2d6162636465666768696a6b6c6d6e6f70',
    issued:
      '221463616d2d6162636465666768696a6b6c6d6e6f702a046c6561663204726f6f743a036b657942' +
      '096c6f63616c686f737448b345',
    refused: '0a0a434c41494d5f5553454412026e6f180a',
    renewal: '0a03637372',
    renewed: '0a046c656166',
    notRenewed: '120b4353525f494e56414c49441a026e6f',
    release:
      '0a180a1463616d2d6162636465666768696a6b6c6d6e6f7010041240935da50e5e3f897c074a23ac' +
      '65156dbb7608d0826e01c0748f85d3b77d294c0904a3829b0d34b0e4e281c89ef024be983ebab777' +
      '944165be4dc05d2c699d7f0d1a085e3dc044c49e00e0',
    released: '0802',
    info: '08021205312e322e33',
  },
};

// RFC 8410 key of 32 bytes 0x2a; Ed25519 is deterministic.
const key = createPrivateKey({
  key: Buffer.from(`302e020100300506032b657004220420${'2a'.repeat(32)}`, 'hex'),
  format: 'der',
  type: 'pkcs8',
});

t.test('a stream has its golden bytes', async (t) => {
  const bytes = encodeStream(stream);
  t.equal(hex(bytes), GOLDEN.stream);
  t.same({ ...decodeStream(bytes), init: 'init' }, { ...stream, init: 'init' });
});

t.test('a stream of an estimated time has its golden bytes', async (t) => {
  const bytes = encodeStream({ ...stream, timeEstimated: true });
  t.equal(hex(bytes), GOLDEN.estimatedStream);
  t.equal(decodeStream(bytes).timeEstimated, true);
});

t.test('an anchor has its golden bytes', async (t) => {
  for (const [position, estimated] of [false, true].entries()) {
    const anchor = { bootId, atUs: 1_790_000_000_000_001, monoUs: 5_000_000, estimated };
    const bytes = encodeAnchor(anchor);
    t.equal(hex(bytes), GOLDEN.anchors[position]);
    t.same(decodeAnchor(bytes), anchor);
  }
});

t.test('health has its golden bytes', async (t) => {
  const spools = [
    { state: 'on_flash', code: null, items: 3, bytes: 5000 },
    { state: 'memory_only', code: 'STORE_FAILED', items: 0, bytes: 0 },
  ] as const;
  for (const [position, spool] of spools.entries()) {
    const bytes = encodeHealth({ epoch: 2, spool, vitals: NO_VITALS });
    t.equal(hex(bytes), GOLDEN.health[position]);
    t.same(decodeHealth(bytes), { epoch: 2, spool, vitals: NO_VITALS });
  }
});

t.test('a segment has its golden bytes and its media come last', async (t) => {
  const header = {
    streamId,
    sequence: 0,
    startAtUs: 1_790_000_000_000_001,
    startMonoUs: 5_000_000,
    durationUs: 4_000_000,
    decodeStartUs: 0,
    epoch: 3,
    scopes: ['video'],
    sha256: new Uint8Array(32).fill(0xab),
  } as const;
  const bytes = encodeSegment(header, [Buffer.from('moofmdat'), Buffer.from('more')]);
  t.equal(hex(bytes), GOLDEN.segment);
  const { media, ...decoded } = decodeSegment(bytes);
  t.equal(Buffer.from(media).toString(), 'moofmdatmore');
  t.equal(media.buffer, bytes.buffer, 'media are a view of the payload');
  t.same(decoded, { ...header, chunkBytes: [8, 4] });
});

t.test('a gap has its golden bytes', async (t) => {
  const gap = {
    gapId: streamId,
    bootId,
    startAtUs: 1_790_000_000_000_001,
    startMonoUs: 5_000_000,
    durationUs: 1,
    reason: 'source_stalled',
    epoch: 3,
    code: 'CAPTURE_STALLED',
  } as const;
  const bytes = encodeGap(gap);
  t.equal(hex(bytes), GOLDEN.gap);
  t.same(decodeGap(bytes), gap);
});

t.test('a verdict has its golden bytes for each kind of target', async (t) => {
  const rest = { code: 'CONSENT_MISSING', erase: true, detail: 'no' } as const;
  const targets = [
    { kind: 'stream', streamId },
    { kind: 'segment', streamId, sequence: 0 },
    { kind: 'gap', gapId: streamId },
  ] as const;
  for (const [position, target] of targets.entries()) {
    const bytes = encodeVerdict({ target, ...rest });
    t.equal(hex(bytes), GOLDEN.verdicts[position]);
    t.same(decodeVerdict(bytes), { target, ...rest });
  }
});

t.test('applied has its golden bytes', async (t) => {
  const bytes = encodeApplied({ epoch: 7, atUs: 1_790_000_000_000_001 });
  t.equal(hex(bytes), GOLDEN.applied);
  t.same(decodeApplied(bytes), { epoch: 7, atUs: 1_790_000_000_000_001 });
});

t.test('a grant has its golden bytes, signature included', async (t) => {
  const grant = {
    deviceId: 'cam-abcdefghijklmnop',
    epoch: 3,
    granted: new Map([
      ['video', 2],
      ['audio', 3],
    ] as const),
    policySha256: new Uint8Array(32).fill(0xcd),
    issuedAtUs: 1_790_000_000_000_001,
    leaseS: 604_800,
    infoFields: [],
  } as const;
  const bytes = signGrant(grant, key);
  t.equal(hex(bytes), GOLDEN.grant);
  t.same(verifyGrant(bytes, createPublicKey(key), grant.deviceId), grant);
});

t.test('claims, renewals, releases and information have their golden bytes', async (t) => {
  const deviceId = 'cam-abcdefghijklmnop';
  const request = { csr: Buffer.from('csr'), proof: Buffer.alloc(32, 7), deviceId };
  const issued = {
    kind: 'issued',
    deviceId,
    certificate: 'leaf',
    ca: 'root',
    consentKey: 'key',
    server: { host: 'localhost', port: 8883 },
  } as const;
  const refused = { kind: 'refused', code: 'CLAIM_USED', detail: 'no', retryAfterS: 10 } as const;
  const messages = {
    request: encodeClaimRequest(request),
    issued: encodeClaimAnswer(issued),
    refused: encodeClaimAnswer(refused),
    renewal: encodeRenewal(Buffer.from('csr')),
    renewed: encodeRenewed({ kind: 'issued', certificate: 'leaf' }),
    notRenewed: encodeRenewed({ kind: 'refused', code: 'CSR_INVALID', detail: 'no' }),
    release: signRelease({ deviceId, epoch: 4 }, key),
    released: encodeReleased('reset'),
    info: encodeInfo({ ...NO_INFO, epoch: 2, agentVersion: '1.2.3' }),
  };
  for (const [name, bytes] of Object.entries(messages))
    t.equal(hex(bytes), new Map(Object.entries(GOLDEN.identity)).get(name), name);
  t.match(decodeClaimRequest(messages.request), { deviceId });
  t.same(decodeClaimAnswer(messages.issued), issued);
  t.same(decodeClaimAnswer(messages.refused), refused);
  t.same(verifyRelease(messages.release, createPublicKey(key), deviceId), { deviceId, epoch: 4 });
});
