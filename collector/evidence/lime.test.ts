import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { fuzzRuns } from '../../tools/fuzz-runs.ts';
import { limeImage, noise } from '../testing/lime-image.ts';
import { ImageHasher, segmentBytes } from './digest.ts';
import { LimeWalker } from './lime.ts';

const sizes = [4096, 1, 70_000, 31, 33, 5000];
const image = limeImage(1, sizes);
const boundaries = sizes.map((_, index) => sizes.slice(0, index + 1).reduce((sum, size) => sum + 32 + size, 0));

function walk(bytes: Uint8Array, cuts: readonly number[] = []): LimeWalker {
  const walker = new LimeWalker();
  const offsets = [...new Set([0, ...cuts.map((cut) => cut % bytes.length), bytes.length])].sort((a, b) => a - b);
  for (const [index, offset] of offsets.entries()) walker.feed(offset, bytes.subarray(offset, offsets[index + 1]));
  return walker;
}

function header(changes: { magic?: number; version?: number; start?: bigint; end?: bigint }): Buffer {
  const bytes = Buffer.alloc(32);
  bytes.writeUInt32LE(changes.magic ?? 0x4c694d45, 0);
  bytes.writeUInt32LE(changes.version ?? 1, 4);
  bytes.writeBigUInt64LE(changes.start ?? 0x10_0000n, 8);
  bytes.writeBigUInt64LE(changes.end ?? 0x10_00ffn, 16);
  return bytes;
}

test('a whole image has no damage, and the last record is known with its place', () => {
  const walker = walk(image);
  expect(walker.damage(image.length)).toBeUndefined();
  expect(walker.nextHeaderBytes).toBe(image.length);
  expect(walker.lastRecord?.offsetBytes).toBe(boundaries.at(-2));
});

test('in whatever pieces an image comes, what is said of it is the same', () => {
  fc.assert(
    fc.property(
      fc.array(fc.nat(image.length - 1), { maxLength: 40 }),
      fc.integer({ min: 1, max: image.length }),
      (cuts, size) => {
        const bytes = image.subarray(0, size);
        const [whole, pieces] = [walk(bytes), walk(bytes, cuts)];
        expect(pieces.damage(size)).toBe(whole.damage(size));
        expect(pieces.nextHeaderBytes).toBe(whole.nextHeaderBytes);
        expect(pieces.lastRecord).toEqual(whole.lastRecord);
      },
    ),
    { numRuns: 2000 },
  );
});

test('byte by byte is as good as in one piece', () => {
  expect(walk(image, [...image.keys()]).damage(image.length)).toBeUndefined();
});

test('the bytes between the headers may be left out', () => {
  const walker = new LimeWalker();
  for (const end of [0, ...boundaries].slice(0, -1)) walker.feed(end, image.subarray(end, end + 32));
  expect(walker.damage(image.length)).toBeUndefined();
});

test.each([
  { sentence: 'nothing at all', bytes: Buffer.alloc(0), damage: 'the image ends at byte 0' },
  {
    sentence: 'half a header',
    bytes: header({}).subarray(0, 16),
    damage: 'the image ends at byte 16, its last record at byte 0',
  },
  { sentence: 'another magic', bytes: header({ magic: 0x4c4d5641 }), damage: 'there is no LiME header at byte 0' },
  { sentence: 'another version', bytes: header({ version: 2 }), damage: 'there is no LiME header at byte 0' },
  { sentence: 'a range that ends before it starts', bytes: header({ end: 0x1000n }), damage: 'which cannot follow' },
  {
    sentence: 'a range that lies before the last one',
    bytes: Buffer.concat([header({}), Buffer.alloc(256), header({})]),
    damage: 'the LiME record at byte 288 has the range 1048576-1048831, which cannot follow',
  },
  {
    sentence: 'a range of all addresses',
    bytes: header({ start: 0n, end: 2n ** 64n - 1n }),
    damage: 'the image ends at byte 32',
  },
  {
    sentence: 'bytes after its last record',
    bytes: Buffer.concat([image, noise(9, 100)]),
    damage: `no LiME header at byte ${image.length}`,
  },
])('an image with $sentence is not whole', ({ bytes, damage }) => {
  expect(walk(bytes).damage(bytes.length)).toContain(damage);
});

