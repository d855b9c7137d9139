import fc from 'fast-check';
import { expect, test } from 'vitest';
import { at, end, evidence, request, start } from '../testing/states.ts';
import { canonicalJson } from './canonical-json.ts';
import { manifestOf, type Sealing } from './manifest.ts';

const sealing: Sealing = {
  collectorVersion: '0.1.0',
  request,
  start,
  containers: start.containers,
  end,
  interruptions: [{ at, offsetBytes: 10, cause: 'the connection broke' }],
  outcome: { kind: 'complete' },
  file: 'image.lime',
  bytes: evidence.bytes,
  digest: { sha256: evidence.sha256, prefixes: ['01'] },
  sealedAt: at,
  custody: [{ at, actor: 'operator/alice', action: 'requested', detail: { reason: 'a test' } }],
};

test('the manifest says who asked for what and why, what ran, what was stored and what broke', () => {
  expect(JSON.parse(manifestOf(sealing))).toMatchObject({
    format: 'kcorder-manifest/1',
    capture: { id: 'c-1', reason: 'a test', requestedBy: 'operator/alice' },
    node: { name: 'n1', uid: 'uid-n1', kernel: { ramRanges: [{ start: '0x1000', end: '0xffffffffffff' }] } },
    tools: { collector: '0.1.0', agent: '0.1.0', acquirer: { name: 'avml', sha256: 'cd' }, argv: ['avml'] },
    acquisition: { id: 'acquisition-1', clockOffsetMs: -3, end: { exitCode: 0 }, interruptions: [{ offsetBytes: 10 }] },
    outcome: { kind: 'complete' },
    image: { file: 'image.lime', bytes: 100, sha256: 'ef', segmentBytes: 16 << 20, prefixSha256: ['01'] },
    custody: [{ actor: 'operator/alice' }],
    smear: expect.stringContaining('pages were read at different moments'),
  });
});

test('the manifest is one line in canonical form: the same facts in another order are the same bytes', () => {
  const turned: unknown = reversed(sealing);
  const text = manifestOf(sealing);
  expect(manifestOf(turned as Sealing)).toBe(text);
  expect(text.endsWith('}\n')).toBe(true);
  expect(text.trimEnd()).toBe(canonicalJson(JSON.parse(text)));
});

test('an acquisition that never ended has no end in the manifest', () => {
  const { acquisition } = JSON.parse(manifestOf({ ...sealing, end: undefined })) as { acquisition: object };
  expect(acquisition).not.toHaveProperty('end');
});

test('canonical JSON is JSON, and does not depend on the order of members', () => {
  fc.assert(
    fc.property(fc.jsonValue({ noUnicodeString: false }), (value) => {
      const text = canonicalJson(value);
      expect(JSON.parse(text)).toEqual(JSON.parse(JSON.stringify(value)));
      expect(canonicalJson(reversed(value))).toBe(text);
    }),
    { numRuns: 300 },
  );
});

/** The same value with the members of every object in the opposite order. */
function reversed(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(reversed);
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(
    Object.entries(value)
      .reverse()
      .map(([key, member]) => [key, reversed(member)]),
  );
}
