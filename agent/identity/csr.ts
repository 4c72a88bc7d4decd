// Certificate requests: PKCS #10 for an EC P-256 key, subject CN=lenscap, no attributes [RFC 2986].
// The server takes nothing from it but the key.
import { createPublicKey, type KeyObject, sign } from 'node:crypto';

const SEQUENCE = 0x30;
const BIT_STRING = 0x03;
/** INTEGER 0 */
const VERSION = Buffer.from('020100', 'hex');
/** SEQUENCE { SET { SEQUENCE { commonName, UTF8String "lenscap" } } } */
const SUBJECT = Buffer.from('30123110300e06035504030c076c656e73636170', 'hex');
/** [0] {} */
const NO_ATTRIBUTES = Buffer.from('a000', 'hex');
/** SEQUENCE { ecdsa-with-SHA256 } */
const ALGORITHM = Buffer.from('300a06082a8648ce3d040302', 'hex');

/** DER. `privateKey` is EC P-256. */
export function makeRequest(privateKey: KeyObject): Buffer {
  const spki = createPublicKey(privateKey).export({ type: 'spki', format: 'der' });
  const info = der(SEQUENCE, VERSION, SUBJECT, spki, NO_ATTRIBUTES);
  const signature = sign('sha256', info, privateKey);
  return der(SEQUENCE, info, ALGORITHM, der(BIT_STRING, Buffer.from([0]), signature));
}

/** One element; all that is needed here is shorter than 64 KiB. */
function der(tag: number, ...parts: readonly Buffer[]): Buffer {
  const content = Buffer.concat(parts);
  const { length } = content;
  const head =
    length < 0x80
      ? [tag, length]
      : length < 0x100
        ? [tag, 0x81, length]
        : [tag, 0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from(head), content]);
}
