import { readdirSync, readSync, rmSync, statfsSync, statSync, truncateSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { memorySource } from '../store/frames/testing/memory-source.ts';
import type { RangeSource } from '../store/range-source.ts';
import { makeScratch, until } from '../testing/files.ts';
import { noise } from '../testing/lime-image.ts';
import { makeTinyDisk, mayMount } from '../testing/tiny-disk.ts';
import { PlainCopy } from './plain-copy.ts';

const mebibyte = 2 ** 20;
/** 41 chunks, the last of which is short. */
const image = noise(1, 40 * mebibyte + 12_345);
const marksAt = 40 * mebibyte + 16_384;

interface Disk extends Disposable {
  readonly dir: string;
}

/** A copy of what is read of a source, and the marks that a worker sees of it. */
async function copyOf(source: RangeSource, { dir }: Disk, freeBytes?: () => Promise<number>) {
  const copy = await PlainCopy.create(join(dir, 'copy'));
  const ending = new AbortController();
  const open = await copy.keep(source, ending.signal, freeBytes);
  const see = (offset: number, length: number): Buffer => {
    const data = Buffer.alloc(length);
    return data.subarray(0, readSync(copy.reader?.fd ?? -1, data, 0, length, offset));
  };
  const marked = (): number[] => [...see(marksAt, 41)].flatMap((mark, chunk) => (mark === 1 ? [chunk] : []));
  const end = async () => {
    ending.abort();
    await copy[Symbol.asyncDispose]();
  };
  return { copy, open, see, marked, [Symbol.asyncDispose]: end };
}

const range = fc.nat(image.length - 1).chain((offset) => {
  return fc.tuple(fc.constant(offset), fc.integer({ min: 1, max: Math.min(4 * mebibyte, image.length - offset) }));
});
const reads = fc.array(fc.tuple(fc.nat(2), range), { minLength: 1, maxLength: 15 });

const disks: [string, () => Disk][] = [['there is room for', makeScratch]];
if (mayMount) disks.push(['is full halfway', () => makeTinyDisk(40)]);

test.each(disks)(
  'any reads of several workers are bytes of the image, with a copy that %s',
  async (_what, makeDisk) => {
    using disk = makeDisk();
    await fc.assert(
      fc.asyncProperty(reads, async (asked) => {
        await using kept = await copyOf(memorySource(image), disk);
        const slots = Array.from({ length: 3 }, kept.open);
        await Promise.all(
          asked.map(async ([slot, [offset, length]]) => {
            const data = await slots[slot]?.read(offset, length);
            expect(data?.equals(image.subarray(offset, offset + length))).toBe(true);
          }),
        );
        for (const chunk of kept.marked()) {
          const at = chunk * mebibyte;
          expect(kept.see(at, mebibyte).subarray(0, image.length - at)).toEqual(image.subarray(at, at + mebibyte));
        }
      }),
      { numRuns: 8 },
    );
  },
);

test('what is in the copy is not read again, by whichever worker', async () => {
  using disk = makeScratch();
  const source = memorySource(image);
  await using kept = await copyOf(source, disk);
  const [one, other] = [kept.open(), kept.open()];
  await one.read(7 * mebibyte + 5, 4096);
  expect(kept.marked()).toEqual([7]);
  expect(kept.see(7 * mebibyte, mebibyte).equals(image.subarray(7 * mebibyte, 8 * mebibyte))).toBe(true);
  expect(await other.read(7 * mebibyte, 65_536)).toEqual(image.subarray(7 * mebibyte, 7 * mebibyte + 65_536));
  expect(source.reads).toEqual([[7 * mebibyte, mebibyte]]);
});

test('a read of some bytes is no reason to read a chunk', async () => {
  using disk = makeScratch();
  const source = memorySource(image);
  await using kept = await copyOf(source, disk);
  await kept.open().read(5, 32);
  expect(source.reads).toEqual([[5, 32]]);
});

test('while a worker reads on and on, twice as much each time is read ahead of it', async () => {
  using disk = makeScratch();
  const source = memorySource(image);
  await using kept = await copyOf(source, disk);
  const slot = kept.open();
  for (const [next, last] of [
    [1, 1],
    [2, 4],
    [5, 9],
    [10, 18],
    [19, 35],
    [36, 40],
  ] as const) {
    await slot.read(next * mebibyte, 4096);
    await until(() => kept.marked().length === last);
  }
  const chunks = source.reads.map(([offset]) => offset / mebibyte);
  expect(chunks).toEqual(Array.from({ length: 40 }, (_, index) => index + 1));
});

test('what cannot be read ahead is told when it is asked for', async () => {
  using disk = makeScratch();
  const source = memorySource(image);
  const read: RangeSource['read'] = async (offset, length, signal) => {
    if (offset + length > 5 * mebibyte) throw new Error('damaged');
    return await source.read(offset, length, signal);
  };
  await using kept = await copyOf({ ...source, read }, disk);
  const slot = kept.open();
  for (const chunk of [0, 1, 2, 3, 4]) await slot.read(chunk * mebibyte, 65_536);
  for (let attempt = 0; attempt < 2; attempt += 1)
    await expect(slot.read(5 * mebibyte, 65_536)).rejects.toThrow('damaged');
  expect(await kept.open().read(4 * mebibyte, 8192)).toEqual(image.subarray(4 * mebibyte, 4 * mebibyte + 8192));
});

test('a quarter of what is free is kept, and no chunk more', { skip: !mayMount }, async () => {
  using disk = makeTinyDisk(40);
  const { bavail, bsize } = statfsSync(disk.dir);
  await using kept = await copyOf(memorySource(image), disk);
  const slot = kept.open();
  const chunks = Math.floor((bavail * bsize) / 4 / mebibyte);
  for (let chunk = 39; chunk >= 0; chunk -= 1) await slot.read(chunk * mebibyte, mebibyte);
  // The disk's own books take a little.
  await until(() => kept.marked().length >= chunks - 1);
  await slot.read(0, mebibyte);
  const marked = kept.marked();
  expect(marked.length).toBeLessThanOrEqual(chunks);
  expect(marked).toEqual(Array.from(marked, (_, index) => 40 - marked.length + index));
});

test('what a capture is promised meanwhile is not taken', async () => {
  using disk = makeScratch();
  let free = 400 * mebibyte;
  await using kept = await copyOf(memorySource(image), disk, async () => free);
  const slot = kept.open();
  free = 0;
  for (let chunk = 39; chunk >= 0; chunk -= 1) await slot.read(chunk * mebibyte, mebibyte);
  // By half a lease it was asked again.
  await until(() => kept.marked().length >= 32);
  expect(kept.marked().length).toBeLessThan(40);
});

test('a disk that is full all of a sudden costs no byte, and nothing more is kept', { skip: !mayMount }, async () => {
  using disk = makeTinyDisk(40);
  const source = memorySource(image);
  await using kept = await copyOf(source, disk);
  const slot = kept.open();
  await slot.read(0, 4096);
  await until(() => kept.marked().length === 1);
  const filler = join(disk.dir, 'filler');
  expect(() => writeFileSync(filler, Buffer.alloc(50 * mebibyte))).toThrow('ENOSPC');
  truncateSync(filler, statSync(filler).size - 300_000);
  await until(async () => {
    expect(await slot.read(20 * mebibyte, 8192)).toEqual(image.subarray(20 * mebibyte, 20 * mebibyte + 8192));
    return source.reads.at(-1)?.at(1) === 8192;
  });
  expect(source.reads.filter(([, length]) => length === mebibyte)).toHaveLength(2);
  rmSync(filler);
  expect(await slot.read(0, 8192)).toEqual(image.subarray(0, 8192));
  await slot.read(37 * mebibyte, 4096);
  expect(source.reads.at(-1)).toEqual([37 * mebibyte, 4096]);
  expect(kept.marked()).toEqual([0]);
});

test('when it is closed nothing is read or written any more', async () => {
  using disk = makeScratch();
  const source = memorySource(image);
  let reading = 0;
  const read: RangeSource['read'] = async (offset, length, signal) => {
    if (offset < 3 * mebibyte) return await source.read(offset, length);
    reading += 1;
    await new Promise((resolve) => signal?.addEventListener('abort', () => setTimeout(resolve, 50)));
    reading -= 1;
    throw new Error('aborted');
  };
  const kept = await copyOf({ ...source, read }, disk);
  const slot = kept.open();
  await slot.read(1 * mebibyte, 4096);
  await slot.read(2 * mebibyte, 4096);
  expect(reading).toBe(2);
  await kept[Symbol.asyncDispose]();
  expect(reading).toBe(0);
});

test('has no name, cannot be written through what a runner gets, and where none can be made all is read as without', async () => {
  using disk = makeScratch();
  await using kept = await copyOf(memorySource(image), disk);
  expect(readdirSync(disk.dir)).toEqual([]);
  expect(() => writeSync(kept.copy.reader?.fd ?? -1, 'x')).toThrow('EBADF');
  const source = memorySource(image);
  await using none = await copyOf(source, { ...disk, dir: join(disk.dir, 'none') });
  expect(none.copy.reader).toBeUndefined();
  expect(await none.open().read(8, 4096)).toEqual(image.subarray(8, 4104));
  expect(source.reads).toEqual([[8, 4096]]);
});
