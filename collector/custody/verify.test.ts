import { createHash, randomInt } from 'node:crypto';
import { Fault } from '@kcorder/proto/fault.ts';
import { expect, test } from 'vitest';
import { checkManifest, sha256Of } from '../evidence/check-manifest.ts';
import type { RangeSource } from '../store/range-source.ts';
import { noise } from '../testing/lime-image.ts';
import { type Verdict, verifyImage } from './verify.ts';

const segmentBytes = 4096;
const image = noise(7, 15 * segmentBytes + 1000);
const evidence = { bytes: image.length, sha256: sha256Of(image), file: 'image.lime' };

function manifestOf(changes: Record<string, unknown> = {}, format = 'kcorder-manifest/1'): Buffer {
  const prefixSha256: string[] = [];
  for (let end = segmentBytes; end < image.length + segmentBytes; end += segmentBytes)
    prefixSha256.push(sha256Of(image.subarray(0, end)));
  const digests = { bytes: image.length, sha256: evidence.sha256, segmentBytes, prefixSha256, ...changes };
  return Buffer.from(JSON.stringify({ format, image: digests }));
}

/** The digests of the manifest as it is when nothing was altered. */
function digests() {
  const checked = checkManifest(manifestOf(), evidence, sha256Of(manifestOf()));
  if (typeof checked === 'string') throw new Error(checked);
  return checked;
}

function sourceOf(bytes: Buffer, badFrame?: { from: number; to: number }): RangeSource {
  return {
    sizeBytes: bytes.length,
    read: async (offset, length) => {
      if (badFrame !== undefined && offset < badFrame.to && badFrame.from < offset + length)
        throw new Fault('evidence_damaged', `bytes ${badFrame.from} to ${badFrame.to} cannot be unpacked`);
      return bytes.subarray(offset, offset + length);
    },
    [Symbol.asyncDispose]: async () => undefined,
  };
}

const verify = async (source: RangeSource, pace: (doneBytes: number) => void = () => undefined): Promise<Verdict> =>
  await verifyImage(source, evidence, digests(), pace, new AbortController().signal);

test('an image that is what was sealed is intact, and its progress is told to the end', async () => {
  const told: number[] = [];
  expect(await verify(sourceOf(image), (done) => told.push(done))).toEqual({ kind: 'intact', sha256: evidence.sha256 });
  expect(told).toEqual([...told].sort((a, b) => a - b));
  expect(told.at(-1)).toBe(image.length);
});

test('a bit that flipped is found at 1,000 random places, by its segment', async () => {
  const seed = randomInt(2 ** 32);
  const places = noise(seed, 5_000);
  const flips: string[] = [];
  for (let round = 0; round < 1_000; round += 1) {
    const [at, bit] = [places.readUInt32LE(round * 5) % image.length, places.readUInt8(round * 5 + 4) % 8];
    const flipped = Buffer.from(image);
    flipped[at] = (flipped[at] as number) ^ (1 << bit);
    const badFrom = Math.floor(at / segmentBytes) * segmentBytes;
    const badTo = Math.min(badFrom + segmentBytes, image.length);
    const verdict = await verify(sourceOf(flipped));
    if (
      verdict.kind === 'intact' ||
      verdict.badFrom !== badFrom ||
      verdict.badTo !== badTo ||
      verdict.sha256 !== sha256Of(flipped)
    )
      flips.push(`bit ${bit} of byte ${at}: ${JSON.stringify(verdict)}`);
  }
  expect(flips, `seed ${seed}`).toEqual([]);
});

test.each([
  { sentence: 'in the middle of a segment', size: 5 * segmentBytes + 7, from: 5 * segmentBytes, to: 6 * segmentBytes },
  { sentence: 'between two segments', size: 5 * segmentBytes, from: 5 * segmentBytes, to: 6 * segmentBytes },
  { sentence: 'in its last segment', size: image.length - 1, from: 15 * segmentBytes, to: image.length },
  { sentence: 'at its beginning', size: 0, from: 0, to: segmentBytes },
])('an image that was cut off $sentence is damaged from there on', async ({ size, from, to }) => {
  expect(await verify(sourceOf(image.subarray(0, size)))).toMatchObject({
    kind: 'damaged',
    detail: expect.stringContaining(`it has ${size} bytes, ${image.length} were sealed`),
    badFrom: from,
    badTo: to,
  });
});

