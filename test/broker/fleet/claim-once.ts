// Answers one claim and says how: claim-once.ts FOLDER FILE, the file as `Asked` in JSON. Run under
// strace by a test.
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { openInstallation } from '../../../broker/installation.ts';
import { proofKeyOf, proofOf } from '../../../proto/claim.ts';
import { testConfig } from './house.ts';

/** Hex, but for the name of the claim. */
export interface Asked {
  readonly claimId: string;
  readonly secret: string;
  readonly csr: string;
}

const [folder = '', file = ''] = process.argv.slice(2);
const asked: Asked = JSON.parse(readFileSync(file, 'utf8'));
const { claimId } = asked;
const csr = Buffer.from(asked.csr, 'hex');
const installation = await openInstallation(folder, testConfig());
const sessionSecret = randomBytes(32);
const proof = proofOf(proofKeyOf(Buffer.from(asked.secret, 'hex')), sessionSecret, csr);
const answer = await installation.claims.answer(
  { exchange: { kind: 'claim', claimId }, sessionSecret, keySha256: null },
  { csr, proof, deviceId: null },
);
process.stdout.write(answer.kind === 'issued' ? 'issued' : answer.code);
await installation.store.close();