test('hostile headers neither end in an error nor in a whole image that is none', () => {
  const field = fc.oneof(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), fc.bigInt({ min: 0n, max: 200n }));
  const record = fc.record({
    magic: fc.constantFrom(0x4c694d45, 0x4c694d45, 0),
    version: fc.constantFrom(1, 1, 2),
    start: field,
    end: field,
  });
  fc.assert(
    fc.property(fc.array(record, { minLength: 1, maxLength: 6 }), fc.nat(300), (records, padding) => {
      const bytes = Buffer.concat([...records.map(header), noise(padding, padding)]);
      const damage = walk(bytes).damage(bytes.length);
      const [first] = records;
      if (first !== undefined && (first.magic === 0 || first.version === 2 || first.end < first.start))
        expect(damage).toBeDefined();
    }),
    { numRuns: fuzzRuns(2_000) },
  );
});

test('an image cut at any of 1,000 places is found out: by its records, or where it is cut between two of them by its digest', () => {
  const sha256 = createHash('sha256').update(image).digest('hex');
  let onlyByDigest = 0;
  fc.assert(
    fc.property(
      fc.oneof({ weight: 9, arbitrary: fc.nat(image.length - 1) }, fc.constantFrom(...boundaries.slice(0, -1))),
      (size) => {
        const cut = image.subarray(0, size);
        if (walk(cut).damage(size) !== undefined) return;
        onlyByDigest += 1;
        expect(boundaries).toContain(size);
        expect(digestOf(cut).sha256).not.toBe(sha256);
      },
    ),
    { numRuns: 1000 },
  );
  expect(onlyByDigest).toBeGreaterThan(0);
});

test('a bit that is flipped at any of 1,000 places is found out by the digest', () => {
  const { sha256 } = digestOf(image);
  fc.assert(
    fc.property(fc.nat(image.length * 8 - 1), (bit) => {
      const flipped = Buffer.from(image);
      flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      expect(digestOf(flipped).sha256).not.toBe(sha256);
    }),
    { numRuns: 1000 },
  );
});

test('the digests of the prefixes tell in which 16 MiB the first bit was flipped', () => {
  const large = noise(3, 2 * segmentBytes + 1000);
  const { prefixes, sha256 } = digestOf(large);
  const ends = [segmentBytes, 2 * segmentBytes, large.length];
  expect(prefixes).toEqual(ends.map((end) => createHash('sha256').update(large.subarray(0, end)).digest('hex')));
  expect(prefixes.at(-1)).toBe(sha256);
  for (const [index, offset] of [segmentBytes - 1, segmentBytes, 2 * segmentBytes].entries()) {
    large[offset] = (large[offset] ?? 0) ^ 1;
    const damaged = digestOf(large);
    large[offset] = (large[offset] ?? 0) ^ 1;
    expect(damaged.prefixes.findIndex((prefix, at) => prefix !== prefixes[at])).toBe(index);
    expect(damaged.sha256).not.toBe(sha256);
  }
});

test('in whatever pieces an image comes, its digests are the same', () => {
  const large = noise(4, segmentBytes + 5);
  const whole = digestOf(large);
  for (const pieceBytes of [1 << 20, 777_777, segmentBytes, segmentBytes + 1]) {
    const hasher = new ImageHasher();
    for (let offset = 0; offset < large.length; offset += pieceBytes)
      hasher.update(large.subarray(offset, offset + pieceBytes));
    expect(hasher.end()).toEqual(whole);
  }
});

function digestOf(bytes: Uint8Array) {
  const hasher = new ImageHasher();
  hasher.update(bytes);
  return hasher.end();
}
