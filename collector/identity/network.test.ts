import { expect, test } from 'vitest';
import { addressOf, networkOf } from './network.ts';

test.each([
  ['10.0.0.1', '10.0.0.1'],
  ['::ffff:10.0.0.1', '10.0.0.1'],
  ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
  ['2001:db8::1', '2001:db8:0:0::/64'],
  ['::1', '0:0:0:0::/64'],
  ['fe80::1%eth0', 'fe80:0:0:0::/64'],
])('%s counts as %s', (remote, network) => expect(networkOf(remote)).toBe(network));

test.each([
  ['10.0.0.1:5', '10.0.0.1'],
  ['2001:db8:1:2:3:4:5:6:50000', '2001:db8:1:2::/64'],
  ['2001:db8::1:50000', '2001:db8:0:0::/64'],
])('%s, with its port, counts as %s', (peer, network) => expect(addressOf(peer)).toBe(network));
