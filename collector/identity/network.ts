/** By which strangers are counted: an IPv6 address with all of its /64, which one host may have at will. */
export function networkOf(remote: string): string {
  const plain = remote.replace(/^::ffff:(?=\d+\.)/i, '').replace(/%.*$/, '');
  if (!plain.includes(':')) return plain;
  const [head = '', tail = ''] = plain.split('::');
  const left = head.split(':').filter(Boolean);
  const right = tail.split(':').filter(Boolean);
  const middle = plain.includes('::') ? Array.from({ length: 8 - left.length - right.length }, () => '0') : [];
  return `${[...left, ...middle, ...right].slice(0, 4).join(':')}::/64`;
}

/** The same of an address with its port. */
export const addressOf = (peer: string): string => networkOf(peer.replace(/:\d+$/, ''));
