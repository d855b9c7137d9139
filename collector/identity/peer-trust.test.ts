import { execFileSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { LiveIdentity } from '@kcorder/proto/bridge/live-identity.ts';
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest';
import { type Authority, type Leaf, makeAuthority } from '../../tools/certificates.ts';
import { handshakeMs, PeerTrust } from './peer-trust.ts';

const dir = mkdtempSync(join(tmpdir(), 'kcorder-peers-'));
let authority: Authority;
let other: Authority;
let server: Leaf;
beforeAll(() => {
  [authority, other] = [makeAuthority(join(dir, 'one')), makeAuthority(join(dir, 'other'))];
  server = authority.server();
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));
afterEach(() => void vi.useRealTimers());

const derOf = ({ certificate }: Leaf): Buffer => new X509Certificate(certificate).raw;
const day = 24 * 3_600_000;

/** A trust whose clock and bundle can be set, and what it has ended. */
function trust(ca: Buffer = authority.ca) {
  const identity = new LiveIdentity({ ...server, ca });
  let aheadMs = 0;
  const ends: string[] = [];
  const peers = new PeerTrust(identity, () => Date.now() + aheadMs);
  return {
    peers,
    ends,
    end: (why: string) => void ends.push(why),
    ahead: (ms: number) => {
      aheadMs = ms;
    },
    trusts: (...authorities: Buffer[]) => identity.set({ ...server, ca: Buffer.concat(authorities) }),
  };
}

test.each([
  { sentence: 'while it holds', days: 0.5, why: undefined },
  { sentence: 'after its end', days: 1.5, why: /holds from .* and not now/ },
  { sentence: 'before its beginning', days: -1, why: /holds from .* and not now/ },
])('a certificate $sentence', ({ days, why }) => {
  const { peers, ahead } = trust();
  const operator = derOf(authority.operator('alice'));
  ahead(days * day);
  if (why === undefined) expect(peers.check(operator)).toBeUndefined();
  else
    expect(() => peers.check(operator)).toThrow(
      expect.objectContaining({ code: 'unauthenticated', message: expect.stringMatching(why) }),
    );
});

test('a certificate ends with its authority, however long it says that it holds', () => {
  const { peers, ahead } = trust();
  const operator = derOf(authority.operator('long', { days: 30 }));
  ahead(1.5 * day);
  expect(peers.check(operator)).toBeUndefined();
  ahead(3 * day);
  expect(() => peers.check(operator)).toThrow(/and not now/);
});

test('connections are ended at a change of the authorities that leaves theirs out, and no others; those that left are not told', () => {
  const { peers, ends, end, trusts } = trust();
  const leave = peers.stand(derOf(authority.operator('alice')), end);
  peers.stand(derOf(authority.operator('bob')), () => ends.push('bob'));
  trusts(other.ca, authority.ca);
  expect(ends).toEqual([]);
  leave();
  trusts(other.ca);
  expect(ends).toEqual(['bob']);
});

test('a name like that of the authority is not enough', () => {
  const { peers } = trust();
  // Both authorities have the same subject; only the signature tells them apart.
  peers.check(derOf(authority.operator('alice')));
  expect(() => peers.check(derOf(other.operator('alice')))).toThrow(/of no authority that is trusted now/);
});

/** A leaf of an intermediate authority, DER; what lies between is not known here, as Node does not give it out. */
function leafBelow({ dir: above }: Authority): Buffer {
  const at = (name: string): string => join(dir, name);
  const openssl = (...args: string[]) => execFileSync('openssl', args, { stdio: ['ignore', 'ignore', 'pipe'] });
  for (const name of ['middle', 'below'])
    openssl(
      'req',
      '-new',
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:P-256',
      '-nodes',
      '-subj',
      `/CN=${name}`,
      '-keyout',
      at(`${name}.key`),
      '-out',
      at(`${name}.csr`),
    );
  writeFileSync(at('ca'), 'basicConstraints=critical,CA:TRUE\n');
  openssl(
    'x509',
    '-req',
    '-in',
    at('middle.csr'),
    '-CA',
    join(above, 'ca.crt'),
    '-CAkey',
    join(above, 'ca.key'),
    '-CAcreateserial',
    '-extfile',
    at('ca'),
    '-days',
    '1',
    '-out',
    at('middle.crt'),
  );
  openssl(
    'x509',
    '-req',
    '-in',
    at('below.csr'),
    '-CA',
    at('middle.crt'),
    '-CAkey',
    at('middle.key'),
    '-CAcreateserial',
    '-days',
    '1',
    '-out',
    at('below.crt'),
  );
  return new X509Certificate(readFileSync(at('below.crt'))).raw;
}

test('what the handshake found by way of an intermediate holds until the authorities change, then a new handshake has to find it', () => {
  vi.useFakeTimers({ toFake: ['performance'] });
  const { peers, ends, end, trusts } = trust();
  const below = leafBelow(authority);
  peers.stand(below, end);
  peers.check(below);
  trusts(authority.ca, other.ca);
  expect(ends).toEqual([expect.stringMatching(/of no authority/)]);
  expect(() => peers.check(below)).toThrow(/of no authority/);
  // A handshake that may have begun before the change says nothing of the authorities of now.
  const [late, after] = [trust(), [] as string[]];
  late.trusts(authority.ca, other.ca);
  late.peers.stand(below, late.end);
  expect(late.ends).toHaveLength(1);
  vi.advanceTimersByTime(handshakeMs + 1);
  late.peers.stand(below, (why) => after.push(why));
  expect(after).toEqual([]);
});
