// A real installation with a clock that can be put forward, and boards that ask it for an identity as
// an agent does, only without the wire.
import 'reflect-metadata';
import {
  createPublicKey,
  generateKeyPairSync,
  hash,
  randomBytes,
  webcrypto,
  X509Certificate,
} from 'node:crypto';
import { Pkcs10CertificateRequestGenerator } from '@peculiar/x509';
import { type Installation, openInstallation } from '../../../broker/installation.ts';
import type { DeviceRow } from '../../../broker/store/devices.ts';
import { newId } from '../../../broker/store/ids.ts';
import { type ClaimAnswer, claimIdOf, proofKeyOf, proofOf } from '../../../proto/claim.ts';
import { checkServerConfig } from '../../../proto/server-config.ts';
import { decodeSetupCode, encodeLabelCode } from '../../../proto/setup-code.ts';

const EC = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
export const PORT = 18883;

export interface Testdir {
  testdir(): string;
  teardown(end: () => Promise<void>): void;
}

export interface FleetHouse extends Installation {
  readonly accountId: string;
  /** Puts the clock forward. */
  advance(seconds: number): void;
  addOwner(): Promise<string>;
  device(deviceId: string): Promise<DeviceRow>;
  /** Makes a setup code of the owner; returns it with its secret. */
  newCode(request?: { deviceId?: string; accountId?: string }): Promise<Code>;
  /** A camera claimed and connected. */
  claimed(): Promise<Claimed>;
}

export interface Code {
  readonly claimId: string;
  readonly secret: Buffer;
}

export interface Claimed {
  readonly deviceId: string;
  readonly serial: string;
  readonly board: Board;
}

export const by = { actor: 'owner', how: 'test' };

export function testConfig(): ReturnType<typeof checkServerConfig> {
  return checkServerConfig({ mqtt: { port: PORT } }, 'test');
}

export async function fleetHouse(t: Testdir, folder = t.testdir()): Promise<FleetHouse> {
  let aheadMs = 0;
  const installation = await openInstallation(folder, testConfig(), () => Date.now() + aheadMs);
  t.teardown(() => installation.store.close());
  const { store } = installation;
  const addOwner = async (): Promise<string> => {
    const account_id = newId();
    await store.keys.makeAccount(account_id);
    const email = `${account_id}@example.org`;
    await store.accounts.add({ account_id, email, password_hash: '', created_at_us: 1 });
    return account_id;
  };
  const accountId = await addOwner();
  const newCode: FleetHouse['newCode'] = async (request = {}) => {
    const { claimId, code } = await installation.claims.create(request.accountId ?? accountId, {
      name: 'hall',
      deviceId: request.deviceId ?? null,
    });
    return { claimId, secret: decodeSetupCode(code).secret };
  };
  return {
    ...installation,
    accountId,
    addOwner,
    newCode,
    advance: (seconds) => {
      aheadMs += seconds * 1000;
    },
    device: async (deviceId) => {
      const row = await store.devices.byId(deviceId);
      if (!row) throw new Error(`no device ${deviceId}`);
      return row;
    },
    claimed: async () => {
      const board = await Board.make();
      const answer = await board.claim(installation, await newCode());
      const serial = serialOf(answer);
      await installation.certificates.used(serial);
      return { deviceId: idOf(answer), serial, board };
    },
  };
}

/** A board with a key of its own. */
export class Board {
  readonly csr: Uint8Array;

  private constructor(csr: Uint8Array) {
    this.csr = csr;
  }

  static async make(): Promise<Board> {
    return new Board(await csrOf({}));
  }

  /** Asks by a setup code, in a TLS session of its own unless said. */
  claim(
    { claims }: Pick<Installation, 'claims'>,
    code: Code,
    request: { deviceId?: string | null; secret?: Buffer; session?: Buffer; proof?: Buffer } = {},
  ): Promise<ClaimAnswer> {
    const sessionSecret = request.session ?? randomBytes(32);
    const proofKey = proofKeyOf(request.secret ?? code.secret);
    const proof = request.proof ?? proofOf(proofKey, sessionSecret, this.csr);
    return claims.answer(
      { exchange: { kind: 'claim', claimId: code.claimId }, sessionSecret, keySha256: null },
      { csr: this.csr, proof, deviceId: request.deviceId ?? null },
    );
  }
}

/** A board with a factory identity. */
export class FactoryBoard {
  readonly serial: string;
  readonly keySha256: string;

  constructor(serial: string) {
    const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
    this.serial = serial;
    this.keySha256 = hash('sha256', publicKey.export({ type: 'spki', format: 'der' }));
  }

  get row(): { serial: string; model: string; keySha256: string } {
    return { serial: this.serial, model: 'Lens 1', keySha256: this.keySha256 };
  }

  get label(): string {
    const keyFingerprint = Buffer.from(this.keySha256, 'hex');
    return encodeLabelCode({ serial: this.serial, keyFingerprint });
  }

  ask(
    { claims }: Pick<Installation, 'claims'>,
    { csr }: Board,
    { keySha256 = this.keySha256, deviceId = null }: FactoryRequest = {},
  ): Promise<ClaimAnswer> {
    return claims.answer(
      {
        exchange: { kind: 'board', serial: this.serial },
        sessionSecret: randomBytes(32),
        keySha256,
      },
      { csr, proof: new Uint8Array(), deviceId },
    );
  }
}

interface FactoryRequest {
  readonly keySha256?: string | null;
  readonly deviceId?: string | null;
}

export function newSecret(): Code {
  const secret = randomBytes(16);
  return { secret, claimId: claimIdOf(secret) };
}

/** A request as the agent writes it, for a fresh key unless said. */
export async function csrOf(request: {
  readonly keys?: webcrypto.CryptoKeyPair;
  readonly name?: string;
}): Promise<Uint8Array> {
  const keys = request.keys ?? (await webcrypto.subtle.generateKey(EC, true, ['sign', 'verify']));
  const csr = await Pkcs10CertificateRequestGenerator.create(
    { name: request.name ?? 'CN=lenscap', keys, signingAlgorithm: EC },
    webcrypto,
  );
  return new Uint8Array(csr.rawData);
}

/** What an answer says in short: `issued`, or the code of the refusal. */
export function said(answer: ClaimAnswer): string {
  return answer.kind === 'issued' ? 'issued' : answer.code;
}

export function idOf(answer: ClaimAnswer): string {
  if (answer.kind !== 'issued') throw new Error(`${answer.code}: ${answer.detail}`);
  return answer.deviceId;
}

export function pemOf(answer: ClaimAnswer): string {
  if (answer.kind !== 'issued') throw new Error(`${answer.code}: ${answer.detail}`);
  return answer.certificate;
}

export function serialOf(answer: ClaimAnswer): string {
  return new X509Certificate(pemOf(answer)).serialNumber.toLowerCase();
}

/** SHA-256 of the key that a certificate is for. */
export function keyOf(pem: string): string {
  const key = createPublicKey(
    new X509Certificate(pem).publicKey.export({ type: 'spki', format: 'pem' }),
  );
  return hash('sha256', key.export({ type: 'spki', format: 'der' }));
}

/** Rows of everything that a claim could leave behind. */
export async function traces({ store }: Installation): Promise<Record<string, number>> {
  const [devices, certificates, boards] = [
    await store.devices.all(),
    await store.certificates.all(),
    await store.boards.all(),
  ];
  const records = await Promise.all(devices.map(({ device_id }) => store.consent.log(device_id)));
  return {
    devices: devices.length,
    certificates: certificates.length,
    boards: boards.length,
    records: records.flat().length,
  };
}
