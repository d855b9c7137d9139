import { expect, test } from 'vitest';
import { LimeWalker } from '../evidence/lime.ts';
import { limeImage } from '../testing/lime-image.ts';
import { imageCeilingBytes, scannedBytes } from './image-progress.ts';

const mebibyte = 1 << 20;
const range = (start: number, bytes: number) => ({ start: BigInt(start), end: BigInt(start + bytes) - 1n });

test.each([
  { sentence: 'no memory', ranges: [], ceiling: mebibyte },
  { sentence: 'one range below a record', ranges: [range(0, 4096)], ceiling: mebibyte + 4096 + 2 * 32 },
  { sentence: 'a range of two records', ranges: [range(0, 32 * mebibyte)], ceiling: 33 * mebibyte + 3 * 32 },
  {
    sentence: 'a range of two records and a byte, and another one',
    ranges: [range(0, 32 * mebibyte + 1), range(1 << 30, 4096)],
    ceiling: 33 * mebibyte + 1 + 4096 + 6 * 32,
  },
])('the upper bound of an image of $sentence has room for its headers', ({ ranges, ceiling }) => {
  expect(imageCeilingBytes(ranges)).toBe(ceiling);
});

test('a range that ends before it starts takes nothing off: there is no ceiling at all', () => {
  const ranges = [range(0, 32 * mebibyte), { start: 34n << 40n, end: 0n }];
  expect(() => imageCeilingBytes(ranges)).toThrow(expect.objectContaining({ code: 'invalid_argument' }));
});

test('what was scanned is counted to the end of the record that arrives, in memory and not in bytes of the image', () => {
  const ranges = [range(0x1000, 10_000), range(0x10_0000, 5000)];
  const walker = new LimeWalker();
  expect(scannedBytes(ranges, walker)).toBe(0);
  const image = limeImage(1, [4000, 100]);
  walker.feed(0, image.subarray(0, 100));
  expect(scannedBytes(ranges, walker)).toBe(4000);
  walker.feed(100, image.subarray(100));
  expect(scannedBytes(ranges, walker)).toBe(4100);
  const far = new LimeWalker();
  const header = Buffer.from(image.subarray(0, 32));
  header.writeBigUInt64LE(0x10_0000n, 8);
  header.writeBigUInt64LE(0x10_0000n + 999n, 16);
  far.feed(0, header);
  expect(scannedBytes(ranges, far)).toBe(11_000);
});
