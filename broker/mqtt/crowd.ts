// Who makes room in the quarantine when it is full: whoever comes from where few are gets in, at the
// cost of where most are, so that nobody can keep all others out by holding every place. Pure.

/** What is known of who is in. */
export interface Guest {
  readonly network: string;
  /** It is being answered; it would lose what it came for. */
  readonly isAsking: boolean;
}

/**
 * Whoever has an IPv6 address has 2^64 of them: the network of a far end, that is its IPv4 address or
 * the first 64 bits of its IPv6 address.
 */
export function networkOf(address: string): string {
  const mapped = /^::ffff:([\d.]+)$/i.exec(address)?.[1];
  if (mapped !== undefined || !address.includes(':')) return mapped ?? address;
  const [head = '', tail] = address.replace(/%.*/, '').split('::');
  const left = head.split(':').filter((group) => group !== '');
  const right = (tail ?? '').split(':').filter((group) => group !== '');
  const zeros = Array.from({ length: Math.max(0, 8 - left.length - right.length) }, () => '0');
  const groups = [...left, ...(tail === undefined ? [] : zeros), ...right].slice(0, 4);
  return `${groups.join(':').toLowerCase()}::/64`;
}

/**
 * Who has to go so that one from `network` may come in; undefined when it would only be the other way
 * round then. `guests` in the order in which they came.
 */
export function whoMakesRoom<K>(
  guests: Iterable<readonly [K, Guest]>,
  network: string,
): K | undefined {
  const idle = new Map<string, K>();
  const counts = new Map<string, number>();
  for (const [key, guest] of guests) {
    counts.set(guest.network, (counts.get(guest.network) ?? 0) + 1);
    if (!guest.isAsking && !idle.has(guest.network)) idle.set(guest.network, key);
  }
  let most = (counts.get(network) ?? 0) + 1;
  let leaving: K | undefined;
  for (const [crowd, key] of idle) {
    const count = counts.get(crowd) ?? 0;
    if (count <= most) continue;
    most = count;
    leaving = key;
  }
  return leaving;
}
