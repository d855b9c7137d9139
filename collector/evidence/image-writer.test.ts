import { createHash } from 'node:crypto';
import { appendFileSync, readFileSync, rmSync, statSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { makeScratch } from '../testing/files.ts';
import { limeImage } from '../testing/lime-image.ts';
import { ImageWriter } from './image-writer.ts';

const image = limeImage(1, [5000, 100, 70_000]);
const digest = createHash('sha256').update(image).digest('hex');

/** A folder whose image has `bytes` durable bytes. */
async function written(bytes: number) {
  const scratch = makeScratch();
  const path = join(scratch.dir, 'image.part');
  const writer = await ImageWriter.open(path, 0);
  await writer.append(image.subarray(0, bytes));
  expect(await writer.sync()).toBe(bytes);
  await writer.close();
  return { path, [Symbol.dispose]: () => scratch[Symbol.dispose]() };
}

test('what is appended is on disk, and the digest and the walk of it need no reading', async () => {
  using scratch = makeScratch();
  const path = join(scratch.dir, 'image.part');
  const writer = await ImageWriter.open(path, 0);
  for (let offset = 0; offset < image.length; offset += 777) await writer.append(image.subarray(offset, offset + 777));
  expect(await writer.sync()).toBe(image.length);
  expect(writer.walker.damage(image.length)).toBeUndefined();
  expect((await writer.digest()).sha256).toBe(digest);
  await writer.close();
  expect(readFileSync(path).equals(image)).toBe(true);
  expect(statSync(path).mode & 0o777).toBe(0o600);
});

test.each([0, 1, 20, 32, 33, 5031, 5032, 5050, 5063, 5064, 5164, 70_000, image.length])(
  'an image that was durable up to byte %i goes on from there: what was written after it is cut off',
  async (durable) => {
    using before = await written(durable);
    appendFileSync(before.path, Buffer.alloc(100_000, 0x55));
    const writer = await ImageWriter.open(before.path, durable);
    expect(writer.offsetBytes).toBe(durable);
    expect(statSync(before.path).size).toBe(durable);
    await writer.append(image.subarray(durable));
    expect(writer.walker.damage(image.length)).toBeUndefined();
    expect((await writer.digest()).sha256).toBe(digest);
    await writer.close();
    expect(readFileSync(before.path).equals(image)).toBe(true);
  },
);

test.each([
  {
    sentence: 'is shorter than what was acknowledged',
    damage: (path: string) => truncateSync(path, 99),
    says: 'has 99 bytes, 5000 were acknowledged',
  },
  { sentence: 'is gone', damage: (path: string) => rmSync(path), says: 'is gone, 5000 bytes of it were acknowledged' },
])('an image that $sentence is not gone on with', async ({ damage, says }) => {
  using before = await written(5000);
  damage(before.path);
  await expect(ImageWriter.open(before.path, 5000)).rejects.toMatchObject({
    code: 'evidence_missing',
    message: expect.stringContaining(`${before.path} ${says}`),
  });
});

test('an image that cannot be opened at all says so, with its path and what to do', async () => {
  using scratch = makeScratch();
  await expect(ImageWriter.open(join(scratch.dir, 'no', 'image.part'), 0)).rejects.toMatchObject({
    code: 'evidence_missing',
  });
  await expect(ImageWriter.open(scratch.dir, 0)).rejects.toMatchObject({
    code: 'storage_failed',
    message: expect.stringContaining(`${scratch.dir} could not be opened (EISDIR): see to the collector's disk`),
  });
});

test('a read-back that comes short is an error, never a shorter digest', async () => {
  using before = await written(70_000);
  const writer = await ImageWriter.open(before.path, 70_000);
  truncateSync(before.path, 60_000);
  await expect(writer.digest()).rejects.toMatchObject({ code: 'evidence_missing' });
  await writer.close();
});

test('stored bytes are compared in place', async () => {
  using before = await written(5000);
  const writer = await ImageWriter.open(before.path, 5000);
  expect(await writer.holds(100, image.subarray(100, 600))).toBe(true);
  expect(await writer.holds(100, image.subarray(101, 601))).toBe(false);
  expect(await writer.holds(4990, image.subarray(4990, 5010))).toBe(false);
  await writer.close();
});
