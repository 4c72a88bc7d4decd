// Which network interface a connection goes over, and whether it costs by volume. Pure.
import type { NetworkInterfaceInfo } from 'node:os';

export type Interfaces = Readonly<Record<string, readonly NetworkInterfaceInfo[] | undefined>>;

const IPV4_MAPPED = /^::ffff:(?=\d+\.)/i;

/** The name of the interface that has this address; undefined when none has. */
export function interfaceOf(address: string, interfaces: Interfaces): string | undefined {
  const wanted = plain(address);
  return Object.keys(interfaces).find((name) =>
    interfaces[name]?.some((one) => plain(one.address) === wanted),
  );
}

/** Whether a name is one of these, or begins like one that ends with `*`. */
export function isMetered(name: string, patterns: readonly string[]): boolean {
  return patterns.some((pattern) =>
    pattern.endsWith('*') ? name.startsWith(pattern.slice(0, -1)) : name === pattern,
  );
}

function plain(address: string): string {
  return address.replace(IPV4_MAPPED, '').replace(/%.*$/, '').toLowerCase();
}
