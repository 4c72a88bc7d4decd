// The wire format of what a camera tells of itself, of configurations, events, logs and pictures. The
// bytes were made by hand from lenscap.proto; they may be added to, never changed.
import { createPrivateKey, createPublicKey } from 'node:crypto';
import t from 'tap';
import {
  decodeReported,
  encodeReported,
  signDesiredConfig,
  verifyDesiredConfig,
} from '../../proto/desired-config.ts';
import { decodeEvent, type Event, encodeEvent } from '../../proto/event.ts';
import { signGrant, verifyGrant } from '../../proto/grant.ts';
import { decodeHealth, encodeHealth } from '../../proto/health.ts';
import { decodeInfo, encodeInfo } from '../../proto/info.ts';
import { decodeLogBatch, encodeLogBatch } from '../../proto/log-batch.ts';
import {
  decodeCommand,
  decodeSnapshot,
  encodeCommand,
  encodeSnapshot,
} from '../../proto/snapshot.ts';
import { healthOf, infoOf, reportedOf } from './tellings.ts';

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const id = '000102030405060708090a0b0c0d0e0f';
const bootId = '11111111-2222-4333-8444-555555555555';
const deviceId = 'cam-abcdefghijklmnop';
const atUs = 1_790_000_000_000_001;

// RFC 8410 key of 32 bytes 0x2a; Ed25519 is deterministic.
const key = createPrivateKey({
  key: Buffer.from(`302e020100300506032b657004220420${'2a'.repeat(32)}`, 'hex'),
  format: 'der',
  type: 'pkcs8',
});

const GOLDEN = {
  info:
    '08021205312e322e331a0e42656e63682063616d65726120322207534e2d303034322a05372e312e' +
    '30322e0a0465746830121130323a30303a35653a31303a30303a30311a0a3139322e302e322e3737' +
    '1a07666538303a3a3132040a026c6f3a0c0880a0d9e61d1080d0acf30e',
  health:
    '080210012003288827301d388094ebdc03408088debe01480c5003582760b8176802701978c096b1' +
    '02800108880101900177980164',
  reported:
    '08021007180320062881c097d1edff9603320e434f4e4649475f494e56414c49443a026e6f421c0a' +
    '0c2f766964656f2f7769647468120c6174206d6f737420333834304a027b7d',
  motion:
    '0a20303030313032303330343035303630373038303930613062306330643065306610011a243131' +
    '3131313131312d323232322d343333332d383434342d3535353535353535353535352081c097d1ed' +
    'ff960328c096b10230e0c65b4003482a',
  storageFailing:
    '0a20303030313032303330343035303630373038303930613062306330643065306610061a243131' +
    '3131313131312d323232322d343333332d383434342d3535353535353535353535352081c097d1ed' +
    'ff960328c096b10238014003520c53544f52455f4641494c45445a026e6f',
  snapshot:
    '0a203030303130323033303430353036303730383039306130623063306430653066122431313131' +
    '313131312d323232322d343333332d383434342d3535353535353535353535351881c097d1edff96' +
    '0320c096b102280330013a2066666666666666666666666666666666666666666666666666666666' +
    '6666666640800548e8025220abababababababababababababababababababababababababababab' +
    'abababab7a046a706567',
  command: '0a2030303031303230333034303530363037303830393061306230633064306530661001',
  log:
    '0a20303030313032303330343035303630373038303930613062306330643065306610031881c097' +
    'd1edff96032082c097d1edff9603280130097a1628b52ffd200d6900007b226c6576656c223a3330' +
    '7d0a',
  emptyLog:
    '0a20303030313032303330343035303630373038303930613062306330643065306610031881c097' +
    'd1edff96032081c097d1edff96033009',
  config:
    '0a370a1463616d2d6162636465666768696a6b6c6d6e6f7010071a1d7b22766964656f223a7b2262' +
    '6974726174654b627073223a3930307d7d12400cca9b3cd9f6b37f6cffeefb49cd89a8456ce45774' +
    '72a1004a693928250389fba95ac198481e29390718ae6ed54a8e4a4640a0291270e4c380782497d6' +
    'd7d8011a085e3dc044c49e00e0',
  grant:
    '0a520a1463616d2d6162636465666768696a6b6c6d6e6f7010031a04080510022220cdcdcdcdcdcd' +
    'cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd2881c097d1edff96033080f5243a' +
    '03010408124018225dbd3efa2557d0cf89f3d18de8955d2bfcd3b134474fdcb2c93f7ca906c63346' +
    'a5e0b1cdee00e30b605b93bb47dcef253660754906321ab8e5537cd90c061a085e3dc044c49e00e0',
};

