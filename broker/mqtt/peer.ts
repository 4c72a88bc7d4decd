// The far end of a connection, as its TLS handshake or the session it resumed says. Read at once: a
// destroyed socket has neither address nor certificate.
import { hash, type X509Certificate } from 'node:crypto';
import type { TLSSocket } from 'node:tls';

export interface Peer {
  readonly address: string;
  /** It showed a certificate of our authority whose time is now. */
  readonly isAuthorized: boolean;
  /** Common name of its certificate. */
  readonly name: string | undefined;
  /** Lower-case hex; empty without a certificate. */
  readonly serial: string;
  /** SHA-256 of the certificate, lower-case hex; empty without one. */
  readonly fingerprint: string;
  /** Kept only when it is not of our authority, for whoever asks for its key. */
  readonly certificate: X509Certificate | undefined;
}

export function peerOf(socket: TLSSocket): Peer {
  const certificate = socket.getPeerX509Certificate();
  const isAuthorized = socket.authorized;
  return {
    address: socket.remoteAddress ?? '',
    isAuthorized,
    name: certificate && commonName(certificate),
    serial: certificate?.serialNumber.toLowerCase() ?? '',
    fingerprint: certificate ? hash('sha256', certificate.raw) : '',
    certificate: isAuthorized ? undefined : certificate,
  };
}

/**
 * Who it is, for the log of the server: a device by its certificate, without where it comes from, which is
 * device information; anybody else by where it comes from, and what its certificate says.
 */
export function saidOf({ isAuthorized, name, serial, address }: Peer): Record<string, unknown> {
  return isAuthorized ? { name, serial } : { name, serial, from: address };
}

/** Undefined unless there is exactly one. A line break in a name is escaped, so lines cannot be forged. */
function commonName({ subject }: X509Certificate): string | undefined {
  const [name, ...others] = (subject ?? '').split('\n').filter((line) => line.startsWith('CN='));
  return others.length > 0 ? undefined : name?.slice(3);
}

/** SHA-256 of the key (SPKI, DER) in the peer's certificate, lower-case hex; null without one. */
export function keySha256Of({ certificate }: Peer): string | null {
  if (!certificate) return null;
  return hash('sha256', certificate.publicKey.export({ type: 'spki', format: 'der' }));
}