test('an image with bytes past its end is damaged there', async () => {
  expect(await verify(sourceOf(Buffer.concat([image, Buffer.from('more')])))).toMatchObject({
    kind: 'damaged',
    badFrom: image.length,
    badTo: image.length + 4,
  });
});

test('what cannot be unpacked is named by the range that was to be read', async () => {
  const verdict = await verify(sourceOf(image, { from: 3 * segmentBytes + 5, to: 3 * segmentBytes + 9 }));
  expect(verdict).toEqual({
    kind: 'damaged',
    detail: `bytes ${3 * segmentBytes + 5} to ${3 * segmentBytes + 9} cannot be unpacked`,
    badFrom: 3 * segmentBytes,
    badTo: 4 * segmentBytes,
    sha256: '',
  });
});

test.each(['storage_failed', 'store_refused'] as const)(
  'when the image cannot be read now there is no verdict: %s',
  async (code) => {
    const source = { ...sourceOf(image), read: () => Promise.reject(new Fault(code, 'not now')) };
    await expect(verify(source)).rejects.toMatchObject({ code });
  },
);

test('the signal ends it', async () => {
  const ending = new AbortController();
  const stop = (done: number): void => {
    if (done > segmentBytes) ending.abort(new Fault('canceled', 'enough'));
  };
  await expect(verifyImage(sourceOf(image), evidence, digests(), stop, ending.signal)).rejects.toMatchObject({
    code: 'canceled',
  });
});

test('a manifest whose digest of one segment was altered is told apart from a damaged image', async () => {
  const { prefixes } = digests();
  const altered = { segmentBytes, prefixes: prefixes.map((prefix, index) => (index === 4 ? 'ab'.repeat(32) : prefix)) };
  expect(
    await verifyImage(sourceOf(image), evidence, altered, () => undefined, new AbortController().signal),
  ).toMatchObject({
    kind: 'damaged',
    detail: "the manifest was altered: its digest of segment 4 is not the image's",
    badFrom: 0,
    badTo: 0,
  });
});

const other = createHash('sha256').update('other').digest('hex');
test.each([
  { sentence: 'is empty', manifest: Buffer.alloc(0), says: 'it is no kcorder-manifest/1 any more' },
  { sentence: 'is no JSON', manifest: Buffer.from('{"format":'), says: 'it is no kcorder-manifest/1 any more' },
  { sentence: 'is JSON of another kind', manifest: Buffer.from('[]'), says: 'it is no kcorder-manifest/1 any more' },
  { sentence: 'is null', manifest: Buffer.from('null'), says: 'it is no kcorder-manifest/1 any more' },
  { sentence: 'is of another format', manifest: manifestOf({}, 'x'), says: 'it is no kcorder-manifest/1 any more' },
  { sentence: 'names another SHA-256', manifest: manifestOf({ sha256: other }), says: 'were sealed' },
  { sentence: 'names another size', manifest: manifestOf({ bytes: 1 }), says: 'it names an image of 1 bytes' },
  { sentence: 'has no segment size', manifest: manifestOf({ segmentBytes: 0 }), says: 'its segment size is none' },
  {
    sentence: 'has a broken segment size',
    manifest: manifestOf({ segmentBytes: 0.5 }),
    says: 'its segment size is none',
  },
  {
    sentence: 'has too few digests',
    manifest: manifestOf({ prefixSha256: [] }),
    says: 'its segment digests do not belong',
  },
  {
    sentence: 'has numbers for digests',
    manifest: manifestOf({ prefixSha256: Array(16).fill(1) }),
    says: 'do not belong',
  },
])('a manifest that $sentence is known to be altered', ({ manifest, says }) => {
  expect(checkManifest(manifest, evidence, '')).toContain(says);
});

test('a manifest in which one word was altered after it was stored is known by its own SHA-256', () => {
  const stored = sha256Of(manifestOf());
  const altered = Buffer.from(manifestOf().toString().replace('}}', '},"reason":"another"}'));
  expect(typeof checkManifest(altered, evidence, '')).toBe('object');
  expect(checkManifest(altered, evidence, stored)).toContain('the manifest was altered after it was stored');
});