t.test('device information and health have their golden bytes', async (t) => {
  const info = infoOf(2, {
    serial: 'SN-0042',
    firmwareVersion: '7.1.0',
    interfaces: [
      { name: 'eth0', mac: '02:00:5e:10:00:01', addresses: ['192.0.2.77', 'fe80::1'] },
      { name: 'lo', mac: null, addresses: [] },
    ],
  });
  t.equal(hex(encodeInfo(info)), GOLDEN.info);
  t.same(decodeInfo(Buffer.from(GOLDEN.info, 'hex')), info);
  const health = healthOf(2);
  const cold = { ...health, vitals: { ...health.vitals, temperatureCelsius: -1.5 } };
  t.equal(hex(encodeHealth(cold)), GOLDEN.health);
  t.same(decodeHealth(Buffer.from(GOLDEN.health, 'hex')), cold);
});

t.test('desired and reported configurations have their golden bytes', async (t) => {
  const desired = { deviceId, version: 7, document: '{"video":{"bitrateKbps":900}}' };
  t.equal(hex(signDesiredConfig(desired, key)), GOLDEN.config);
  const payload = Buffer.from(GOLDEN.config, 'hex');
  t.same(verifyDesiredConfig(payload, createPublicKey(key), deviceId), desired);
  const reported = reportedOf(2, {
    version: 7,
    state: 'rejected',
    inForce: 6,
    code: 'CONFIG_INVALID',
    detail: 'no',
    faults: [{ path: '/video/width', message: 'at most 3840' }],
    settings: '{}',
  });
  t.equal(hex(encodeReported(reported)), GOLDEN.reported);
  t.same(decodeReported(Buffer.from(GOLDEN.reported, 'hex')), reported);
});

t.test('a grant that names parts of device information has its golden bytes', async (t) => {
  const grant = {
    deviceId,
    epoch: 3,
    granted: new Map([['device_info', 2]] as const),
    policySha256: new Uint8Array(32).fill(0xcd),
    issuedAtUs: atUs,
    leaseS: 604_800,
    infoFields: ['model', 'agent version', 'health'],
  } as const;
  t.equal(hex(signGrant(grant, key)), GOLDEN.grant);
  t.same(verifyGrant(Buffer.from(GOLDEN.grant, 'hex'), createPublicKey(key), deviceId), grant);
});

t.test('events have their golden bytes', async (t) => {
  const moment = { eventId: id, bootId, startAtUs: atUs, startMonoUs: 5_000_000, epoch: 3 };
  const motion: Event = {
    ...moment,
    kind: 'motion',
    durationUs: 1_500_000,
    lasts: false,
    peak: 42,
    code: null,
    detail: '',
  };
  const failing: Event = {
    ...moment,
    kind: 'storage_failing',
    durationUs: 0,
    lasts: true,
    peak: 0,
    code: 'STORE_FAILED',
    detail: 'no',
  };
  t.equal(hex(encodeEvent(motion)), GOLDEN.motion);
  t.same(decodeEvent(Buffer.from(GOLDEN.motion, 'hex')), motion);
  t.equal(hex(encodeEvent(failing)), GOLDEN.storageFailing);
  t.same(decodeEvent(Buffer.from(GOLDEN.storageFailing, 'hex')), failing);
});

t.test('snapshots and commands have their golden bytes, media last', async (t) => {
  const header = {
    snapshotId: id,
    bootId,
    atUs,
    monoUs: 5_000_000,
    epoch: 3,
    cause: 'requested',
    causeId: 'f'.repeat(32),
    width: 640,
    height: 360,
    sha256: new Uint8Array(32).fill(0xab),
  } as const;
  t.equal(hex(encodeSnapshot({ ...header, media: Buffer.from('jpeg') })), GOLDEN.snapshot);
  const { media, ...decoded } = decodeSnapshot(Buffer.from(GOLDEN.snapshot, 'hex'));
  t.same(decoded, header);
  t.equal(Buffer.from(media).toString(), 'jpeg');
  const command = { commandId: id, kind: 'take_snapshot' } as const;
  t.equal(hex(encodeCommand(command)), GOLDEN.command);
  t.same(decodeCommand(Buffer.from(GOLDEN.command, 'hex')), command);
});

t.test('log batches are read from their golden bytes, and from what is packed here', async (t) => {
  const batch = { batchId: id, epoch: 3, firstAtUs: atUs, lastAtUs: atUs + 1, dropped: 9 };
  const full = { ...batch, lines: ['{"level":30}'] };
  // Packing may differ from one zstd to the next; reading may not.
  t.same(decodeLogBatch(Buffer.from(GOLDEN.log, 'hex')), full);
  t.same(decodeLogBatch(encodeLogBatch(full)), full);
  const empty = { ...batch, lastAtUs: atUs, lines: [] };
  t.equal(hex(encodeLogBatch(empty)), GOLDEN.emptyLog);
  t.same(decodeLogBatch(Buffer.from(GOLDEN.emptyLog, 'hex')), empty);
});
