import fc from 'fast-check';
import { expect, test } from 'vitest';
import { fuzzRuns } from '../../tools/fuzz-runs.ts';
import { actorOf, identityOf } from './identity.ts';

const node = 'URI:spiffe://kcorder/node/worker-1.example/6f1e-22';
const operator = 'URI:spiffe://kcorder/operator/alice@example.org';

test.each([
  { sentence: 'a node', names: node, identity: { kind: 'node', name: 'worker-1.example', uid: '6f1e-22' } },
  { sentence: 'an operator', names: operator, identity: { kind: 'operator', name: 'alice@example.org' } },
  {
    sentence: 'an identity among other kinds of names',
    names: `DNS:a, ${operator}, IP Address:10.0.0.1`,
    identity: { kind: 'operator' },
  },
])('$sentence is known by the one URI of its certificate', ({ names, identity }) => {
  expect(identityOf(names)).toMatchObject(identity);
});

test.each([
  ['no name at all', ''],
  ['no URI', 'DNS:spiffe://kcorder/operator/alice'],
  ['two identities', `${node}, ${operator}`],
  ['the same identity twice', `${operator}, ${operator}`],
  ['a second URI that is not ours', `${operator}, URI:https://example.org`],
  ['a URI of somebody else', 'URI:spiffe://cluster.local/ns/default/sa/default'],
  ['a node without its uid', 'URI:spiffe://kcorder/node/n1'],
  ['a node with more than name and uid', 'URI:spiffe://kcorder/node/n1/u1/operator/alice'],
  ['a node name in capitals', 'URI:spiffe://kcorder/node/N1/u1'],
  ['a node name that climbs', 'URI:spiffe://kcorder/node/../u1'],
  ['an empty operator', 'URI:spiffe://kcorder/operator/'],
  ['an operator with a line end', 'URI:spiffe://kcorder/operator/alice\n'],
  ['an operator with an escape', 'URI:spiffe://kcorder/operator/al%69ce'],
  ['another scheme', 'URI:SPIFFE://kcorder/operator/alice'],
  ['an identity inside a quoted URI', 'URI:"spiffe://kcorder/node/a/b, URI:spiffe://kcorder/operator/alice"'],
  ['an identity inside a quoted DNS name', 'DNS:"a, URI:spiffe://kcorder/operator/alice, b"'],
  ['an identity inside a quoted name, escaped', 'DNS:"a\\", URI:spiffe://kcorder/operator/alice, \\"b"'],
])('a certificate with %s names nobody', (_, names) => {
  expect(() => identityOf(names)).toThrow(expect.objectContaining({ code: 'unauthenticated' }));
});

test('whatever stands in a certificate: either it is refused, or its only URI is exactly the identity that comes out', () => {
  const pieces = fc.constantFrom(
    'URI:',
    'DNS:',
    ', ',
    ',',
    '"',
    '\\',
    'spiffe://kcorder/',
    'node/',
    'operator/',
    'n1',
    'u-1',
    'alice',
    '/',
    ' ',
    '.',
  );
  let known = 0;
  fc.assert(
    fc.property(
      fc.oneof(
        fc.array(pieces, { maxLength: 14 }).map((parts) => parts.join('')),
        fc.string(),
        shaped,
      ),
      (names) => {
        let identity: ReturnType<typeof identityOf>;
        try {
          identity = identityOf(names);
        } catch (error) {
          expect(error).toMatchObject({ code: 'unauthenticated' });
          return;
        }
        known += 1;
        const path = identity.kind === 'node' ? `node/${identity.name}/${identity.uid}` : `operator/${identity.name}`;
        expect(names.split(', ').filter((name) => name.startsWith('URI:'))).toEqual([`URI:spiffe://kcorder/${path}`]);
        expect(names).not.toContain('"');
        expect(actorOf(identity)).toMatch(/^(node|operator)\/[A-Za-z0-9._@-]+$/);
      },
    ),
    { numRuns: fuzzRuns(2_000) },
  );
  expect(known).toBeGreaterThan(10);
});

const shaped = fc
  .tuple(
    fc.constantFrom('node/n1/u1', 'operator/alice', 'node/n1', 'operator/a b'),
    fc.constantFrom('', ', DNS:x', ', URI:x', '"'),
  )
  .map(([path, more]) => `URI:spiffe://kcorder/${path}${more}`);
